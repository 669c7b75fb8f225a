import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Tests that ran. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** One part of the test command. */
export interface Step {
  readonly name: string;
  readonly what: string;
  /** Left out of a quick run: why, and how to run it. */
  readonly longBecause?: string;
  /** Programs that must be there. In CI, and when the step is asked for by name, a missing one is a failure. */
  readonly needs?: readonly string[];
  /** Another step of a full run has the same tests. */
  readonly containedIn?: string;
  readonly run: () => Promise<Counts>;
}

/** Which steps are run. */
export interface RunOptions {
  readonly ci: boolean;
  /** Step names; none: all that fit. */
  readonly wanted: readonly string[];
  readonly print: (line: string) => void;
}

/** Runs the steps and counts; what cannot be counted has failed. Answers the exit code. */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<number> {
  const { ci, wanted, print } = options;
  const unknown = wanted.filter((name) => !steps.some((s) => s.name === name));
  if (unknown.length > 0) {
    throw new Error(`no such step: ${unknown.join(", ")}; steps: ${steps.map((s) => s.name).join(", ")}`);
  }
  let passed = 0;
  let failed = 0;
  const failedSteps: string[] = [];
  for (const step of steps) {
    const named = wanted.includes(step.name);
    if (wanted.length > 0 ? !named : ci && step.containedIn !== undefined) continue;
    const missing = missingPrograms(step.needs);
    const skip = ci || named ? undefined : (step.longBecause ?? missing);
    if (skip) {
      print(`- ${step.name} (${step.what}): skipped, ${skip}`);
      continue;
    }
    const startMs = performance.now();
    print(`> ${step.name}: ${step.what}`);
    const counts = missing
      ? failure(print, missing)
      : await step.run().catch((e) => failure(print, String(e)));
    const countable = Number.isInteger(counts.passed) && Number.isInteger(counts.failed);
    const real = countable ? counts : failure(print, `${step.name} could not be counted`);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    const word = real.failed > 0 ? "FAILED" : "ok";
    print(`${word} ${step.name}: ${real.passed} passed, ${real.failed} failed in ${seconds} s`);
    if (real.failed > 0) failedSteps.push(step.name);
    passed += real.passed;
    failed += real.failed;
  }
  if (failedSteps.length > 0) print(`failed steps: ${failedSteps.join(", ")}`);
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 && failedSteps.length === 0 && passed > 0 ? 0 : 1;
}

function failure(print: (line: string) => void, why: string): Counts {
  print(why);
  return { passed: 0, failed: 1 };
}

/** Which of the programs are not installed, as words; undefined when all are. */
export function missingPrograms(needs: readonly string[] = []): string | undefined {
  const missing = needs.filter((program) => spawnSync(program, ["--version"]).error);
  return missing.length > 0 ? `${missing.join(", ")} is not installed` : undefined;
}

/** How a program is run. */
export interface CommandOptions {
  /** Default 600,000; then it is ended with everything it started. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** The folder it runs in. Default: this process's. */
  readonly cwd?: string;
}

/** A command as one test: passed when it exits with 0. What it says is passed on and kept. */
export function command(
  program: string,
  args: readonly string[],
  { timeoutMs = 600_000, env = process.env, cwd }: CommandOptions = {},
): Promise<Counts & { readonly output: string }> {
  return new Promise((resolve) => {
    // A process group of its own, so that a time-out ends all of it by its id.
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], detached: true, env, cwd });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000_000);
      process.stdout.write(chunk);
    });
    const end = (signal: NodeJS.Signals) => {
      try {
        if (child.pid) process.kill(-child.pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    };
    const timers = [
      setTimeout(() => {
        console.error(`${program} ${args.join(" ")}: ended after ${timeoutMs / 1000} s`);
        end("SIGTERM");
      }, timeoutMs),
      setTimeout(() => end("SIGKILL"), timeoutMs + 10_000),
    ];
    const settle = (ok: boolean) => {
      for (const timer of timers) clearTimeout(timer);
      resolve({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, output });
    };
    child.once("error", (error) => {
      console.error(String(error));
      settle(false);
    });
    child.once("close", (code) => settle(code === 0));
  });
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Counts a report of vitest and prints what failed and what was skipped. In CI a skipped test is a failed one. */
export function countVitest(reportFile: string, exitedWell: boolean, ci: boolean): Counts {
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  for (const file of report.testResults) {
    if (file.status === "failed" && file.message) console.log(`FAILED ${file.name}\n${file.message}`);
    for (const test of file.assertionResults) {
      if (test.status === "failed")
        console.log(`FAILED ${test.fullName}\n${test.failureMessages.join("\n")}`);
      if (test.status === "pending" || test.status === "skipped") console.log(`skipped ${test.fullName}`);
    }
  }
  const failed = report.numFailedTests + (ci ? report.numPendingTests : 0);
  // A file that could not be loaded, or an error outside a test, fails the run without a failed test.
  return { passed: report.numPassedTests, failed: failed === 0 && !exitedWell ? 1 : failed };
}

/** Failed tests in a report of vitest. */
export function failedTests(reportFile: string): number {
  return (JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport).numFailedTests;
}

/** Reads the counts that a program printed as one JSON object on its last line. */
export function countLastLine(output: string, exitedWell: boolean): Counts {
  const last = output.trim().split("\n").at(-1) ?? "";
  const { passed, failed } = JSON.parse(last) as Counts;
  return { passed, failed: failed === 0 && !exitedWell ? 1 : failed };
}
