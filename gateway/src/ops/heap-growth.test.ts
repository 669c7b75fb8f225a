import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { collectAlone, setHeapGrowth } from "./heap-growth.js";

function told(percent: number): string[] {
  const said: string[] = [];
  setHeapGrowth(
    percent,
    (flags) => said.push(flags),
    () => said.push("collect"),
  );
  return said;
}

it("tells V8 by how much the heap may grow, and lets it count from now", () => {
  expect(told(1)).toEqual(["--heap-growing-percent=1", "collect"]);
  expect(told(1000)).toEqual(["--heap-growing-percent=1000", "collect"]);
});

it("leaves V8 alone at 0", () => {
  expect(told(0)).toEqual([]);
});

it("is something that this V8 knows, also while it runs, and collects", () => {
  expect(String(execFileSync(process.execPath, ["--v8-options"]))).toContain("--heap-growing-percent ");
  const before = process.memoryUsage().heapUsed;
  let garbage: unknown = Array.from({ length: 1_000_000 }, (_, i) => ({ i }));
  expect(garbage).toHaveLength(1_000_000);
  garbage = undefined;
  setHeapGrowth(200);
  expect(process.memoryUsage().heapUsed).toBeLessThan(before + 20_000_000);
});

it.each([
  [1, 1, true],
  [1, 2, false],
  [2, 2, true],
  [2, 3, true],
  [2, 4, false],
])("collects in its own thread where %i gateways have %i cores: %s", (gateways, cores, alone) => {
  const said: string[] = [];
  collectAlone(gateways, cores, (flags) => said.push(flags));
  expect(said).toEqual(alone ? ["--no-concurrent-marking", "--no-parallel-scavenge"] : []);
});

it("asks this V8 for something that it knows", () => {
  const options = String(execFileSync(process.execPath, ["--v8-options"]));
  expect(options).toContain("--concurrent-marking ");
  expect(options).toContain("--parallel-scavenge ");
});
