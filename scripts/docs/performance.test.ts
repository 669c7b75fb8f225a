import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keepPair } from "../../bench/pairs/pair-results.js";
import { pairResultOf } from "../../bench/pairs/testing.js";
import { benchPairs } from "./performance.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "callweave-pairs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("the pairs in docs/performance.md", () => {
  it("say what measures them when they were not kept", () => {
    const lines = benchPairs(folder).split("\n\n");
    expect(lines).toHaveLength(5);
    expect(lines[0]).toBe("Not measured yet: `npm run bench -- --only nats-agent --save`.");
  });

  it("have their origin, a table and one chart", () => {
    keepPair(pairResultOf("desks", { cpuSecondsPerCallMinute: 0.21 }), folder, folder);
    const parts = benchPairs(folder).split("\n\n");
    expect(parts).toHaveLength(7);
    expect(parts[4]).toBe(
      "`npm run bench -- --only desks`, 2026-11-25, 2 cores (a machine), Node 20.1.0; 1 run was thrown away.",
    );
    expect(parts[5]).toContain("| gateways, CPU s per call-minute | 0.200 | 0.210 | × 1.05 |");
    expect(parts[6]).toBe("![pairs](pictures/bench-pairs.svg)");
  });
});
