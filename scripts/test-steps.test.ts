import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Counts, command, countLastLine, countVitest, runSteps, type Step } from "./test-steps.js";

const good: Step = { name: "good", what: "", run: async () => ({ passed: 2, failed: 0 }) };

async function run(steps: readonly Step[], ci = true, wanted: readonly string[] = []) {
  const lines: string[] = [];
  const code = await runSteps(steps, { ci, wanted, print: (line) => lines.push(line) });
  return { code, lines, last: lines.at(-1) };
}

describe("the test command", () => {
  it("passes when everything passed, and counts it", async () => {
    expect(await run([good, { ...good, name: "more" }])).toMatchObject({
      code: 0,
      last: "4 passed, 0 failed",
    });
  });

  it.each<[string, () => Promise<Counts>]>([
    ["fails", async () => ({ passed: 1, failed: 1 })],
    ["throws", () => Promise.reject(new Error("boom"))],
    ["cannot be counted", async () => ({ passed: 1, failed: undefined as unknown as number })],
    ["counts nonsense", async () => ({ passed: Number.NaN, failed: 0 })],
  ])("fails when a step %s, whatever comes after", async (_, step) => {
    const { code, last } = await run([{ name: "bad", what: "", run: step }, good]);
    expect(code).toBe(1);
    expect(last).toMatch(/^\d+ passed, [1-9]\d* failed$/);
  });

  it("fails when nothing ran", async () => {
    expect((await run([])).code).toBe(1);
  });

  it("names what it leaves out and why, and leaves nothing out in CI", async () => {
    const long: Step = { ...good, name: "long", longBecause: "an hour; run: npm test -- long" };
    expect((await run([good, long], false)).lines).toContain(
      "- long (): skipped, an hour; run: npm test -- long",
    );
    expect((await run([good, long], true)).last).toBe("4 passed, 0 failed");
    expect((await run([good, long], false, ["long"])).last).toBe("2 passed, 0 failed");
  });

  it("fails without a toolchain in CI and when asked by name, and skips with the reason else", async () => {
    const needy: Step = { ...good, name: "needy", needs: ["no-such-program-here"] };
    expect((await run([needy, good], true)).code).toBe(1);
    expect((await run([needy, good], false, ["needy"])).code).toBe(1);
    const quick = await run([needy, good], false);
    expect(quick).toMatchObject({ code: 0, last: "2 passed, 0 failed" });
    expect(quick.lines[0]).toContain("no-such-program-here is not installed");
  });

  it("refuses a step that does not exist", async () => {
    await expect(run([good], false, ["godo"])).rejects.toThrow("no such step: godo");
  });
});

describe("counting", () => {
  it("takes a command by its exit code, and ends what hangs with all it started", async () => {
    expect(await command(process.execPath, ["-e", ""])).toMatchObject({ passed: 1, failed: 0 });
    expect(await command(process.execPath, ["-e", "process.exit(3)"])).toMatchObject({
      passed: 0,
      failed: 1,
    });
    expect(await command("no-such-program-here", [])).toMatchObject({ passed: 0, failed: 1 });
    const hanging = await command(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
      timeoutMs: 300,
    });
    expect(hanging.failed).toBe(1);
  });

  it("takes the last line, and fails when it has no counts or the program failed", () => {
    expect(countLastLine('x\n{"passed":3,"failed":0}\n', true)).toEqual({ passed: 3, failed: 0 });
    expect(countLastLine('{"passed":3,"failed":0}', false).failed).toBe(1);
    expect(() => countLastLine("all fine", true)).toThrow();
  });

  it("counts a skipped test as failed in CI, and an error outside of tests always", () => {
    const report = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, testResults: [] };
    const file = join(mkdtempSync(join(tmpdir(), "callweave-report-")), "report.json");
    writeFileSync(file, JSON.stringify(report));
    expect(countVitest(file, true, false)).toEqual({ passed: 5, failed: 0 });
    expect(countVitest(file, true, true)).toEqual({ passed: 5, failed: 1 });
    expect(countVitest(file, false, false)).toEqual({ passed: 5, failed: 1 });
    rmSync(join(file, ".."), { recursive: true, force: true });
  });
});
