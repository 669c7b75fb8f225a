/**
 * `npm run conformance -- --lang typescript|python|go|java|rust|all [--only NAME]… [--parallel N] [--json]`: every scenario
 * with the program of each language; a line each, a matrix at the end. With `--json` the last line is one object.
 * `--again` runs what failed once more, alone, and says so. `--list` prints the scenarios. `--capacity` measures instead: how many calls one process echoes, and its memory when nobody
 * reads; some three minutes a language, `--quick` five minutes for all, and nothing else should run meanwhile.
 */
import { parseArgs } from "node:util";
import { measureCapacity, type Plan, QUICK, THOROUGH } from "./capacity.js";
import type { Language } from "./language.js";
import { choose, loadLanguages } from "./languages.js";
import { ProgramPool } from "./program.js";
import { type Job, type Outcome, runJobs } from "./runner.js";
import { loadScenarios, type Scenario } from "./scenario.js";

const CI = process.env.CI === "true";
const MAX_PARALLEL = 32;
/** Scenarios mostly wait: more than there are cores. */
const DEFAULT_PARALLEL = 6;

/** What became of a language. */
interface Result {
  passed: number;
  failed: number;
  /** Why it did not run. */
  skipped?: string;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      lang: { type: "string", default: "all" },
      only: { type: "string", multiple: true, default: [] },
      parallel: { type: "string", default: String(DEFAULT_PARALLEL) },
      json: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      again: { type: "boolean", default: false },
      capacity: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
    },
  });
  const parallel = whole("--parallel", values.parallel, 1, MAX_PARALLEL);
  const scenarios = selected(loadScenarios(), values.only);
  if (values.list) {
    for (const { name, shows } of scenarios) console.log(`${name}: ${shows}`);
    return 0;
  }
  const all = await loadLanguages();
  const languages = choose(values.lang, all);
  if (values.capacity) return capacities(languages, values.quick ? QUICK : THOROUGH, values.json);
  const results: Record<string, Result> = {};
  const matrix = new Map<string, Map<string, Outcome>>();
  const others = scenarios.some((scenario) => scenario.others.length > 0);
  const pools = await prepare(languages, others ? all : [], results);
  const jobs = [...pools.judged].flatMap(([name, main]) => {
    const outcomes = new Map<string, Outcome>();
    matrix.set(name, outcomes);
    const other = [...pools.all].find(([key]) => key !== name)?.[1] ?? main;
    if (other === main)
      console.log(`> ${name}: no other language is here, a second program of ${name} plays it`);
    return scenarios.map(
      (scenario): Job => ({
        scenario,
        outcome: () => outcomes.get(scenario.name),
        cast: { main, other },
        ended(outcome) {
          outcomes.set(outcome.scenario, outcome);
          console.log(lineOf(name, outcome));
        },
      }),
    );
  });
  const startMs = performance.now();
  const failedOf = (job: Job) => job.outcome()?.why !== undefined;
  await runJobs(jobs, parallel);
  const again = values.again ? jobs.filter(failedOf) : [];
  if (again.length > 0) console.log(`${again.length} once more, one after the other`);
  await runJobs(again, 1);
  for (const [name, outcomes] of matrix)
    for (const job of again)
      if (job.outcome() === outcomes.get(job.scenario.name) && !failedOf(job))
        console.log(`passed at the second try: ${name} ${job.scenario.name}`);
  const failures: { readonly name: string; readonly why: string }[] = [];
  for (const [name, outcomes] of matrix)
    for (const { scenario, why } of outcomes.values()) {
      count(results, name, why === undefined);
      if (why !== undefined) failures.push({ name: `${name} ${scenario}`, why });
    }
  for (const [name, { failed, skipped: why = "" }] of Object.entries(results))
    if (!matrix.has(name) && failed > 0) failures.push({ name, why });
  for (const [name, pool] of pools.all) {
    for (const why of await pool.close()) {
      count(results, name, false);
      failures.push({ name, why });
      console.log(`FAIL ${name}: at the end of the run: ${why}`);
    }
  }
  printMatrix(scenarios, matrix);
  const list = Object.values(results);
  const passed = list.reduce((sum, result) => sum + result.passed, 0);
  const failed = list.reduce((sum, result) => sum + result.failed, 0);
  const ok = failed === 0 && (passed > 0 || list.every(({ skipped }) => skipped !== undefined));
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  console.log(`${passed} passed, ${failed} failed in ${seconds} s`);
  if (values.json) console.log(JSON.stringify({ ok, passed, failed, failures, languages: results }));
  return ok ? 0 : 1;
}

