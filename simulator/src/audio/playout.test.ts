import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Playout } from "./playout.js";

const RATE = 8000;
const BYTES_PER_MS = 16;
const FRAME = 160;

function audio(ms: number, value = 1): Buffer {
  const buffer = Buffer.alloc(ms * BYTES_PER_MS);
  for (let i = 0; i < buffer.length; i += 2) buffer.writeInt16LE(value, i);
  return buffer;
}

describe("Playout / credit", () => {
  it.each([100, 1000, 3000])(
    "asks for the whole buffer of %i ms at first, then for what was played",
    (ms) => {
      const playout = new Playout(RATE, { playoutBufferMs: ms, grantMinMs: 40 });
      expect(playout.nextGrant(0)).toBe(ms * BYTES_PER_MS);
      expect(playout.nextGrant(20)).toBe(0);
      playout.deliver(audio(ms));
      expect(playout.nextGrant(40)).toBe(0);
      const frame = new Int16Array(FRAME);
      playout.readFrame(frame);
      expect(playout.nextGrant(60)).toBe(0);
      playout.readFrame(frame);
      expect(playout.nextGrant(80)).toBe(40 * BYTES_PER_MS);
      expect(playout.stats).toMatchObject({ grants: 2, overDeliveredBytes: 0 });
    },
  );

  it("never promises more than its capacity, whatever happens", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constant("grant"),
            fc.constant("play"),
            fc.integer({ min: 1, max: 2000 }),
            fc.constant("interrupt"),
          ),
        ),
        (steps) => {
          const playout = new Playout(RATE, { playoutBufferMs: 200 });
          const frame = new Int16Array(FRAME);
          let now = 0;
          let delivered = 0;
          for (const step of steps) {
            now += 20;
            if (step === "grant") playout.nextGrant(now);
            else if (step === "play") playout.readFrame(frame);
            else if (step === "interrupt") playout.interrupt();
            else {
              // A client that keeps to its credit.
              const bytes = Math.min(step as number, playout.outstandingBytes);
              playout.deliver(Buffer.alloc(bytes));
              delivered += bytes;
            }
            expect(playout.bufferedBytes + playout.outstandingBytes).toBeLessThanOrEqual(200 * BYTES_PER_MS);
          }
          const { stats } = playout;
          expect(stats.overDeliveredBytes).toBe(0);
          expect(stats.playedBytes + stats.interruptedBytes + playout.bufferedBytes).toBe(delivered);
        },
      ),
    );
  });

  it("asks late and in bursts when told to", () => {
    const playout = new Playout(RATE, { playoutBufferMs: 1000, grantBelowMs: 200, grantEveryMs: 500 });
    const frame = new Int16Array(FRAME);
    const asked: { at: number; ms: number }[] = [];
    for (let now = 0; now < 5000; now += 20) {
      const bytes = playout.nextGrant(now);
      if (bytes > 0) {
        asked.push({ at: now, ms: bytes / BYTES_PER_MS });
        playout.deliver(audio(bytes / BYTES_PER_MS));
      }
      playout.readFrame(frame);
    }
    expect(asked[0]).toEqual({ at: 0, ms: 1000 });
    for (const { at } of asked) expect(at % 500).toBe(0);
    for (const { ms } of asked.slice(1)) expect(ms).toBeGreaterThanOrEqual(800);
  });

  it("counts what was not asked for, plays it all the same, and drops beyond the hard limit", () => {
    const playout = new Playout(RATE, { playoutBufferMs: 100, playoutLimitMs: 500 });
    playout.nextGrant(0);
    playout.deliver(audio(300));
    expect(playout.stats.overDeliveredBytes).toBe(200 * BYTES_PER_MS);
    expect(playout.bufferedMs).toBe(300);
    playout.deliver(audio(300));
    expect(playout.stats.droppedBytes).toBe(300 * BYTES_PER_MS);
  });

  it("gives no credit while stalled, and none of a lost connection's counts", () => {
    const playout = new Playout(RATE);
    playout.stallUntil(1000);
    expect(playout.nextGrant(980)).toBe(0);
    expect(playout.nextGrant(1000)).toBe(16_000);
    playout.forgetCredit();
    expect(playout.nextGrant(1020)).toBe(16_000);
  });
});

describe("Playout / audio", () => {
  it("plays bytes in order whatever the frames they came in, odd lengths too", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 }), (lengths) => {
        const total = lengths.reduce((sum, length) => sum + length, 0);
        const all = Buffer.from(Array.from({ length: total }, (_, i) => (i * 7) & 0xff));
        const playout = new Playout(RATE);
        let at = 0;
        for (const length of lengths) {
          playout.deliver(all.subarray(at, at + length));
          at += length;
        }
        const frame = new Int16Array(FRAME);
        const played: number[] = [];
        for (let samples = playout.readFrame(frame); samples > 0; samples = playout.readFrame(frame))
          played.push(...Buffer.from(frame.buffer, 0, samples * 2));
        expect(played).toEqual([...all.subarray(0, total - (total % 2))]);
      }),
    );
  });

  it("pads a short tail with silence", () => {
    const playout = new Playout(RATE);
    playout.deliver(audio(5, 9));
    const frame = new Int16Array(FRAME).fill(77);
    expect(playout.readFrame(frame)).toBe(40);
    expect([...frame.subarray(38, 42)]).toEqual([9, 9, 0, 0]);
    expect(playout.readFrame(frame)).toBe(0);
  });

  it("drops what is buffered on interrupt, and only that", () => {
    const playout = new Playout(RATE);
    playout.nextGrant(0);
    playout.deliver(audio(400, 1));
    const frame = new Int16Array(FRAME);
    playout.readFrame(frame);
    expect(playout.interrupt()).toBe(380 * BYTES_PER_MS);
    expect(playout.readFrame(frame)).toBe(0);
    expect(playout.outstandingBytes).toBe(600 * BYTES_PER_MS);
    playout.deliver(audio(20, 2));
    playout.readFrame(frame);
    expect(frame[0]).toBe(2);
    expect(playout.stats.starvations).toBe(0);
  });

  it("counts holes in the middle of audio as starvation, and pauses not", () => {
    const playout = new Playout(RATE);
    const frame = new Int16Array(FRAME);
    for (let i = 0; i < 5; i++) playout.readFrame(frame);
    playout.deliver(audio(40));
    for (let i = 0; i < 5; i++) playout.readFrame(frame);
    playout.deliver(audio(20));
    playout.readFrame(frame);
    expect(playout.stats).toMatchObject({ starvations: 1, starvedMs: 60 });
    for (let i = 0; i < 100; i++) playout.readFrame(frame);
    playout.deliver(audio(20));
    playout.readFrame(frame);
    expect(playout.stats).toMatchObject({ starvations: 1, starvedMs: 60 });
  });
});
