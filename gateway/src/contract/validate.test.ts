import { describe, expect, it } from "vitest";
import {
  callId,
  date,
  durationMs,
  line,
  locale,
  name,
  phone,
  requestId,
  text,
  uuid,
  whole,
} from "./validate.js";

const accepts = (check: () => unknown) => {
  try {
    check();
    return true;
  } catch {
    return false;
  }
};

describe("validate", () => {
  it("call ids: printable, without what would break a subject or a path (fault 44)", () => {
    const good = ["c-1", "2f0c…é", "a.b:c|d@e#f", "x".repeat(200), "{7}"];
    const bad = [
      "",
      "a b",
      "a/b",
      "a*",
      "a>",
      "a\n",
      "a\u0000",
      "a\u0085",
      "\u2028",
      "\ud800",
      "x".repeat(201),
      "a\u200b",
    ];
    expect(good.filter((id) => !accepts(() => callId("call_id", id)))).toEqual([]);
    expect(bad.filter((id) => accepts(() => callId("call_id", id)))).toEqual([]);
  });

  it("request ids, names, UUIDs", () => {
    expect(requestId("request_id", "")).toBe("");
    expect(accepts(() => requestId("request_id", "", true))).toBe(false);
    expect(accepts(() => requestId("request_id", "x".repeat(100)))).toBe(true);
    expect(accepts(() => requestId("request_id", "x".repeat(101)))).toBe(false);
    expect(["a", "A.b_c-9"].every((one) => accepts(() => name("pool", one)))).toBe(true);
    expect(["", "a b", "ä", "x".repeat(65)].some((one) => accepts(() => name("pool", one)))).toBe(false);
    expect(uuid("instance_id", "0A0A0A0A-0000-4000-8000-00000000000F")).toBe(
      "0a0a0a0a-0000-4000-8000-00000000000f",
    );
    expect(accepts(() => uuid("instance_id", "", true))).toBe(false);
  });

  it("texts, locales, numbers of phones", () => {
    expect(accepts(() => text("text", "a\nb", 1, 3))).toBe(true);
    expect(accepts(() => line("name", "a\nb", 1, 3))).toBe(false);
    expect(["", "en", "de-AT", "zh-Hant-TW"].every((one) => accepts(() => locale("locale", one)))).toBe(true);
    expect(["e", "en_US", "en-", "x".repeat(40)].some((one) => accepts(() => locale("locale", one)))).toBe(
      false,
    );
    expect(
      ["+15550100", "(555) 0100", "0155 50100"].every((one) => accepts(() => phone("caller", one, true))),
    ).toBe(true);
    expect(["", "abc", "1".repeat(65), "1\n"].some((one) => accepts(() => phone("caller", one, true)))).toBe(
      false,
    );
    try {
      phone("caller", "no number here", true);
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain("no number here");
    }
  });

  it("whole numbers, durations, times", () => {
    expect(whole("page_size", 0, 1, 1000, 100)).toBe(100);
    expect(accepts(() => whole("page_size", 1001, 1, 1000, 100))).toBe(false);
    expect(durationMs("wait", { seconds: 1, nanos: 500_400_000 }, 0, 2_000, 0)).toBe(1_500);
    expect(accepts(() => durationMs("wait", { seconds: 1, nanos: 1_000_000_000 }, 0, 5_000, 0))).toBe(false);
    expect(accepts(() => durationMs("wait", { seconds: 2 ** 60, nanos: 0 }, 0, 5_000, 0))).toBe(false);
    expect(date("time", { seconds: 1, nanos: 999_999_999 })?.getTime()).toBe(1_999);
    expect(date("time", undefined)).toBeUndefined();
    expect(accepts(() => date("time", { seconds: 253_402_300_800, nanos: 0 }))).toBe(false);
  });

  it("say the field, the rule and the value", () => {
    expect(() => whole("page_size", 5000, 1, 1000, 100)).toThrow(
      expect.objectContaining({
        message: "page_size must be from 1 to 1000",
        metadata: { field: "page_size", rule: "from 1 to 1000", value: "5000" },
      }),
    );
  });
});
