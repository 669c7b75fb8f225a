import { describe, expect, it } from "vitest";
import { heardText, SentenceSplitter } from "./heard.js";

const piece = (text: string, ms: number, complete = true) => ({ text, ms, complete });

describe("heardText", () => {
  const pieces = [piece("One two three four.", 400), piece("Five six.", 200)];

  it.each([
    [0, ""],
    [99, ""],
    [100, "One"],
    [250, "One two"],
    [400, "One two three four."],
    [500, "One two three four. Five"],
    [600, "One two three four. Five six."],
    [9_999, "One two three four. Five six."],
  ])("after %d ms: %s", (ms, text) => {
    expect(heardText(pieces, ms)).toBe(text);
  });

  it("guesses the length of a piece that was still being made", () => {
    expect(heardText([piece("one two three four", 700, false)], 700)).toBe("one two");
  });
});

describe("SentenceSplitter", () => {
  it("gives sentences as soon as they are complete", () => {
    const splitter = new SentenceSplitter();
    expect(splitter.push("One. Tw")).toEqual(["One."]);
    expect(splitter.push("o! Three")).toEqual(["Two!"]);
    expect(splitter.push(" 3.5 and")).toEqual([]);
    expect(splitter.end()).toEqual(["Three 3.5 and"]);
    expect(splitter.end()).toEqual([]);
  });

  it("cuts what has no end", () => {
    const splitter = new SentenceSplitter(10);
    const all = [...splitter.push("aaaa bbbb cccc dddd"), ...splitter.end()];
    expect(all.join(" ")).toBe("aaaa bbbb cccc dddd");
    for (const part of all) expect(part.length).toBeLessThanOrEqual(10);
  });

  it("cuts a word that is too long for a sentence", () => {
    const splitter = new SentenceSplitter(5);
    expect([...splitter.push("aaaaaaaaaa"), ...splitter.end()].join("")).toBe("aaaaaaaaaa");
  });
});
