import { describe, expect, it } from "vitest";
import { check } from "./check.js";
import { TARGETS } from "./targets/index.js";

// For the coverage alone (coverage.config.ts): few inputs of every target, always the same ones.
const INPUTS = 150;

describe("fuzz targets", () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))("%s", async (_name, target) => {
    // Timings are the business of the fuzzer: here code runs under measurement.
    const unhurried = { ...target, boundMs: 60_000 };
    const { finding } = await check(unhurried, { seed: 1, inputs: INPUTS });
    expect(finding).toBeUndefined();
  });
});
