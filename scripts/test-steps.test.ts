import { describe, expect, it, vi } from "vitest";
import { add, type Counts, command, countLastLine, runSteps, type Step, twice } from "./test-steps.js";

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

  it("names at its end what failed in each step, just before the counts", async () => {
    const failures = [{ name: "rust clear-in-mid-sentence", why: "step 8: PLAYED, not CLEARED" }];
    const bad: Step = { ...good, name: "conformance", run: async () => ({ passed: 1, failed: 1, failures }) };
    const thrown: Step = { ...good, name: "thrown", run: () => Promise.reject(new Error("boom")) };
    const { lines } = await run([bad, good, thrown]);
    expect(lines.slice(-5)).toEqual([
      "failed tests:",
      "  conformance: rust clear-in-mid-sentence: step 8: PLAYED, not CLEARED",
      "  thrown: the step: Error: boom",
      "failed steps: conformance (rust clear-in-mid-sentence), thrown (the step)",
      "3 passed, 2 failed",
    ]);
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
    expect(countLastLine('x\n{"passed":3,"failed":0}\n', true)).toMatchObject({ passed: 3, failed: 0 });
    expect(countLastLine('{"passed":3,"failed":0}', false).failed).toBe(1);
    expect(() => countLastLine("all fine", true)).toThrow();
  });

  it("keeps the last lines of a command that failed, of both its outputs, and none of one that passed", async () => {
    const script =
      'for (let n = 0; n < 30; n++) console.log("line " + n); console.error("why"); process.exitCode = 1';
    const { failures = [] } = await command(process.execPath, ["-e", script]);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.name).toMatch(/^node.* -e for /);
    const lines = failures[0]?.why.split("\n") ?? [];
    expect(lines).toHaveLength(15);
    expect(lines).toContain("why");
    expect(lines).toContain("line 29");
    expect((await command(process.execPath, ["-e", ""])).failures).toEqual([]);
    expect((await command("no-such-program-here", [])).failures?.[0]?.why).toContain("ENOENT");
  });

  it("holds back what a command beside others says until it has ended, and in order", async () => {
    const written: string[] = [];
    const spy = (stream: NodeJS.WriteStream) =>
      vi.spyOn(stream, "write").mockImplementation((text) => {
        written.push(String(text));
        return true;
      });
    const spies = [spy(process.stdout), spy(process.stderr)];
    try {
      const script = 'console.log("one"); setTimeout(() => console.error("two"), 100)';
      const running = command(process.execPath, ["-e", script], { hold: true });
      const { output } = await running;
      expect(output).toBe("one\n");
    } finally {
      for (const one of spies) one.mockRestore();
    }
    expect(written.filter((text) => /^(one|two)\n$/.test(text))).toEqual(["one\n", "two\n"]);
  });

  it("adds up counts and failures", () => {
    const one = { passed: 1, failed: 1, failures: [{ name: "a", why: "b" }] };
    expect(add(one, { passed: 2, failed: 0 })).toEqual({ passed: 3, failed: 1, failures: one.failures });
  });
});

describe("a second try", () => {
  const bad = (why: string): Counts => ({ passed: 0, failed: 1, failures: [{ name: "demo", why }] });
  const fine: Counts = { passed: 1, failed: 0 };

  /** Answers one result after the other, and what was printed. */
  async function tried(ci: boolean, ...results: Counts[]) {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    try {
      const left = [...results];
      const counts = await twice("demo", ci, async () => left.shift() as Counts);
      return { counts, left: left.length, printed: log.mock.calls.map(([line]) => String(line)) };
    } finally {
      log.mockRestore();
    }
  }

  it("is not made of what passed", async () => {
    expect(await tried(true, fine, bad("not run"))).toMatchObject({ counts: fine, left: 1, printed: [] });
  });

  it("says aloud that it passed, and why the first did not", async () => {
    const { counts, printed } = await tried(true, bad("no word was heard"), fine);
    expect(counts).toMatchObject({ passed: 1, failed: 0 });
    expect(printed).toContain("passed at the second try: demo");
    expect(printed).toContain("  first: demo: no word was heard");
  });

  it("fails once, with what was wrong both times", async () => {
    const { counts, printed } = await tried(true, bad("one"), bad("two"));
    expect(counts).toMatchObject({ passed: 0, failed: 1 });
    expect(counts.failures?.map(({ why }) => why)).toEqual(["one", "two"]);
    expect(printed.join()).not.toContain("passed at the second try");
  });

  it("is not made outside of CI", async () => {
    expect(await tried(false, bad("one"), fine)).toMatchObject({ counts: { failed: 1 }, left: 1 });
  });
});
