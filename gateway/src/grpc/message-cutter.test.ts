import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageCutter } from "./message-cutter.js";

function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function cutAll(cutter: MessageCutter, chunks: readonly Buffer[]) {
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    const rest = cutter.cut(chunk, (bytes, from, to) => messages.push(bytes.subarray(from, to)) > 0);
    if (rest) return { messages, rest };
  }
  return { messages, rest: undefined };
}

describe("MessageCutter", () => {
  it("cuts the same messages however the stream is cut into chunks", () => {
    const message = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 20 }), fc.array(fc.nat(60)), (sent, sizes) => {
        const stream = Buffer.concat(sent.map((one) => framed(one)));
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of sizes) {
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        chunks.push(stream.subarray(at));
        const cutter = new MessageCutter(1000);
        const { messages, rest } = cutAll(cutter, chunks);
        expect(rest).toBeUndefined();
        expect(messages.map((one) => [...one])).toEqual(sent.map((one) => [...one]));
        expect(cutter.waiting).toBe(0);
      }),
    );
  });

  it("copies nothing of a message that came in one chunk", () => {
    const chunk = framed(Buffer.from("abc"));
    const { messages } = cutAll(new MessageCutter(3), [chunk]);
    expect(messages[0]?.buffer).toBe(chunk.buffer);
  });

  it.each([
    ["compressed", framed(Buffer.from("zip"), 1)],
    ["one byte too large", framed(Buffer.alloc(4))],
  ])("hands back a message that is %s, and all behind it", (_what, odd) => {
    const first = framed(Buffer.from("abc"));
    const last = framed(Buffer.from("xyz"));
    const { messages, rest } = cutAll(new MessageCutter(3), [Buffer.concat([first, odd, last])]);
    expect(messages.map(String)).toEqual(["abc"]);
    expect(rest).toEqual(Buffer.concat([odd, last]));
  });

  it("hands a large message back by its length, before its bytes have come", () => {
    const prefix = framed(Buffer.alloc(4)).subarray(0, 5);
    expect(cutAll(new MessageCutter(3), [prefix.subarray(0, 2), prefix.subarray(2)]).rest).toEqual(prefix);
  });

  it("takes any size without a limit", () => {
    const { messages } = cutAll(new MessageCutter(-1), [framed(Buffer.alloc(100_000))]);
    expect(messages[0]?.length).toBe(100_000);
  });

  it("stops when it is told so", () => {
    const chunk = Buffer.concat([framed(Buffer.from("a")), framed(Buffer.from("b"))]);
    const seen: string[] = [];
    const rest = new MessageCutter(10).cut(
      chunk,
      (bytes, from, to) => seen.push(bytes.toString("utf8", from, to)) < 1,
    );
    expect(seen).toEqual(["a"]);
    expect(rest).toEqual(framed(Buffer.from("b")));
  });

  it("joins a message of many chunks once", () => {
    const cutter = new MessageCutter(1_000_000);
    const stream = framed(Buffer.alloc(900_000, 7));
    let joined = 0;
    const { concat } = Buffer;
    Buffer.concat = (...args) => {
      joined++;
      return concat(...args);
    };
    try {
      for (let at = 0; at < stream.length; at += 1000) cutter.cut(stream.subarray(at, at + 1000), () => true);
    } finally {
      Buffer.concat = concat;
    }
    expect(joined).toBe(1);
    expect(cutter.waiting).toBe(0);
  });
});
