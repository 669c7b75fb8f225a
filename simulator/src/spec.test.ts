import { describe, expect, it } from "vitest";
import { parseOrphanPolicy } from "./faults/orphan.js";
import { parseCallee, parseFault } from "./spec.js";

describe("parseCallee()", () => {
  it("reads every kind", () => {
    expect(parseCallee("never")).toEqual({ kind: "never" });
    expect(parseCallee("picks_up:3")).toMatchObject({ kind: "picksUp", afterSeconds: 3 });
    expect(parseCallee("rejects")).toEqual({ kind: "rejects", afterSeconds: 2 });
    expect(parseCallee("says:1:Hello: it is me")).toMatchObject({
      kind: "picksUp",
      afterSeconds: 1,
      script: [{ do: "wait" }, { do: "say", text: "Hello: it is me" }],
    });
    expect(parseCallee("voicemail:4")).toMatchObject({ afterSeconds: 4 });
    expect(parseCallee("hangs_up")).toMatchObject({ kind: "picksUp" });
  });

  it.each(["", "dances", "picks_up:soon"])("refuses %j", (text) => {
    expect(() => parseCallee(text)).toThrow();
  });
});

describe("parseFault()", () => {
  it("reads name, time and argument", () => {
    expect(parseFault("drop_media@5.5:1011")).toEqual({
      name: "drop_media",
      atSeconds: 5.5,
      argument: "1011",
    });
    expect(parseFault("delay:call.connect=2000")).toEqual({
      name: "delay",
      atSeconds: 0,
      argument: "call.connect=2000",
    });
  });

  it.each(["", "explode", "drop_media@soon"])("refuses %j", (text) => {
    expect(() => parseFault(text)).toThrow("unknown fault");
  });
});

describe("parseOrphanPolicy()", () => {
  it("reads the four policies", () => {
    expect(parseOrphanPolicy("list_only")).toBe("list_only");
    expect(parseOrphanPolicy("busy_for:2.5")).toEqual({ policy: "busy_for", seconds: 2.5 });
    expect(() => parseOrphanPolicy("busy_for")).toThrow("unknown orphan policy");
  });
});
