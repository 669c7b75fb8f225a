import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { ROOT } from "./language.js";
import { loadLanguages } from "./languages.js";
import { mismatch } from "./match.js";
import { loadScenarios, parseScenarios } from "./scenario.js";

describe("scenarios", () => {
  const scenarios = loadScenarios();
  const used = new Set(scenarios.flatMap(({ steps }) => steps.map(({ name }) => name as string)));

  it("are at least 25, each with another name", () => {
    expect(new Set(scenarios.map(({ name }) => name)).size).toBeGreaterThanOrEqual(25);
  });

  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    "%s looks from outside, not at the program's word alone",
    (_, { steps }) => {
      const outside = [
        "heard",
        "heardEach",
        "echoed",
        "tone",
        "event",
        "seen",
        "phone",
        "provider",
        "agents",
        "context",
      ];
      const known = steps.some(({ name }) => outside.includes(name));
      const arrived = steps.some(
        ({ name, args }) => name === "told" && (args as { what: string }).what === "call",
      );
      expect(known || arrived).toBe(true);
    },
  );

  it.each([
    ["no list", "[1]", /scenario number 1: .*expected object/s],
    [
      "a step that there is not",
      "[{name: a, shows: b, steps: [{dance: {}}]}]",
      /scenario a: .*one key of start, .*"dance"/s,
    ],
    ["two steps in one", "[{name: a, shows: b, steps: [{cut: {}, mend: {}}]}]", /one key of .*"cut,mend"/s],
    ["an argument that there is not", "[{name: a, shows: b, steps: [{kill: {programm: a}}]}]", /programm/],
    ["a missing argument", "[{name: a, shows: b, steps: [{heard: {}}]}]", /frames/],
    ["no steps", "[{name: a, shows: b, steps: []}]", /steps/],
    [
      "a rate that there is not",
      "[{name: a, shows: b, gateway: {sampleRateHz: 11025}, steps: [{cut: {}}]}]",
      /sampleRateHz/,
    ],
  ])("are refused with %s", (_, text, message) => {
    expect(() => parseScenarios(text, "x.yaml")).toThrow(message);
  });

  it("use every look that the runner has", () => {
    for (const look of [
      "heard",
      "echoed",
      "notHeard",
      "tone",
      "file",
      "event",
      "events",
      "order",
      "context",
      "told",
    ]) {
      expect(used).toContain(look);
    }
  });
});

describe("what is wanted", () => {
  it.each([
    [{ a: 1, b: 2 }, { a: 1 }, undefined],
    [{ a: 1 }, { a: 2 }, "a is 1, not 2"],
    [{}, { a: 1 }, "a is undefined, not 1"],
    [{}, { a: null }, undefined],
    [{ a: 0 }, { a: null }, "a is 0, not absent"],
    [{ a: { b: "x" } }, { a: { b: "y" } }, 'a.b is "x", not "y"'],
    [[1], [1, 2], "it is [1], not [1,2]"],
    [[{ a: 1 }], [{ a: 1 }], undefined],
    [{ a: 5 }, { a: { least: 5, most: 5 } }, undefined],
    [{ a: 4 }, { a: { least: 5 } }, "a is 4, less than 5"],
    [{ a: 6 }, { a: { most: 5 } }, "a is 6, more than 5"],
    [{}, { a: { least: 0 } }, "a is undefined, less than 0"],
    [{ a: "abc" }, { a: { contains: "bc" } }, undefined],
    [{ a: "abc" }, { a: { contains: "x" } }, 'a is "abc", without "x"'],
    [{ a: "abc" }, { a: { isNot: "abc" } }, 'a is "abc"'],
    [undefined, { a: 1 }, 'it is undefined, not {"a":1}'],
  ])("%j has %j: %s", (actual, wanted, wrong) => {
    expect(mismatch(actual, wanted)).toBe(wrong);
  });
});

describe("languages", () => {
  it("are the five that have a client", async () => {
    const names = (await loadLanguages()).map(({ name }) => name);
    expect(names).toEqual(["typescript", "python", "go", "java", "rust"]);
  });
});

describe("npm run conformance", () => {
  async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const { NODE_OPTIONS: _, CI: __, ...inherited } = process.env;
    const command = ["--import", "tsx", "test/conformance/main.ts", ...args];
    const child = spawn(process.execPath, command, { cwd: ROOT, env: { ...inherited, ...env } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data: Buffer) => {
        output += data.toString();
      });
    }
    const [code] = await once(child, "close");
    return { code, output, last: output.trim().split("\n").at(-1) ?? "" };
  }

  it("passes, and says so in one object at the end", async () => {
    const { code, last } = await run(["--lang", "typescript", "--only", "another-contract", "--json"]);
    const languages = { typescript: { passed: 1, failed: 0 } };
    expect(JSON.parse(last)).toEqual({ ok: true, passed: 1, failed: 0, failures: [], languages });
    expect(code).toBe(0);
  });

  it.each([
    [["--lang", "klingon"], /--lang: there is no program in "klingon"; there are typescript/],
    [["--only", "dancing"], /--only: there is no scenario "dancing"; there are answer-and-echo/],
    [["--parallel", "33"], /--parallel: "33" is no whole number from 1 to 32/],
  ])("%j is refused", async (args, message) => {
    const { code, output } = await run(args);
    expect(output).toMatch(message);
    expect(code).toBe(2);
  });

  it("names and skips languages whose toolchain is absent; in CI that fails", async () => {
    const absent = { python: "python3", go: "go", java: "java", rust: "cargo" };
    const path = { PATH: "/nonexistent" };
    const args = ["--lang", Object.keys(absent).join(","), "--json"];
    const [outside, inside] = await Promise.all([run(args, path), run(args, { ...path, CI: "true" })]);
    const [skipped, broken] = [outside, inside].map(({ last }) => JSON.parse(last));
    for (const [name, program] of Object.entries(absent)) {
      expect(outside.output).toContain(`skip ${name}: ${program} is not installed`);
      expect(inside.output).toContain(`FAIL ${name}: ${program} is not installed`);
      expect([skipped.languages[name].failed, broken.languages[name].failed]).toEqual([0, 1]);
      expect(broken.failures).toContainEqual({ name, why: `${program} is not installed` });
    }
    expect(skipped.failures).toEqual([]);
    expect([skipped.ok, broken.ok]).toEqual([true, false]);
    expect([outside.code, inside.code]).toEqual([0, 1]);
  });
});
