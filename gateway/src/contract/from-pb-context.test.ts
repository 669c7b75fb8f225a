import type { ContextStatus } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { toPbContext } from "./convert-context.js";
import { contextHeaderFromPb } from "./from-pb-context.js";
import { context } from "./testing.js";

describe("contextHeaderFromPb()", () => {
  it("is the other way of toPbContext without turns", () => {
    const time = new Date("2026-01-01T00:00:02.125Z");
    const whole = context({
      status: "ESCALATING",
      escalationReason: "FRUSTRATED",
      summarySource: "RULES",
      escalationOutcome: "CONNECTED",
      consent: { disclosedTime: time, transcript: true },
      notes: [{ time, author: "client:desk", text: "Called back" }],
      conflicts: [{ time, field: "summary", value: "other", writeTime: time }],
      updateTime: time,
    });
    expect(contextHeaderFromPb(toPbContext(whole, true), "default")).toEqual({
      ...whole,
      turns: [],
      truncated: true,
    });
  });

  it("refuses what is no context", () => {
    const pb = toPbContext(context(), false);
    expect(() => contextHeaderFromPb({ ...pb, callId: "" }, "default")).toThrow(/call_id/);
    expect(() => contextHeaderFromPb({ ...pb, status: 99 as ContextStatus }, "default")).toThrow(/status/);
  });
});
