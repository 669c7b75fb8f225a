import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AudioFrameReader, agentFrame } from "./frames.js";

function frame(channel: number, bytes: readonly number[]): Uint8Array {
  return Uint8Array.from([channel, ...bytes]);
}

function readAll(frames: readonly Uint8Array[]) {
  const reader = new AudioFrameReader();
  const heard = new Map<number, number[]>();
  const kinds = frames.map((f) =>
    reader.read(f, (channel, pcm) => {
      expect(pcm.length % 2).toBe(0);
      expect(pcm.length).toBeGreaterThan(0);
      heard.set(channel, [...(heard.get(channel) ?? []), ...pcm]);
    }),
  );
  return { heard, kinds };
}

describe("AudioFrameReader", () => {
  it("ignores frames of 0 and 1 byte (fault 32)", () => {
    const { heard, kinds } = readAll([new Uint8Array(0), Uint8Array.of(0)]);
    expect(kinds).toEqual(["short", "short"]);
    expect(heard.size).toBe(0);
  });

  it("hands over memory of its own: what it read from is used again", () => {
    const shared = frame(0, [0, 0, 0, 0, 0, 0]);
    const reader = new AudioFrameReader();
    const heard: Uint8Array[] = [];
    for (const value of [1, 2, 3]) {
      shared.fill(value, 2, 7);
      shared[2] = 0;
      expect(reader.read(shared, (_channel, pcm) => heard.push(pcm), 2, 7)).toBe("audio");
    }
    expect(heard.map((pcm) => [...pcm])).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2],
      [3, 3, 3, 3],
    ]);
  });

  it("carries the odd byte of each channel to its next frame", () => {
    const { heard, kinds } = readAll([
      frame(0, [1, 2, 3]),
      frame(7, [9]),
      frame(0, [4]),
      frame(7, [8, 7, 6]),
    ]);
    expect(kinds).toEqual(["odd", "odd", "odd", "odd"]);
    expect(heard.get(0)).toEqual([1, 2, 3, 4]);
    expect(heard.get(7)).toEqual([9, 8, 7, 6]);
  });

  it("forgets the odd byte when the stream begins anew", () => {
    const reader = new AudioFrameReader();
    reader.read(frame(0, [1, 2, 3]), () => {});
    reader.reset();
    reader.read(frame(0, [5, 6]), (_channel, pcm) => expect([...pcm]).toEqual([5, 6]));
  });

  it("gives the same samples however the bytes were cut (fault 31)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.uint8Array({ maxLength: 9 })), {
          maxLength: 60,
        }),
        (pieces) => {
          const { heard } = readAll(pieces.map(([channel, bytes]) => frame(channel, [...bytes])));
          for (const channel of [0, 1, 2, 3]) {
            const sent = pieces.filter(([c]) => c === channel).flatMap(([, bytes]) => [...bytes]);
            expect(heard.get(channel) ?? []).toEqual(sent.slice(0, sent.length & ~1));
          }
        },
      ),
    );
  });

  it("never throws on any bytes", () => {
    const reader = new AudioFrameReader();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void reader.read(bytes, () => {})));
  });
});

describe("agentFrame", () => {
  it("is channel 0 and has room for the audio, as long as any asked for before", () => {
    const made = agentFrame(960);
    expect(made[0]).toBe(0);
    expect(made.length).toBeGreaterThanOrEqual(961);
    expect(agentFrame(made.length)[0]).toBe(0);
    expect(agentFrame(1).length).toBe(made.length + 1);
  });
});
