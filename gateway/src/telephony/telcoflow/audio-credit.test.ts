import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AudioCredit } from "./audio-credit.js";

const options = {
  maxFrameBytes: 6400,
  defaultPreferBytes: 960,
  maxRequests: 1024,
  maxOutstandingBytes: 1_000_000,
};

/** Sends what may be sent of `available` bytes; the lengths of the frames. */
function drain(credit: AudioCredit, available: number, flush = false): number[] {
  const frames: number[] = [];
  for (let left = available; ; ) {
    const bytes = credit.next(left, flush);
    if (bytes === 0) return frames;
    credit.spend(bytes);
    frames.push(bytes);
    left -= bytes;
  }
}

describe("AudioCredit / requests", () => {
  it("sends nothing without credit", () => {
    expect(drain(new AudioCredit(options), 100_000, true)).toEqual([]);
  });

  it("ignores other channels and requests for nothing", () => {
    const credit = new AudioCredit(options);
    expect(credit.add(960, 960, 1)).toBe("otherChannel");
    expect(credit.add(1, 960, 0)).toBe("nothing");
    expect(credit.add(0, 960, 0)).toBe("nothing");
    expect(credit.add(-960, 960, 0)).toBe("nothing");
    expect(credit.outstandingBytes).toBe(0);
  });

  it("answers requests in order, no frame over two of them", () => {
    const credit = new AudioCredit(options);
    credit.add(2000, 960, 0);
    credit.add(3000, 480, 0);
    expect(drain(credit, 100_000)).toEqual([2000, 3000]);
  });

  it("keeps the rest of the credit until there is more audio", () => {
    const credit = new AudioCredit(options);
    credit.add(5000, 960, 0);
    expect(drain(credit, 1000)).toEqual([1000]);
    expect(credit.outstandingBytes).toBe(4000);
    expect(drain(credit, 10_000)).toEqual([4000]);
    expect(credit.outstandingBytes).toBe(0);
  });

  it("cuts what goes over the limit, and says so", () => {
    const credit = new AudioCredit({ ...options, maxOutstandingBytes: 1001 });
    expect(credit.add(900, 0, 0)).toBe("added");
    expect(credit.add(900, 0, 0)).toBe("cut");
    expect(credit.outstandingBytes).toBe(1000);
    expect(credit.add(900, 0, 0)).toBe("cut");
    expect(credit.outstandingBytes).toBe(1000);
  });

  it("adds to the newest request when it holds as many as it may", () => {
    const credit = new AudioCredit({ ...options, maxRequests: 2 });
    for (let i = 0; i < 10; i++) credit.add(100, 100, 0);
    expect(credit.pendingRequests).toBe(2);
    expect(drain(credit, 10_000)).toEqual([100, 900]);
  });

  it("has no credit after clear", () => {
    const credit = new AudioCredit(options);
    credit.add(5000, 0, 0);
    credit.clear();
    expect(drain(credit, 10_000, true)).toEqual([]);
    expect(credit.outstandingBytes).toBe(0);
  });
});

describe("AudioCredit / frames", () => {
  it("waits for the preferred length, by default 960", () => {
    const credit = new AudioCredit(options);
    credit.add(5000, 0, 0);
    expect(credit.next(958, false)).toBe(0);
    expect(credit.next(960, false)).toBe(960);
  });

  it("sends the shorter end of a request", () => {
    const credit = new AudioCredit(options);
    credit.add(1000, 960, 0);
    expect(drain(credit, 960)).toEqual([960]);
    expect(credit.next(40, false)).toBe(40);
  });

  it("sends a short tail when it is to be flushed", () => {
    const credit = new AudioCredit(options);
    credit.add(5000, 960, 0);
    expect(credit.next(101, true)).toBe(100);
    expect(credit.next(1, true)).toBe(0);
  });

  it("cuts long answers into frames of the longest length", () => {
    const credit = new AudioCredit(options);
    credit.add(16_000, 960, 0);
    expect(drain(credit, 16_000)).toEqual([6400, 6400, 3200]);
  });

  it("never sends more than was asked for, only even frames, and all of it in the end", () => {
    const request = fc.record({
      bytes: fc.integer({ min: -10, max: 30_000 }),
      prefer: fc.integer({ min: 0, max: 9000 }),
    });
    const step = fc.oneof(request, fc.integer({ min: 0, max: 20_000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const credit = new AudioCredit({ ...options, maxRequests: 5, maxOutstandingBytes: 50_000 });
        let asked = 0;
        let sent = 0;
        for (const s of steps) {
          if (typeof s !== "number") {
            const before = credit.outstandingBytes;
            credit.add(s.bytes, s.prefer, 0);
            asked += Math.max(0, s.bytes);
            expect(credit.outstandingBytes - before).toBeLessThanOrEqual(Math.max(0, s.bytes));
          } else {
            for (const bytes of drain(credit, s)) {
              expect(bytes % 2).toBe(0);
              expect(bytes).toBeLessThanOrEqual(options.maxFrameBytes);
              sent += bytes;
            }
          }
          expect(sent).toBeLessThanOrEqual(asked);
          expect(credit.outstandingBytes).toBeLessThanOrEqual(50_000);
          expect(credit.pendingRequests).toBeLessThanOrEqual(5);
        }
        const left = credit.outstandingBytes;
        expect(drain(credit, 1_000_000).reduce((sum, bytes) => sum + bytes, 0)).toBe(left);
        expect(credit.pendingRequests).toBe(0);
      }),
    );
  });

  it("refuses to spend what it did not offer", () => {
    expect(() => new AudioCredit(options).spend(2)).toThrow(RangeError);
  });
});
