import { describe, expect, it } from "vitest";
import { parseOptions, UsageError } from "./options.js";

describe("parseOptions", () => {
  it("has defaults", () => {
    expect(parseOptions([], {})).toEqual({
      caller: "asks",
      callee: "picks-up",
      out: undefined,
      playOutMs: 1000,
      once: false,
      open: false,
      json: false,
      requireSpeech: false,
    });
  });

  it("reads all options, with = or without", () => {
    const args = [
      "--caller=silent",
      "--callee",
      "voicemail",
      "--out",
      "x",
      "--play-out-ms=3000",
      "--once",
      "--open",
      "--json",
    ];
    expect(parseOptions(args, {})).toMatchObject({
      caller: "silent",
      callee: "voicemail",
      out: "x",
      playOutMs: 3000,
      once: true,
      open: true,
      json: true,
    });
  });

  it("requires speech when asked to, and in CI", () => {
    expect(parseOptions(["--require-speech"], {})).toMatchObject({ requireSpeech: true });
    expect(parseOptions([], { CI: "true" })).toMatchObject({ requireSpeech: true });
  });

  it("gives help", () => {
    expect(parseOptions(["--help", "--caller=asks"], {})).toBe("help");
  });

  it.each([[["--caller=shouts"]], [["--callee=x"]], [["--play-out-ms=1"]], [["--what"]], [["word"]]])(
    "refuses %j",
    (args) => {
      expect(() => parseOptions(args, {})).toThrow(UsageError);
    },
  );
});
