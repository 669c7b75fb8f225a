import { describe, expect, it } from "vitest";
import type { AudioFormat } from "../dispatch/agent-port.js";
import { createDecoder, createEncoder } from "./converter.js";

const S16 = (sampleRateHz: number): AudioFormat => ({ encoding: "S16LE", sampleRateHz });
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + 7) & 0xff);

describe("createDecoder", () => {
  it("passes the same format without a copy", () => {
    const decoder = createDecoder(S16(16_000), 16_000);
    const input = bytes(640);
    expect(decoder.passThrough).toBe(true);
    expect(decoder.decode(input)).toBe(input);
  });

  it("carries an odd byte to the next item (fault 31)", () => {
    const decoder = createDecoder(S16(8000), 8000);
    const input = bytes(100);
    const out = [input.subarray(0, 33), input.subarray(33, 34), input.subarray(34, 71), input.subarray(71)]
      .map((part) => decoder.decode(part))
      .map((part) => {
        expect(part.length % 2).toBe(0);
        return [...part];
      });
    expect(out.flat()).toEqual([...input]);
  });

  it("forgets the odd byte at reset", () => {
    const decoder = createDecoder(S16(8000), 8000);
    decoder.decode(bytes(3));
    decoder.reset();
    const input = bytes(4);
    expect(decoder.decode(input)).toBe(input);
  });

  it.each([S16(8000), S16(24_000), { encoding: "MULAW", sampleRateHz: 8000 } as const])(
    "answers the same for one item or many: %o",
    (format) => {
      const input = bytes(2400);
      const whole = createDecoder(format, 16_000).decode(input);
      const decoder = createDecoder(format, 16_000);
      const parts: number[] = [];
      for (let at = 0; at < input.length; at += 77)
        parts.push(...decoder.decode(input.subarray(at, at + 77)));
      expect(parts).toEqual([...whole]);
    },
  );

  it("reads input that is not aligned", () => {
    const buffer = bytes(1001);
    const shifted = buffer.subarray(1);
    const aligned = Uint8Array.from(shifted);
    expect(createDecoder(S16(8000), 16_000).decode(shifted)).toEqual(
      createDecoder(S16(8000), 16_000).decode(aligned),
    );
  });

  it("makes 20 ms of 20 ms", () => {
    for (const law of ["MULAW", "ALAW"] as const) {
      expect(createDecoder({ encoding: law, sampleRateHz: 8000 }, 24_000).decode(bytes(160)).length).toBe(
        960,
      );
    }
    expect(createDecoder(S16(24_000), 8000).decode(bytes(960)).length).toBe(320);
  });

  it("refuses formats that do not exist", () => {
    expect(() => createDecoder({ encoding: "MULAW", sampleRateHz: 16_000 }, 8000)).toThrow(
      /audio_format.sample_rate_hz must be 8000 with mulaw/,
    );
    expect(() => createDecoder(S16(44_100), 8000)).toThrow(/8000, 16000 or 24000/);
    expect(() => createEncoder(48_000, S16(8000))).toThrow(/8000, 16000 or 24000/);
  });
});

describe("createEncoder", () => {
  it("hands s16le of the call's rate on as it is, and makes everything else anew", () => {
    const input = bytes(960);
    expect(createEncoder(24_000, S16(24_000)).encode(input)).toBe(input);
    for (const format of [S16(8000), { encoding: "ALAW", sampleRateHz: 8000 } satisfies AudioFormat]) {
      const out = createEncoder(24_000, format).encode(input);
      expect(out.buffer).not.toBe(input.buffer);
    }
  });

  it("keeps the bytes of the same format", () => {
    const input = bytes(960);
    const out = createEncoder(24_000, S16(24_000)).encode(input);
    expect([...out]).toEqual([...input]);
  });

  it("encodes to G.711 at the call's own rate and from a higher one", () => {
    expect(createEncoder(8000, { encoding: "MULAW", sampleRateHz: 8000 }).encode(bytes(320)).length).toBe(
      160,
    );
    const encoder = createEncoder(16_000, { encoding: "ALAW", sampleRateHz: 8000 });
    expect(encoder.encode(bytes(640)).length).toBe(160);
    encoder.reset();
  });

  it("survives there and back with little noise", () => {
    const samples = Int16Array.from({ length: 8000 }, (_, i) =>
      Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / 8000)),
    );
    const pcm = new Uint8Array(samples.buffer);
    const up = createEncoder(8000, S16(24_000)).encode(pcm);
    const back = createDecoder(S16(24_000), 8000).decode(up);
    const result = new Int16Array(back.buffer, back.byteOffset, back.length / 2);
    // 4 ms each way: 64 samples later it is the same tone.
    for (let i = 2000; i < 6000; i++)
      expect(Math.abs((result[i + 64] as number) - (samples[i] as number))).toBeLessThan(40);
  });
});
