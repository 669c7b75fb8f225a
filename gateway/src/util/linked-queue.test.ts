import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LinkedQueue } from "./linked-queue.js";

class Entry {
  next: Entry | undefined;
  constructor(readonly name: number) {}
}

describe("LinkedQueue", () => {
  it("gives its entries in the order in which they came, whatever is done in between", () => {
    const step = fc.constantFrom("push", "push", "shift", "again", "clear");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new LinkedQueue<Entry>();
        const model: Entry[] = [];
        for (const [i, what] of steps.entries()) {
          if (what === "push") {
            const entry = new Entry(i);
            queue.push(entry);
            model.push(entry);
          } else if (what === "clear") {
            queue.clear();
            model.length = 0;
          } else {
            const entry = queue.shift();
            expect(entry).toBe(model.shift());
            expect(entry?.next).toBeUndefined();
            if (entry && what === "again") {
              queue.push(entry);
              model.push(entry);
            }
          }
          expect(queue.first).toBe(model[0]);
          expect(queue.size).toBe(model.length);
        }
        for (const entry of model) expect(queue.shift()).toBe(entry);
        expect(queue.shift()).toBeUndefined();
      }),
    );
  });
});
