import { describe, expect, it } from "vitest";
import { randomOf } from "../marathon/plan.js";
import { trendOf } from "./slope.js";

const RSS = { name: "rssMb", share: 0.05, allowance: 8 } as const;
const random = randomOf(4);
/** 200 MB that swings by 30 MB, as garbage does, with a growth over the whole window. */
const memory = (growth: number, count = 200) =>
  Array.from({ length: count }, (_, i) => 200 + random() * 30 + (growth * i) / (count - 1));

describe("the slope of a soak", () => {
  it("lets what swings be, and finds what grows", () => {
    expect(trendOf(memory(0), RSS)).toMatchObject({ ok: true, name: "rssMb" });
    expect(trendOf(memory(40), RSS)).toMatchObject({ ok: false });
    expect(trendOf(memory(-60), RSS).ok).toBe(true);
  });

  it("is not moved by single peaks", () => {
    const samples = memory(0);
    samples[150] = 2_000;
    samples[180] = 2_000;
    expect(trendOf(samples, RSS).ok).toBe(true);
  });

  it("has its edge at share and allowance", () => {
    const exact = { name: "handles", share: 0, allowance: 9 } as const;
    const handles = (last: number) => Array.from({ length: 10 }, (_, i) => 100 + (last * i) / 9);
    expect(trendOf(handles(9), exact)).toMatchObject({ growth: 9, allowed: 9, ok: true });
    expect(trendOf(handles(9.1), exact).ok).toBe(false);
  });

  it("says nothing from too little", () => {
    expect(() => trendOf([1, 2, 3], RSS)).toThrow(RangeError);
  });
});
