import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Finding } from "./check.js";

/** Some inputs of one target. */
export interface Job {
  readonly target: string;
  readonly inputs: number;
  readonly seed: number;
  /** Only this one of the seed. */
  readonly path?: string;
  /** Write each input to stderr before it runs. */
  readonly trace?: boolean;
}

/** What a child reports. */
export type ChildMessage =
  | { readonly type: "ready" | "done" }
  /** It has started another process, which it cannot end when it is killed. */
  | { readonly type: "started"; readonly pid: number }
  | { readonly type: "begin"; readonly target: string; readonly seed: number; readonly size: number }
  | { readonly type: "ran"; readonly target: string; readonly inputs: number }
  | { readonly type: "finding"; readonly finding: Finding }
  | { readonly type: "broken"; readonly why: string };

/** What became of the jobs of one process. */
export interface Outcome {
  /** By target. */
  readonly inputs: Map<string, number>;
  readonly findings: Finding[];
  /** The fuzzer itself failed. */
  broken?: string;
}

/** A defect for one process; see defects.ts. */
export interface Planted {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** How a process is run. */
export interface ProcessOptions {
  readonly defect?: Planted;
  /** Stop at the first finding. */
  readonly firstOnly?: boolean;
  /**
   * No sign of life for this long is a hang, in ms. Default 30,000. A process that a busy machine let work for less than half
   * of it gets it again, at most ten times.
   */
  readonly hangMs?: number;
}

const ENTRY = fileURLToPath(new URL("child.ts", import.meta.url));
const PLANT = new URL("plant/register.mjs", import.meta.url).href;
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** A process that needs more has a finding: nothing that comes from outside may cost that. */
const MAX_HEAP_MIB = 700;
/** How long a process may take until it runs inputs, on a busy machine. */
const START_MS = 60_000;
const MAX_AGAIN = 10;
/** Clock ticks of /proc, in ms. */
const TICK_MS = 10;

/**
 * Runs jobs in a process of their own, with the defect planted as its modules are loaded. A process that dies or hangs
 * is a finding of the target that ran, and the jobs that are left go to another one.
 */
export async function runJobs(jobs: readonly Job[], options: ProcessOptions = {}): Promise<Outcome> {
  const outcome: Outcome = { inputs: new Map(), findings: [] };
  for (let rest = [...jobs]; rest.length > 0; ) {
    const ended = await runProcess(rest, options, outcome);
    if (ended === undefined || outcome.broken) break;
    if (options.firstOnly && outcome.findings.length > 0) break;
    rest = rest.slice(rest.findIndex(({ target }) => target === ended) + 1);
  }
  return outcome;
}

/** Answers the target at which the process ended before its time; undefined when it did all. */
function runProcess(
  jobs: readonly Job[],
  options: ProcessOptions,
  outcome: Outcome,
): Promise<string | undefined> {
  const { defect, firstOnly = false, hangMs = 30_000 } = options;
  const { NODE_OPTIONS: _, CALLWEAVE_FUZZ_DEFECT: __, ...env } = process.env;
  const child: ChildProcess = spawn(
    process.execPath,
    [
      `--max-old-space-size=${MAX_HEAP_MIB}`,
      "--expose-gc",
      ...(defect ? ["--import", PLANT] : []),
      "--import",
      "tsx",
      ENTRY,
    ],
    {
      cwd: ROOT,
      env: { ...env, ...(defect && { CALLWEAVE_FUZZ_DEFECT: JSON.stringify(defect) }) },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    },
  );
  let last = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    last = (last + chunk).slice(-4_000);
  });
  return new Promise((resolve) => {
    let at: Extract<ChildMessage, { type: "begin" }> | undefined;
    let done = false;
    let hung = false;
    let timer: NodeJS.Timeout | undefined;
    const alive = (forMs: number, again = 0, sinceMs = workedMs(child.pid)) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (again < MAX_AGAIN && workedMs(child.pid) - sinceMs < forMs / 2) {
          alive(forMs, again + 1, sinceMs);
          return;
        }
        hung = true;
        child.kill("SIGKILL");
      }, forMs);
    };
    alive(START_MS);
    const started: number[] = [];
    child.on("message", (message: ChildMessage) => {
      // The stage of the sockets, and what is loaded late, is set between "ready" and the first "begin".
      alive(message.type === "ready" ? START_MS : hangMs);
      if (message.type === "ready") child.send(jobs);
      else if (message.type === "started") started.push(message.pid);
      else if (message.type === "begin") at = message;
      else if (message.type === "ran")
        outcome.inputs.set(message.target, (outcome.inputs.get(message.target) ?? 0) + message.inputs);
      else if (message.type === "finding") {
        outcome.findings.push(message.finding);
        if (firstOnly) {
          done = true;
          child.kill("SIGKILL");
        }
      } else if (message.type === "broken") {
        outcome.broken = message.why;
        done = true;
      } else done = true;
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      for (const pid of started) endProcess(pid);
      if (done) {
        resolve(undefined);
        return;
      }
      if (!at) {
        outcome.broken = `the process ended before it began (${code ?? signal}): ${last}`;
        resolve(undefined);
        return;
      }
      const fatal = /FATAL ERROR: [^\n]*/.exec(last)?.[0] ?? "";
      const why = hung
        ? `hangs: nothing for ${hangMs / 1_000} s`
        : `the process died (${code ?? signal}) ${fatal}`;
      outcome.findings.push({
        target: at.target,
        why,
        input: `one of ${at.size}; the last line of --trace is it`,
        seed: at.seed,
        path: "",
      });
      outcome.inputs.set(at.target, (outcome.inputs.get(at.target) ?? 0) + at.size);
      resolve(at.target);
    });
  });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process that started it had ended it.
  }
}

/** Time of the processor that a process has had; without /proc always enough. */
function workedMs(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // What comes after the name in brackets begins with the third field.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
