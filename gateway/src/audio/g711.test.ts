import { describe, expect, it } from "vitest";
import { decodeG711, encodeG711, type G711Law } from "./g711.js";

const decode = (law: G711Law, byte: number) => decodeG711(law, Uint8Array.of(byte))[0];
const encode = (law: G711Law, sample: number) => encodeG711(law, Int16Array.of(sample))[0];

describe("g711", () => {
  it("knows the corners of µ-law", () => {
    expect([0xff, 0x7f, 0x80, 0x00].map((b) => (decode("MULAW", b) as number) + 0)).toEqual([
      0, 0, 32_124, -32_124,
    ]);
    expect([0, 32_767, -32_768, 132, -132].map((s) => encode("MULAW", s))).toEqual([
      0xff, 0x80, 0x00, 0xef, 0x6f,
    ]);
  });

  it("knows the corners of A-law", () => {
    expect([0xd5, 0x55, 0xaa, 0x2a].map((b) => decode("ALAW", b))).toEqual([8, -8, 32_256, -32_256]);
    expect([0, -1, 32_767, -32_768].map((s) => encode("ALAW", s))).toEqual([0xd5, 0x55, 0xaa, 0x2a]);
  });

  it.each<G711Law>(["MULAW", "ALAW"])("gives each byte of %s back", (law) => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const back = encodeG711(law, decodeG711(law, bytes));
    // µ-law has two zeros; the negative one becomes the positive one.
    const expected = bytes.map((b) => (law === "MULAW" && b === 0x7f ? 0xff : b));
    expect(back).toEqual(expected);
  });

  it.each<G711Law>(["MULAW", "ALAW"])("is within half a step of %s for every sample it can carry", (law) => {
    for (let sample = -32_400; sample <= 32_400; sample++) {
      const back = decode(law, encode(law, sample) as number) as number;
      if (Math.abs(back - sample) > Math.abs(sample) / 32 + 9) expect.fail(`${sample} became ${back}`);
    }
  });
});
