import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WatchWriter } from "./watch-writer.js";

function setup(maxBytes = 10) {
  const writes: string[] = [];
  let done: ((error?: Error | null) => void) | undefined;
  const turns: (() => void)[] = [];
  const write = (messages: readonly Uint8Array[], callback: typeof done) => {
    writes.push(messages.map((one) => Buffer.from(one).toString()).join("|"));
    done = callback;
  };
  const writer = new WatchWriter(write, maxBytes, (fn) => turns.push(fn));
  return {
    writer,
    writes,
    add: (text: string) => writer.add(Buffer.from(text)),
    turn: () => {
      for (const fn of turns.splice(0)) fn();
    },
    /** What is on its way has left. */
    wrote: (error?: Error) => {
      const callback = done;
      done = undefined;
      callback?.(error);
    },
    /** Whether `room` has resolved by now. */
    hasRoom: async () => {
      let has = false;
      void writer.room().then(() => {
        has = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      return has;
    },
  };
}

describe("WatchWriter", () => {
  it("sends what came in one turn in one write", () => {
    const { add, turn, writes } = setup();
    for (const text of ["a", "b", "c"]) expect(add(text)).toBe(true);
    expect(writes).toEqual([]);
    turn();
    expect(writes).toEqual(["a|b|c"]);
  });

  it("has one write on its way, and sends what came meanwhile as soon as that has left", () => {
    const { add, turn, wrote, writes } = setup();
    add("a");
    turn();
    add("b");
    turn();
    add("c");
    turn();
    expect(writes).toEqual(["a"]);
    wrote();
    expect(writes).toEqual(["a", "b|c"]);
    wrote();
    add("d");
    turn();
    expect(writes).toEqual(["a", "b|c", "d"]);
  });

  it("has room up to its bytes, and then when they are sent", async () => {
    const { add, turn, wrote, writes, hasRoom } = setup(10);
    add("a");
    turn();
    expect(add("123456789")).toBe(true);
    expect(await hasRoom()).toBe(true);
    expect(add("0")).toBe(false);
    expect(await hasRoom()).toBe(false);
    wrote();
    expect(writes.at(-1)).toBe("123456789|0");
    expect(await hasRoom()).toBe(true);
  });

  it("sends a message that is longer than its bytes", () => {
    const { add, turn, writes } = setup(2);
    expect(add("long")).toBe(false);
    turn();
    expect(writes).toEqual(["long"]);
  });

  it("sends what waits when it is finished, also behind what is on its way, and nothing later", () => {
    const { writer, add, turn, wrote, writes } = setup();
    add("a");
    turn();
    add("b");
    writer.finish();
    expect(writes).toEqual(["a", "b"]);
    add("c");
    turn();
    wrote();
    expect(writes).toEqual(["a", "b"]);
  });

  it("drops what waits when the stream is gone, and keeps nobody waiting", async () => {
    const { writer, add, turn, wrote, writes, hasRoom } = setup(1);
    add("a");
    turn();
    expect(add("b")).toBe(false);
    const waiting = writer.room();
    wrote(new Error("gone"));
    await waiting;
    expect(await hasRoom()).toBe(true);
    expect(writer.isClosed).toBe(true);
    expect(add("c")).toBe(true);
    turn();
    expect(writes).toEqual(["a"]);
  });

  it("loses nothing, changes no order, and never lets more wait than its bytes and a message", () => {
    const step = fc.oneof(
      fc.record({ add: fc.string({ minLength: 1, maxLength: 6, unit: fc.constantFrom("x", "y") }) }),
      fc.constant("turn" as const),
      fc.constant("wrote" as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { writer, add, turn, wrote, writes } = setup(8);
        const added: string[] = [];
        let room = true;
        for (const one of steps) {
          if (typeof one === "object") {
            if (!room) continue;
            added.push(one.add);
            room = add(one.add);
          } else {
            const before = writes.length;
            if (one === "turn") turn();
            else wrote();
            if (writes.length > before) room = true;
          }
          const waiting = added.join("").length - writes.join("").replaceAll("|", "").length;
          expect(waiting).toBeLessThan(8 + 6);
        }
        writer.finish();
        expect(writes.flatMap((write) => write.split("|"))).toEqual(added);
      }),
    );
  });
});
