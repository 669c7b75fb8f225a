import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepPair, PAIRS_PICTURE, pairsChart, readPairs } from "./pair-results.js";
import { pairResultOf } from "./testing.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "callweave-pairs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("kept pairs", () => {
  const keep = (...[name, second]: Parameters<typeof pairResultOf>) =>
    keepPair(pairResultOf(name, second), folder, folder);

  it("are none at first", () => {
    expect(readPairs(folder)).toEqual([]);
  });

  it("stay when another is kept, and are in the order of their names' list", () => {
    keep("desks");
    const paths = keep("nats-agent");
    expect(paths).toEqual([join(folder, "nats-agent.json"), join(folder, PAIRS_PICTURE)]);
    expect(readPairs(folder).map(({ name }) => name)).toEqual(["nats-agent", "desks"]);
  });

  it("are as they were found, and the last time counts", () => {
    keep("desks", { cpuSecondsPerCallMinute: 0.9 });
    keep("desks", { cpuSecondsPerCallMinute: 0.4 });
    expect(readPairs(folder)).toEqual([pairResultOf("desks", { cpuSecondsPerCallMinute: 0.4 })]);
  });

  it("have one chart with both sides of each, the second in colour", () => {
    keep("desks", { cpuSecondsPerCallMinute: 0.3 });
    keep("context-saves", { cpuSecondsPerCallMinute: 0.4 });
    const chart = readFileSync(join(folder, PAIRS_PICTURE), "utf8");
    expect(chart.match(/(?<=text-anchor="end">)[a-z-]+: [a-z]+/g)).toEqual([
      "context-saves: first",
      "context-saves: second",
      "desks: first",
      "desks: second",
    ]);
    expect(chart.match(/#2f6f9f/g)).toHaveLength(2);
    expect(chart).toContain(">0.400<");
  });

  it("of which nothing counts have no bar, kept or not", () => {
    keep("desks", { invalid: "late" });
    for (const pairs of [[pairResultOf("desks", { invalid: "late" })], readPairs(folder)])
      expect(pairsChart(pairs)).not.toMatch(/NaN|null/);
  });
});
