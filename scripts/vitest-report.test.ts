import { describe, expect, it } from "vitest";
import {
  countVitest,
  failedOutside,
  filesToRepeat,
  passedAtSecondTry,
  type VitestReport,
  withSecondTry,
} from "./vitest-report.js";

type File = VitestReport["testResults"][number];

/** A file with tests of these states, named after it. */
function file(name: string, ...states: string[]): File {
  const tests = states.map((status, n) => ({
    status,
    fullName: `${name} ${n}`,
    failureMessages: status === "failed" ? [`Error: ${name} ${n} is wrong\n    at line 1`] : [],
  }));
  return {
    name,
    status: states.includes("failed") ? "failed" : "passed",
    message: "",
    assertionResults: tests,
  };
}

const unloaded: File = { name: "d", status: "failed", message: "cannot load\nmore", assertionResults: [] };
const report = (...testResults: File[]): VitestReport => ({ testResults });

describe("counting a report of vitest", () => {
  it("counts a skipped test as failed in CI alone", () => {
    const some = report(file("a", "passed", "passed", "skipped"));
    expect(countVitest(some, true, false)).toMatchObject({ passed: 2, failed: 0, failures: [] });
    expect(countVitest(some, true, true)).toMatchObject({
      passed: 2,
      failed: 1,
      failures: [{ name: "a 2", why: "skipped" }],
    });
  });

  it("names each failed test with the first line of its message, and a file that failed outside of its tests", () => {
    expect(countVitest(report(file("a", "passed", "failed"), unloaded), false, true)).toEqual({
      passed: 1,
      failed: 2,
      failures: [
        { name: "a 1", why: "Error: a 1 is wrong" },
        { name: "d", why: "cannot load" },
      ],
    });
  });

  it("counts an error outside of all files", () => {
    const fine = report(file("a", "passed"));
    expect(countVitest(fine, false, true)).toMatchObject({ passed: 1, failed: 1 });
    expect([failedOutside(fine, false), failedOutside(fine, true)]).toEqual([true, false]);
    expect(failedOutside(report(unloaded), false)).toBe(false);
  });
});

describe("a second try of files", () => {
  const first = report(file("a", "passed"), file("b", "failed", "passed"), file("c", "failed"), unloaded);

  it("is of all that failed, or of those alone whose tests had none", () => {
    expect(filesToRepeat(first, false)).toEqual(["b", "c", "d"]);
    expect(filesToRepeat(first, true)).toEqual(["d"]);
  });

  it("takes the place of the first, and names what passed only then", () => {
    const second = report(file("b", "passed", "passed"), file("c", "failed"), file("d", "passed"));
    expect(countVitest(withSecondTry(first, second), false, true)).toMatchObject({
      passed: 4,
      failed: 1,
      failures: [{ name: "c 0" }],
    });
    expect(passedAtSecondTry(first, second)).toEqual([
      { name: "b 0", why: "Error: b 0 is wrong" },
      { name: "d", why: "cannot load" },
    ]);
  });
});