/** Measures, and prints the rows of the table in docs/performance.md. */
async function capacities(languages: readonly Language[], plan: Plan, json: boolean): Promise<number> {
  const here = languages.filter((language) => {
    const missing = language.missing();
    if (missing) console.log(`skip ${language.name}: ${missing}`);
    return !missing;
  });
  const measured = await measureCapacity(here, plan, (line) => console.log(line));
  for (const { name } of here) {
    const one = measured[name];
    if (!one) continue;
    const { calls, p99Ms, cpuPercent, residentMiB, unreadGrowthMiB } = one;
    console.log(
      `| ${name} | ${calls} | ${p99Ms} ms | ${cpuPercent} % | ${residentMiB} MiB | ${unreadGrowthMiB} MiB |`,
    );
  }
  const list = Object.values(measured);
  const ok = list.length > 0 && list.every((one) => one.ok);
  if (json) console.log(JSON.stringify({ ok, languages: measured }));
  return ok ? 0 : 1;
}

/** The programs of the languages that are judged, and of one more when only one is. */
async function prepare(
  languages: readonly Language[],
  all: readonly Language[],
  results: Record<string, Result>,
): Promise<{ judged: Map<string, ProgramPool>; all: Map<string, ProgramPool> }> {
  const judged = new Map<string, ProgramPool>();
  for (const language of languages) {
    results[language.name] = { passed: 0, failed: 0 };
    const missing = language.missing();
    if (missing) {
      console.log(`${CI ? "FAIL" : "skip"} ${language.name}: ${missing}`);
      results[language.name] = { passed: 0, failed: CI ? 1 : 0, skipped: missing };
      continue;
    }
    const startMs = performance.now();
    try {
      judged.set(language.name, new ProgramPool(await language.prepare()));
      console.log(`> ${language.name}: built in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      console.log(`FAIL ${language.name}: its program cannot be built: ${why}`);
      results[language.name] = { passed: 0, failed: 1, skipped: why };
    }
  }
  const pools = new Map(judged);
  // The others are tried in their order: the first that can be built is the other language.
  for (const language of all) {
    if (pools.size !== 1) break;
    if (pools.has(language.name) || language.missing()) continue;
    const command = await language.prepare().catch(() => undefined);
    if (command) pools.set(language.name, new ProgramPool(command));
  }
  return { judged, all: pools };
}

function selected(scenarios: readonly Scenario[], only: readonly string[]): Scenario[] {
  const unknown = only.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown !== undefined) {
    const there = scenarios.map(({ name }) => name).join(", ");
    throw new Error(`--only: there is no scenario "${unknown}"; there are ${there}`);
  }
  return scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name}: "${text}" is no whole number from ${min} to ${max}`);
}

function count(results: Record<string, Result>, name: string, passed: boolean): void {
  results[name] ??= { passed: 0, failed: 0 };
  const result = results[name];
  if (passed) result.passed++;
  else result.failed++;
}

function lineOf(language: string, { scenario, seconds, why }: Outcome): string {
  const line = `${why === undefined ? "pass" : "FAIL"} ${seconds.toFixed(1).padStart(5)} s  ${language} ${scenario}`;
  return why === undefined ? line : `${line}: ${why}`;
}

function printMatrix(
  scenarios: readonly Scenario[],
  matrix: ReadonlyMap<string, ReadonlyMap<string, Outcome>>,
): void {
  if (matrix.size === 0) return;
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  console.log(`\n${"".padEnd(width)}  ${[...matrix.keys()].join("  ")}`);
  for (const { name } of scenarios) {
    const cells = [...matrix].map(([language, outcomes]) => {
      const outcome = outcomes.get(name);
      return (outcome && outcome.why === undefined ? "pass" : "FAIL").padEnd(language.length);
    });
    console.log(`${name.padEnd(width)}  ${cells.join("  ")}`.trimEnd());
  }
  console.log("");
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
// Sockets of a gateway that is just closing keep nothing alive that matters.
process.stdout.write("", () => process.exit());
