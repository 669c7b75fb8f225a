import { describe, expect, it } from "vitest";
import { type CapacityRound, capacityRatios, capacityRow } from "./capacity.js";

const round = (passed: number, harnessLimited = false): CapacityRound => ({
  passed,
  failed: passed + 50,
  harnessLimited,
  tries: [],
});

describe("capacity", () => {
  it("is the median of the rounds", () => {
    const row = capacityRow(
      "sdk",
      [400, 250, 300, 300, 200].map((passed) => round(passed)),
    );
    expect(row).toMatchObject({ variant: "sdk", passed: 300, harnessLimited: false });
  });

  it("is 'at least' where a round that was not above it was the harness's limit, and not for one above it", () => {
    expect(capacityRow("relay", [round(800, true), round(700), round(650)]).harnessLimited).toBe(false);
    expect(capacityRow("relay", [round(800), round(700, true), round(650)]).harnessLimited).toBe(true);
    expect(capacityRow("relay", [round(800), round(700), round(650, true)]).harnessLimited).toBe(true);
  });

  it("is compared round by round, and not with one that passed nothing in some round", () => {
    const rows = [
      capacityRow("gateway", [round(600), round(700), round(800)]),
      capacityRow("sdk", [round(200), round(350), round(200)]),
      capacityRow("relay", [round(0), round(700), round(800)]),
    ];
    const ratios = capacityRatios(rows);
    expect(ratios["gateway/sdk"]).toEqual({ median: 3, min: 2, max: 4 });
    expect(ratios["relay/gateway"]).toEqual({ median: 1, min: 0, max: 1 });
    expect(Object.keys(ratios)).not.toContain("gateway/relay");
  });
});
