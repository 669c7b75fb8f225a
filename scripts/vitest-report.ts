import { readFileSync } from "node:fs";
import { type Failure, linesOf } from "./test-failures.js";
import type { Counts } from "./test-steps.js";

/** What of a JSON report of vitest is looked at. */
export interface VitestReport {
  readonly testResults: readonly VitestFile[];
}

interface VitestFile {
  /** Its path. */
  readonly name: string;
  readonly status: string;
  /** What failed outside of its tests. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

export function readReport(file: string): VitestReport {
  return JSON.parse(readFileSync(file, "utf8")) as VitestReport;
}

/** Prints what failed and what was skipped, and counts. In CI a skipped test is a failed one. */
export function countVitest(report: VitestReport, exitedWell: boolean, ci: boolean): Counts {
  const failures = report.testResults.flatMap(failuresOf);
  let passed = 0;
  for (const file of report.testResults) {
    if (outsideOfTests(file)) console.log(`FAILED ${file.name}\n${file.message}`);
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === "passed") passed++;
      else if (status === "failed") console.log(`FAILED ${fullName}\n${failureMessages.join("\n")}`);
      else {
        console.log(`skipped ${fullName}`);
        if (ci) failures.push({ name: fullName, why: "skipped" });
      }
    }
  }
  if (failures.length === 0 && !exitedWell)
    failures.push({ name: "vitest", why: "failed outside of all tests" });
  return { passed, failed: failures.length, failures };
}

/**
 * Files that may pass at a second try: those of which a test failed, and those that failed outside of their tests.
 * @param testsHadTwo Each failed test has had its second try already, so that only the latter are left.
 */
export function filesToRepeat(report: VitestReport, testsHadTwo: boolean): string[] {
  const repeat = (file: VitestFile) => (testsHadTwo ? outsideOfTests(file) : file.status === "failed");
  return report.testResults.filter(repeat).map(({ name }) => name);
}

/** The first report with what a second run of some of its files gave. */
export function withSecondTry(first: VitestReport, second: VitestReport): VitestReport {
  const again = new Set(second.testResults.map(({ name }) => name));
  return {
    testResults: [...first.testResults.filter(({ name }) => !again.has(name)), ...second.testResults],
  };
}

/** What failed in the first report and passed in the second, with why it failed. */
export function passedAtSecondTry(first: VitestReport, second: VitestReport): Failure[] {
  const good = new Set(
    second.testResults.filter(({ status }) => status === "passed").map(({ name }) => name),
  );
  return first.testResults.filter(({ name }) => good.has(name)).flatMap(failuresOf);
}

/** Nothing in the report has failed, but the run did. */
export function failedOutside({ testResults }: VitestReport, exitedWell: boolean): boolean {
  return !exitedWell && testResults.every(({ status }) => status !== "failed");
}

function failuresOf(file: VitestFile): Failure[] {
  if (outsideOfTests(file)) return [{ name: file.name, why: firstLine(file.message) }];
  return file.assertionResults
    .filter(({ status }) => status === "failed")
    .map(({ fullName, failureMessages }) => ({ name: fullName, why: firstLine(failureMessages[0]) }));
}

/** Such as a file that could not be loaded, or what runs before all of its tests. */
function outsideOfTests({ status, assertionResults }: VitestFile): boolean {
  return status === "failed" && assertionResults.every((test) => test.status !== "failed");
}

function firstLine(text = ""): string {
  return linesOf(text)[0] ?? "";
}
