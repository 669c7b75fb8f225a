/** Small helpers for s16le mono PCM. */

/** Milliseconds that `bytes` of s16le mono last at `sampleRateHz`. */
export function pcmDurationMs(bytes: number, sampleRateHz: number): number {
  return (bytes / 2 / sampleRateHz) * 1000;
}

/** Bytes of s16le mono that last `durationMs` at `sampleRateHz`, whole samples, rounded down. */
export function pcmBytes(durationMs: number, sampleRateHz: number): number {
  return Math.floor((durationMs * sampleRateHz) / 1000) * 2;
}

/** Root mean square of the samples, 0 to 32768. 0 for an empty buffer. */
export function rms(pcm: Buffer): number {
  const samples = pcm.length >> 1;
  if (samples === 0) return 0;
  let sum = 0;
  for (let i = 0; i < samples; i++) {
    const value = pcm.readInt16LE(i * 2);
    sum += value * value;
  }
  return Math.sqrt(sum / samples);
}

/** A WAV file around s16le mono PCM. */
export function wavFile(pcm: Buffer, sampleRateHz: number): Buffer {
  const header = Buffer.alloc(44);
  header.write("RIFF", 0, "latin1");
  header.writeUInt32LE(36 + pcm.length, 4);
  header.write("WAVEfmt ", 8, "latin1");
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRateHz, 24);
  header.writeUInt32LE(sampleRateHz * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36, "latin1");
  header.writeUInt32LE(pcm.length, 40);
  return Buffer.concat([header, pcm]);
}

/** Cuts a byte stream into frames of exactly `frameBytes`; the rest waits for the next call. */
export class FrameCutter {
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly frameBytes: number) {}

  /** Whole frames now available, in order. */
  push(pcm: Buffer): Buffer[] {
    const all = this.#rest.length === 0 ? pcm : Buffer.concat([this.#rest, pcm]);
    const frames: Buffer[] = [];
    let offset = 0;
    for (; offset + this.frameBytes <= all.length; offset += this.frameBytes) {
      frames.push(all.subarray(offset, offset + this.frameBytes));
    }
    this.#rest = Buffer.from(all.subarray(offset));
    return frames;
  }

  /** Forget the incomplete frame. */
  reset(): void {
    this.#rest = Buffer.alloc(0);
  }
}
