import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { setHeapGrowth } from "./heap-growth.js";

it("tells V8 by how much the heap may grow, and nothing at 0", () => {
  const told: string[] = [];
  setHeapGrowth(200, (flags) => told.push(flags));
  setHeapGrowth(0, (flags) => told.push(flags));
  expect(told).toEqual(["--heap-growing-percent=200"]);
});

it("is something that this V8 knows, also while it runs", () => {
  expect(String(execFileSync(process.execPath, ["--v8-options"]))).toContain("--heap-growing-percent ");
  expect(() => setHeapGrowth(200)).not.toThrow();
});
