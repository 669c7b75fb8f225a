import { readFile, writeFile } from "node:fs/promises";

/** Mono 16-bit audio. */
export interface Pcm {
  readonly sampleRate: number;
  readonly samples: Int16Array;
}

/**
 * Reads a RIFF/WAVE file image: PCM, 16 bits, any rate; several channels are averaged to one.
 * @throws Error when it is not such a file
 */
export function decodeWav(file: Uint8Array): Pcm {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const tag = (at: number) => String.fromCharCode(...file.subarray(at, at + 4));
  if (file.byteLength < 44 || tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Error("not a WAV file");
  let sampleRate = 0;
  let channels = 0;
  for (let at = 12; at + 8 <= file.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === "fmt ") {
      const format = view.getUint16(body, true);
      channels = view.getUint16(body + 2, true);
      sampleRate = view.getUint32(body + 4, true);
      const bits = view.getUint16(body + 14, true);
      if ((format !== 1 && format !== 0xfffe) || bits !== 16 || channels < 1)
        throw new Error("only 16-bit PCM WAV files can be read");
    } else if (tag(at) === "data") {
      if (channels === 0) throw new Error("WAV file has no fmt chunk before its data");
      const bytes = Math.min(size, file.byteLength - body);
      const frames = Math.floor(bytes / 2 / channels);
      const samples = new Int16Array(frames);
      for (let i = 0; i < frames; i++) {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += view.getInt16(body + (i * channels + c) * 2, true);
        samples[i] = Math.round(sum / channels);
      }
      return { sampleRate, samples };
    }
    at = body + size + (size & 1);
  }
  throw new Error("WAV file has no data chunk");
}

/** Makes a mono 16-bit PCM WAV file image. */
export function encodeWav(pcm: Pcm): Buffer {
  const dataBytes = pcm.samples.byteLength;
  const file = Buffer.alloc(44 + dataBytes);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(36 + dataBytes, 4);
  file.write("WAVEfmt ", 8, "latin1");
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(pcm.sampleRate, 24);
  file.writeUInt32LE(pcm.sampleRate * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36, "latin1");
  file.writeUInt32LE(dataBytes, 40);
  Buffer.from(pcm.samples.buffer, pcm.samples.byteOffset, dataBytes).copy(file, 44);
  return file;
}

/** Reads a WAV file, see {@link decodeWav}. */
export async function readWav(path: string): Promise<Pcm> {
  return decodeWav(await readFile(path));
}

/** Writes a mono 16-bit WAV file. */
export async function writeWav(path: string, pcm: Pcm): Promise<void> {
  await writeFile(path, encodeWav(pcm));
}
