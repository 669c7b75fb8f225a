import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { ByteQueue } from "./byte-queue.js";

type Step =
  | { write: number }
  | { lend: number; reads: readonly number[] }
  | { read: number }
  | { skip: number }
  | "clear";

const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(16_383, 16_384, 16_385, 40_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ write: size }),
  fc.record({ lend: size, reads: fc.array(size, { maxLength: 3 }) }),
  fc.record({ read: size }),
  fc.record({ skip: size }),
  fc.constant("clear" as const),
);

describe("ByteQueue", () => {
  it("gives out what came in, written or lent, as a plain list does", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const queue = new ByteQueue();
        let model: number[] = [];
        let next = 0;
        const make = (length: number) => Uint8Array.from({ length }, () => next++ & 0xff);
        const read = (max: number) => {
          const target = new Uint8Array(max + 2).fill(0xaa);
          const n = queue.read(target, 1, max);
          expect(n).toBe(Math.min(max, model.length));
          expect(Buffer.from(target.subarray(1, 1 + n)).equals(Buffer.from(model.slice(0, n)))).toBe(true);
          expect([target[0], target[n + 1]]).toEqual([0xaa, 0xaa]);
          model = model.slice(n);
        };
        const skip = (max: number) => {
          expect(queue.skip(max)).toBe(Math.min(max, model.length));
          model = model.slice(max);
        };
        for (const step of steps) {
          if (step === "clear") {
            expect(queue.clear()).toBe(model.length);
            model = [];
          } else if ("write" in step) {
            const bytes = make(step.write);
            queue.write(bytes);
            model.push(...bytes);
            bytes.fill(0xee);
          } else if ("lend" in step) {
            const bytes = make(step.lend);
            queue.lend(bytes);
            model.push(...bytes);
            for (const [i, max] of step.reads.entries()) (i === 1 ? skip : read)(max);
            queue.settle();
            // Whose memory it is may use it again.
            bytes.fill(0xee);
          } else if ("skip" in step) skip(step.skip);
          else read(step.read);
          expect(queue.length).toBe(model.length);
        }
        read(model.length + 1);
      }),
      { numRuns: 200 },
    );
  });

  it("forgets what was lent when it is cleared", () => {
    const queue = new ByteQueue();
    queue.lend(Uint8Array.of(1, 2, 3));
    expect(queue.clear()).toBe(3);
    queue.settle();
    expect(queue.length).toBe(0);
    expect(queue.read(new Uint8Array(3), 0, 3)).toBe(0);
  });

  it("gives its memory back when empty", () => {
    const queue = new ByteQueue();
    queue.write(new Uint8Array(100_000));
    expect(queue.length).toBe(100_000);
    const target = new Uint8Array(100_000);
    expect(queue.read(target, 0, 60_000)).toBe(60_000);
    expect(queue.read(target, 0, 60_000)).toBe(40_000);
    expect(queue.read(target, 0, 1)).toBe(0);
  });

  it("writes into what was read while some waits all the time", () => {
    const queue = new ByteQueue();
    const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
    const piece = new Uint8Array(1_000);
    for (let i = 0; i < 50; i++) queue.write(piece);
    expect(taken).toHaveBeenCalledTimes(4);
    for (let i = 0; i < 1_000; i++) {
      queue.write(piece);
      expect(queue.skip(1_000)).toBe(1_000);
    }
    expect(taken.mock.calls.length).toBeLessThanOrEqual(5);
    taken.mockRestore();
  });

  it("tells how much a clear dropped", () => {
    const queue = new ByteQueue();
    queue.write(new Uint8Array(20_000));
    expect(queue.clear()).toBe(20_000);
    queue.write(Uint8Array.of(1, 2, 3));
    const target = new Uint8Array(3);
    queue.read(target, 0, 3);
    expect([...target]).toEqual([1, 2, 3]);
  });
});
