import { describe, expect, it } from "vitest";
import { clientFrame } from "./client-frame.js";
import { newReceiver } from "./frame-rig.js";

/** What a server reads. */
function read(frame: Buffer): Buffer[] {
  const heard: Buffer[] = [];
  const receiver = newReceiver({ isServer: true, maxPayload: 2 ** 20 });
  receiver.on("message", (data: Buffer, isBinary: boolean) => {
    expect(isBinary).toBe(true);
    heard.push(Buffer.from(data));
  });
  receiver.write(frame);
  return heard;
}

describe("clientFrame", () => {
  it.each([0, 1, 125, 126, 127, 961, 65_535, 65_536, 100_000])("frames %i bytes, masked", (length) => {
    const payload = Buffer.from(Array.from({ length: length + 3 }, (_, i) => i & 0xff));
    const before = Buffer.from(payload);
    const frame = clientFrame(payload, length);
    expect(payload.equals(before)).toBe(true);
    expect((frame[1] as number) & 0x80).toBe(0x80);
    const heard = read(frame);
    expect(heard.length).toBe(1);
    expect(heard[0]?.equals(payload.subarray(0, length))).toBe(true);
  });

  it("masks each frame with bytes of its own", () => {
    const payload = Buffer.alloc(961);
    const seen = new Set<string>();
    // More than are drawn at once.
    for (let i = 0; i < 5_000; i++) seen.add(clientFrame(payload, 961).toString("hex", 4, 8));
    expect(seen.size).toBeGreaterThan(4_900);
  });
});
