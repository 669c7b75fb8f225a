import { spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CALLEES, CALLERS, type Variant } from "./options.js";
import type { DemoResult } from "./result.js";

const HELP = `npx tsx demo/matrix.ts [options]

Runs every caller and every callee of the demo, prints a line for each and one JSON object at the end.

  --times N       each variant so often, 1 to 1000   (default: 1)
  --parallel N    so many at once, 1 to 16   (default: 2)
  --only TEXT     variants whose name contains the text, such as no-answer
  --out DIR       where recordings go   (default: recordings/matrix)
  --play-out-ms N passed on to the demo`;

/** Longest run of one variant, ms; then it is ended and counts as failed. */
const RUN_TIMEOUT_MS = 300_000;

interface Run {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** Names of the checks that failed, or what went wrong. */
  readonly failed: readonly string[];
}

/** Each caller with a specialist who picks up, each other callee with the first caller. */
function variants(): Variant[] {
  return [
    ...CALLERS.map((caller) => ({ caller, callee: CALLEES[0] })),
    ...CALLEES.slice(1).map((callee) => ({ caller: CALLERS[0], callee })),
  ];
}

const nameOf = ({ caller, callee }: Variant) => `${caller} ${callee}`;

async function runOne(variant: Variant, folder: string, more: readonly string[]): Promise<Run> {
  const startMs = performance.now();
  const args = [
    `--caller=${variant.caller}`,
    `--callee=${variant.callee}`,
    "--out",
    folder,
    "--once",
    "--json",
  ];
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), main, ...args, ...more], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
  }
  // The demo takes down what it started before it ends.
  const timer = setTimeout(() => child.kill("SIGTERM"), RUN_TIMEOUT_MS);
  const code = await new Promise<number | string | null>((resolve) => {
    child.once("close", (status, signal) => resolve(status ?? signal));
    child.once("error", (error) => resolve(error.message));
  });
  clearTimeout(timer);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "output.txt"), output.join(""));
  const result = lastJson(output.join(""));
  const failed =
    result?.checks?.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`) ?? [];
  const ok = code === 0 && result?.ok === true;
  if (!ok && failed.length === 0) failed.push(result?.error ?? `exit status ${code}`);
  return { name: nameOf(variant), ok, seconds: Math.round((performance.now() - startMs) / 100) / 10, failed };
}

function lastJson(output: string): Partial<DemoResult> | undefined {
  const line = output.split("\n").findLast((text) => text.startsWith("{") && text.endsWith("}"));
  try {
    return line === undefined ? undefined : (JSON.parse(line) as Partial<DemoResult>);
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      times: { type: "string", default: "1" },
      parallel: { type: "string", default: "2" },
      only: { type: "string", default: "" },
      out: { type: "string", default: join("recordings", "matrix") },
      "play-out-ms": { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const times = wholeNumber("--times", values.times, 1000);
  const parallel = wholeNumber("--parallel", values.parallel, 16);
  const more = values["play-out-ms"] === undefined ? [] : ["--play-out-ms", values["play-out-ms"]];
  const chosen = variants().filter((variant) => nameOf(variant).includes(values.only));
  const queue = Array.from({ length: times }, (_, time) =>
    chosen.map((variant) => ({ variant, time })),
  ).flat();
  if (queue.length === 0) throw new Error(`no variant is called ${values.only}`);
  const runs: Run[] = [];
  const startMs = performance.now();
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const folder = join(values.out, `${nameOf(next.variant).replace(" ", "-")}-${next.time + 1}`);
      const run = await runOne(next.variant, folder, more);
      runs.push(run);
      const state = run.ok ? "ok    " : "FAILED";
      process.stdout.write(`${state}  ${run.name.padEnd(24)}  ${run.seconds.toFixed(1).padStart(5)} s\n`);
      for (const what of run.failed) process.stdout.write(`        ${what}\n`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  const ok = runs.every((run) => run.ok);
  const seconds = Math.round((performance.now() - startMs) / 100) / 10;
  const passed = runs.filter((run) => run.ok).length;
  process.stdout.write(`${JSON.stringify({ ok, passed, failed: runs.length - passed, seconds, runs })}\n`);
  return ok ? 0 : 1;
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) throw new Error(`${name}: 1 to ${max}`);
  return value;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`matrix: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
