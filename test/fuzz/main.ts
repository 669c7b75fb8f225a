/**
 * `npm run fuzz -- --inputs 200000 [--seed N] [--only TARGET]… [--json]`: structured fuzzing of everything that comes from
 * outside. `--prove` plants 20 defects, one at a time, and says which were found; `--replay TARGET:SEED:PATH` runs one
 * input again; `--list` names the targets. With --json the last line is one object with `ok` and the figures. See
 * docs/fuzzing.md.
 */
import { parseArgs } from "node:util";
import type { Finding } from "./check.js";
import { measureCoverage } from "./coverage.js";
import { type Job, type Outcome, runJobs } from "./parent.js";
import { prove } from "./prove.js";
import { SOCKETS } from "./sockets/names.js";
import { TARGETS } from "./targets/index.js";

/** Processes side by side: as many as CI has cores. */
const PROCESSES = 2;
/** Of all inputs, what goes over real sockets. */
const SOCKET_SHARE = 0.05;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "20000" },
      seed: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      replay: { type: "string" },
      trace: { type: "boolean", default: false },
      prove: { type: "boolean", default: false },
      coverage: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  if (values.list) {
    for (const { name, area, what } of [...TARGETS, ...SOCKETS]) console.log(`${name} (${area}): ${what}`);
    return 0;
  }
  if (values.replay) return replay(values.replay, values.trace);
  const seed =
    values.seed === undefined
      ? Math.floor(Math.random() * 2 ** 31)
      : whole("--seed", values.seed, 0, 2 ** 31);
  if (values.coverage) return measureCoverage();
  if (values.prove) {
    const figures = await prove(seed, PROCESSES, values.only);
    if (values.json) console.log(JSON.stringify(figures));
    return figures.ok ? 0 : 1;
  }
  const inputs = whole("--inputs", values.inputs, 1, 100_000_000);
  return fuzz(inputs, seed, values.only, values.json);
}

async function fuzz(inputs: number, seed: number, only: readonly string[], json: boolean): Promise<number> {
  const unknown = only.find((name) => ![...TARGETS, ...SOCKETS].some((target) => target.name === name));
  if (unknown !== undefined) throw new Error(`--only: there is no target "${unknown}"; see --list`);
  const wanted = (name: string) => only.length === 0 || only.includes(name);
  const targets = TARGETS.filter(({ name }) => wanted(name));
  const sockets = SOCKETS.filter(({ name }) => wanted(name));
  console.log(`seed ${seed}, ${inputs} inputs`);
  const startMs = performance.now();
  const share = targets.length === 0 ? 1 : sockets.length === 0 ? 0 : SOCKET_SHARE;
  const overSockets = Math.round(inputs * share);
  const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
  const jobs = targets.map(
    ({ name, weight }): Job => ({
      target: name,
      seed,
      inputs: Math.ceil(((inputs - overSockets) * weight) / weights),
    }),
  );
  // Alternating, so that both processes get some of the slow ones.
  const outcomes = await Promise.all(
    Array.from({ length: PROCESSES }, (_, i) => runJobs(jobs.filter((_job, j) => j % PROCESSES === i))),
  );
  // On their own: the witness measures time.
  const each = Math.ceil(overSockets / Math.max(1, sockets.length));
  const overWires = sockets.map(({ name }): Job => ({ target: name, seed, inputs: each }));
  if (overWires.length > 0) outcomes.push(await runJobs(overWires));
  return report(outcomes, seed, (performance.now() - startMs) / 1000, json);
}

function report(outcomes: readonly Outcome[], seed: number, seconds: number, json: boolean): number {
  const targets: Record<string, { inputs: number; findings: number }> = {};
  const findings = outcomes.flatMap((outcome) => outcome.findings);
  for (const outcome of outcomes)
    for (const [name, inputs] of outcome.inputs)
      targets[name] = { inputs, findings: findings.filter(({ target }) => target === name).length };
  for (const [name, { inputs, findings: count }] of Object.entries(targets))
    console.log(`${count === 0 ? "ok  " : "FAIL"} ${name}: ${inputs} inputs, ${count} findings`);
  for (const finding of findings) tellFinding(finding);
  const broken = outcomes.flatMap((outcome) => (outcome.broken ? [outcome.broken] : []));
  for (const why of broken) console.log(`the fuzzer itself failed: ${why}`);
  const inputs = Object.values(targets).reduce((sum, one) => sum + one.inputs, 0);
  const ok = findings.length === 0 && broken.length === 0 && inputs > 0;
  console.log(`${inputs} inputs, ${findings.length} findings in ${seconds.toFixed(0)} s, seed ${seed}`);
  if (json)
    console.log(
      JSON.stringify({ ok, seed, inputs, findings: findings.length, seconds: Math.round(seconds), targets }),
    );
  return ok ? 0 : 1;
}

function tellFinding({ target, why, input, seed, path }: Finding): void {
  console.log(`\nFINDING in ${target}: ${why}\n  input: ${input}`);
  const trace = path === "" ? " --trace" : "";
  console.log(
    `  again: npm run fuzz -- --replay ${target}:${seed}${path === "" ? "" : `:${path}`}${trace}\n`,
  );
}

async function replay(text: string, trace: boolean): Promise<number> {
  const [target = "", seed = "", ...path] = text.split(":");
  const job: Job = {
    target,
    seed: whole("--replay", seed, -(2 ** 31), 2 ** 31),
    inputs: path.length > 0 ? 1 : SOCKETS.some(({ name }) => name === target) ? 500 : 100,
    ...(path.length > 0 && { path: path.join(":") }),
    trace,
  };
  const outcome = await runJobs([job]);
  for (const finding of outcome.findings) tellFinding(finding);
  if (outcome.broken) console.log(outcome.broken);
  const count = outcome.findings.length;
  console.log(count === 0 && !outcome.broken ? "nothing found" : `${count} findings`);
  return count === 0 && !outcome.broken ? 0 : 1;
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name}: "${text}" is no whole number from ${min} to ${max}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
// Sockets of what is just closing keep nothing alive that matters.
process.stdout.write("", () => process.exit());
