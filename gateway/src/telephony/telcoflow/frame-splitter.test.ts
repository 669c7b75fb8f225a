import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  binary,
  bothWays,
  cuts,
  encode,
  good,
  MAX_PAYLOAD_BYTES,
  mixed,
  split,
  UPGRADED,
} from "./frame-rig.js";
import { FrameSplitter } from "./frame-splitter.js";

describe("FrameSplitter", () => {
  it("changes nothing of what is heard, in what order, however the bytes are cut (faults 31, 32)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(good, { maxLength: 15 }), cuts, async (frames, at) => {
        const { reader, expected } = await bothWays(frames.flat(), at);
        expect(reader.log).toEqual(expected.log);
        expect(reader.failed).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("hands on what breaks the protocol, and takes nothing behind it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(mixed, { maxLength: 15 }), cuts, async (frames, at) => {
        const { reader, expected } = await bothWays(frames.flat(), at);
        expect(reader.failed).toBe(expected.failed);
        expect(reader.log).toEqual(expected.log);
      }),
      { numRuns: 500 },
    );
  });

  it("takes whole messages alone: one in two pieces is handed on, the next is taken", async () => {
    const one = encode(binary(new Uint8Array(960).fill(1)));
    const bytes = Buffer.concat([one, one, one]);
    expect((await split(bytes, [])).taken).toBe(3);
    expect((await split(bytes, [UPGRADED.length + one.length + 500])).taken).toBe(2);
    expect((await split(bytes, [UPGRADED.length + 1])).taken).toBe(2);
  });

  it("takes no message that is larger than the limit, and one that is just as large", async () => {
    expect((await split(encode(binary(new Uint8Array(MAX_PAYLOAD_BYTES))), [])).taken).toBe(1);
    const { reader, taken } = await split(encode(binary(new Uint8Array(MAX_PAYLOAD_BYTES + 1))), []);
    expect({ taken, failed: reader.failed }).toEqual({ taken: 0, failed: true });
  });

  it("takes nothing while something waits, and keeps the order", async () => {
    const bytes = Buffer.concat([1, 2, 3, 4].map((n) => encode(binary(Uint8Array.of(n)))));
    let asked = 0;
    const { reader, taken } = await split(bytes, [], () => asked++ % 2 === 0);
    expect(taken).toBe(2);
    expect(reader.log).toEqual(["binary 01", "binary 02", "binary 03", "binary 04"]);
  });

  it("takes nothing behind a close", async () => {
    const close = encode({ first: 0x88, payload: Uint8Array.of(0x03, 0xe8) });
    const { reader, taken } = await split(Buffer.concat([close, encode(binary(Uint8Array.of(1)))]), []);
    expect({ taken, log: reader.log }).toEqual({ taken: 0, log: ["close 1000"] });
  });

  it.each([
    ["a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\n", 0],
    ["an answer that comes before the one that counts", "HTTP/1.1 100 Continue\r\n\r\n", 1],
    ["an answer without end", `HTTP/1.1 101 Switching Protocols\r\n${"x".repeat(70_000)}`, 0],
  ])("looks for the upgrade: %s", (_what, before, expected) => {
    let taken = 0;
    const rest: Buffer[] = [];
    const splitter = new FrameSplitter(MAX_PAYLOAD_BYTES, {
      takesBinary: () => true,
      onBinary: () => {
        taken++;
      },
      onRest: (bytes) => rest.push(Buffer.from(bytes)),
    });
    const sent = Buffer.concat([Buffer.from(before + UPGRADED), encode(binary(Uint8Array.of(1, 2)))]);
    // The message comes whole: nothing but where frames begin is in question.
    for (let at = 0; at < sent.length - 4; at += 7)
      splitter.push(sent.subarray(at, Math.min(at + 7, sent.length - 4)));
    splitter.push(sent.subarray(sent.length - 4));
    expect(taken).toBe(expected);
    splitter.push(encode(binary(Uint8Array.of(3, 4))));
    expect(taken).toBe(2 * expected);
    expect(Buffer.concat(rest).length).toBe(sent.length + 4 - 4 * taken);
  });
});
