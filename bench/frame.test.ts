import { describe, expect, it } from "vitest";
import { FRAME_BYTES, FrameCutter, frameTemplate, readStamp, stampAgent, stampSent } from "./frame.js";

describe("frames", () => {
  it("carries its stamp through both ways", () => {
    const frame = frameTemplate();
    stampSent(frame, 1, 42, 4_000_000_000, 1234.5678);
    stampAgent(frame.subarray(1), 0, 1235.25, 1236.5);
    expect(readStamp(frame, 1)).toEqual({
      call: 42,
      sequence: 4_000_000_000,
      sentMs: 1234.5678,
      agentInMs: 1235.25,
      agentOutMs: 1236.5,
    });
  });

  it("does not take anything else for a frame", () => {
    const frame = frameTemplate();
    expect(readStamp(frame, 1)).toBeUndefined();
    stampSent(frame, 1, 1, 1, 1);
    expect(readStamp(frame.subarray(0, FRAME_BYTES), 1)).toBeUndefined();
    frame[FRAME_BYTES] = frame[FRAME_BYTES]! ^ 0xff;
    expect(readStamp(frame, 1)).toBeUndefined();
  });

  it("finds the frames however the bytes are cut", () => {
    const stream = Buffer.concat(
      Array.from({ length: 20 }, (_, sequence) => {
        const frame = frameTemplate().subarray(1);
        stampSent(frame, 0, 3, sequence, sequence);
        return frame;
      }),
    );
    for (const piece of [1, 7, 959, 960, 961, 1920, 5000]) {
      const seen: number[] = [];
      const cutter = new FrameCutter();
      for (let at = 0; at < stream.length; at += piece) {
        cutter.push(stream.subarray(at, at + piece), (buffer, from) => {
          seen.push(readStamp(buffer, from)?.sequence ?? -1);
        });
      }
      expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i));
    }
  });
});
