import fc from "fast-check";
import { readWav, type WavAudio, WavError, writeWav } from "../../../gateway/src/audio/wav.js";
import { damaged, edge, mostly } from "../inputs.js";
import { must, target } from "../target.js";

interface Chunk {
  readonly name: string;
  /** What its header says; undefined: the truth. */
  readonly size: number | undefined;
  readonly body: Uint8Array;
}

/** A RIFF file of chunks, whose headers may lie. */
function riff(chunks: readonly Chunk[]): Uint8Array {
  const parts = chunks.map(({ name, size, body }) => {
    const head = Buffer.alloc(8);
    head.write(name.padEnd(4).slice(0, 4), 0, "latin1");
    head.writeUInt32LE((size ?? body.length) >>> 0, 4);
    return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
  });
  const rest = Buffer.concat(parts);
  const head = Buffer.from("RIFF    WAVE", "latin1");
  head.writeUInt32LE(4 + rest.length, 4);
  return Buffer.concat([head, rest]);
}

const format = fc
  .record({
    code: mostly(1, 1, 1, 0xfffe, 3, 6, 7),
    channels: mostly(1, 1, 1, 2, 0, 65_535),
    rate: mostly(8_000, 16_000, 24_000, 44_100, 0, 0xffff_ffff),
    bits: mostly(16, 16, 8, 24, 0),
    length: mostly(16, 16, 18, 40, 25, 26, 15, 8, 0),
    sub: mostly(1, 1, 3),
  })
  .map(({ code, channels, rate, bits, length, sub }) => {
    const body = Buffer.alloc(48);
    body.writeUInt16LE(code, 0);
    body.writeUInt16LE(channels, 2);
    body.writeUInt32LE(rate, 4);
    body.writeUInt16LE(bits, 14);
    body.writeUInt16LE(sub, 24);
    return body.subarray(0, length);
  });
const size = fc.oneof(
  { weight: 5, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: edge.map((n) => n >>> 0) },
  { weight: 1, arbitrary: mostly(0, 0xffff_ffff, 0xffff_fff8, 0x7fff_ffff) },
);
const body = fc.uint8Array({ maxLength: 40 });
const chunk: fc.Arbitrary<Chunk> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: fc.constant("fmt "), size, body: format }) },
  { weight: 4, arbitrary: fc.record({ name: fc.constant("data"), size, body }) },
  {
    weight: 2,
    arbitrary: fc.record({ name: mostly("LIST", "fact", "    ", "\u0000\u0000\u0000\u0000"), size, body }),
  },
);
const files = fc.oneof(
  { weight: 5, arbitrary: fc.array(chunk, { maxLength: 5 }).map(riff) },
  {
    weight: 3,
    arbitrary: damaged(
      fc.tuple(body, mostly(8_000, 16_000, 24_000)).map(([pcm, rate]) => writeWav(pcm, rate)),
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
);

export const audioTargets = [
  target({
    name: "wav",
    what: "WAV files: hold music and announcements",
    area: "audio",
    weight: 8,
    inputs: fc.tuple(files, fc.nat({ max: 3 })),
    run: ([file, shift]) => {
      // At any place in memory.
      const memory = new Uint8Array(file.length + shift);
      memory.set(file, shift);
      let audio: WavAudio;
      try {
        audio = readWav(memory.subarray(shift));
      } catch (error) {
        must(error instanceof WavError, "a refusal is a WavError", String(error));
        must(error.message.length < 200, "that says what it is", error.message.length);
        return;
      }
      const { sampleRateHz, samples } = audio;
      must([8_000, 16_000, 24_000].includes(sampleRateHz), "a rate of calls", sampleRateHz);
      must(samples.length * 2 <= file.length - 36, "no more samples than the file has", samples.length);
    },
  }),
  target({
    name: "wav-round-trip",
    what: "WAV files of our own",
    area: "audio",
    weight: 2,
    inputs: fc.tuple(
      fc.uint8Array({ minLength: 2, maxLength: 400 }).map((pcm) => pcm.subarray(0, pcm.length & ~1)),
      mostly(8_000, 16_000, 24_000),
    ),
    run: ([pcm, rate]) => {
      const { sampleRateHz, samples } = readWav(writeWav(pcm, rate));
      const back = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
      must(sampleRateHz === rate && Buffer.compare(back, pcm) === 0, "what is read is what was written");
    },
  }),
];
