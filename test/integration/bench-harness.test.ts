/** The benchmark's own programs: whether what they say can be trusted. Needs Go. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../../bench/child.js";
import { goProgram } from "../../bench/go-program.js";
import { problemsOf, summarizeCell } from "../../bench/suites/cell-summary.js";
import { harness, type PlantedFaults } from "../../bench/suites/harness.js";
import { runCell } from "../../bench/suites/rounds.js";
import { variantOf } from "../../bench/suites/variants.js";

const available = goProgram() !== undefined;
if (!available) console.log("skipped: no Go, so no load generator of the benchmark");

const LOAD = { calls: 5, warmUpSeconds: 0.2, seconds: 2 };

function baseline(faults: PlantedFaults, anyMachine: boolean) {
  const cell = { variant: variantOf("baseline"), load: LOAD };
  return runCell(cell, 1, { retries: 0, anyMachine, harness: harness(faults) });
}

describe.skipIf(!available)("the programs of the benchmark", () => {
  it("pass their own tests", () => {
    const go = (...args: string[]) =>
      spawnSync("go", args, { cwd: join(ROOT, "bench/go"), encoding: "utf8", timeout: 50_000 });
    const format = spawnSync("gofmt", ["-l", join(ROOT, "bench/go")], { encoding: "utf8" });
    expect(format.stdout).toBe("");
    expect(go("vet", "./...")).toMatchObject({ status: 0 });
    const test = go("test", "./...");
    expect(test.status, `${test.stdout}${test.stderr}`).toBe(0);
  });

  it("bring every frame back, each call its own", async () => {
    const { run } = await baseline({}, true);
    expect(run).toMatchObject({ framesLost: 0, outOfOrder: 0, corrupt: 0, coreShare: 0 });
    // Five calls, fifty frames a second, on a machine that may be busy.
    expect(run?.framesSent).toBeGreaterThan(300);
    expect(run?.upMs.p50).toBeGreaterThan(0);
    expect(run?.downMs.p50).toBeGreaterThan(0);
  });

  it("say that the load generator is late, and the run is thrown away", async () => {
    const outcome = await baseline({ holdUpMs: 40 }, false);
    expect(outcome.run).toBeUndefined();
    expect(outcome.thrownAway.join()).toContain("the generator was late");
  });

  it("say that frames were lost, and it is not ok", async () => {
    const outcome = await baseline({ loseEvery: 80 }, true);
    const cell = summarizeCell([outcome], "baseline", LOAD.calls);
    expect(problemsOf([cell]).join()).toMatch(/frames lost/);
  });
});
