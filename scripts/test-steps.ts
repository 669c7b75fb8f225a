import { spawn, spawnSync } from "node:child_process";
import { basename } from "node:path";
import { type FailedStep, type Failure, linesOf, summary } from "./test-failures.js";

/** Tests that ran. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** Those that failed, by name; shown once more at the end of the run. */
  readonly failures?: readonly Failure[];
}

/** The sum. */
export function add(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    failures: [...(a.failures ?? []), ...(b.failures ?? [])],
  };
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

/**
 * What runs in real time may fail on a busy machine and say nothing of the product: in CI it gets a second try, which is told.
 * Fails with what was wrong both times.
 */
export async function twice<C extends Counts>(name: string, ci: boolean, run: () => Promise<C>): Promise<C> {
  const first = await run();
  if (first.failed === 0 || !ci) return first;
  console.log(`${name} failed; once more`);
  const second = await run();
  if (second.failed > 0) return { ...second, ...add({ ...first, passed: 0, failed: 0 }, second) };
  console.log(`passed at the second try: ${name}`);
  for (const failure of first.failures ?? []) console.log(`  first: ${failure.name}: ${failure.why}`);
  return second;
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
  const failedSteps: FailedStep[] = [];
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
    if (real.failed > 0) failedSteps.push({ name: step.name, failures: real.failures ?? [] });
    passed += real.passed;
    failed += real.failed;
  }
  for (const line of summary(failedSteps)) print(line);
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 && failedSteps.length === 0 && passed > 0 ? 0 : 1;
}

function failure(print: (line: string) => void, why: string): Counts {
  print(why);
  return { passed: 0, failed: 1, failures: [{ name: "the step", why }] };
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
  /** What it says is passed on when it has ended, for commands that run beside others. Default: at once. */
  readonly hold?: boolean;
}

/** How many of the last lines of a failed program are shown at the end of the run. */
const LAST_LINES = 15;

/** A command as one test: passed when it exits with 0. What it says is passed on, what it says on standard output is kept. */
export function command(
  program: string,
  args: readonly string[],
  { timeoutMs = 600_000, env = process.env, cwd, hold = false }: CommandOptions = {},
): Promise<Counts & { readonly output: string }> {
  return new Promise((resolve) => {
    // A process group of its own, so that a time-out ends all of it by its id.
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, env, cwd });
    let output = "";
    let said = "";
    const held: [NodeJS.WriteStream, string | Buffer][] = [];
    const pass = (to: NodeJS.WriteStream, text: string | Buffer) => {
      said = (said + text.toString()).slice(-20_000);
      if (hold) held.push([to, text]);
      else to.write(text);
    };
    child.stdout.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000_000);
      pass(process.stdout, chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => pass(process.stderr, chunk));
    const complain = (what: string) => pass(process.stderr, `${program} ${args.join(" ")}: ${what}\n`);
    const end = (signal: NodeJS.Signals) => {
      try {
        if (child.pid) process.kill(-child.pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    };
    const timers = [
      setTimeout(() => {
        complain(`ended after ${timeoutMs / 1000} s`);
        end("SIGTERM");
      }, timeoutMs),
      setTimeout(() => end("SIGKILL"), timeoutMs + 10_000),
    ];
    const settle = (ok: boolean) => {
      for (const timer of timers) clearTimeout(timer);
      for (const [to, text] of held) to.write(text);
      const why = linesOf(said).slice(-LAST_LINES).join("\n");
      const failures = ok ? [] : [{ name: [basename(program), ...args].join(" "), why }];
      resolve({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, failures, output });
    };
    child.once("error", (error) => {
      complain(String(error));
      settle(false);
    });
    child.once("close", (code) => settle(code === 0));
  });
}

/** Reads the counts that a program printed as one JSON object on its last line, and the names of what failed if it has them. */
export function countLastLine(output: string, exitedWell: boolean): Counts {
  const last = output.trim().split("\n").at(-1) ?? "";
  const { passed, failed, failures = [] } = JSON.parse(last) as Counts;
  return { passed, failed: failed === 0 && !exitedWell ? 1 : failed, failures };
}
