/** Measures the gateway beside a bare relay and the vendor's SDK; docs/performance.md says how and what came out. */
import { canPin, machineCpu, pin } from "./child.js";
import { sleep } from "./clock.js";
import { estimateLines } from "./estimate.js";
import { checkFrozen } from "./frozen.js";
import { commandOf, type Options, optionsOf, wants } from "./options.js";
import { estimatePairSeconds, type RunPairsOptions, runPairs } from "./pairs/run-pairs.js";
import { PAIRS } from "./pairs/sides.js";
import { HARNESS_CORE } from "./run.js";
import { type RunSinglesOptions, runSingles, SINGLES } from "./singles/run-singles.js";
import { drawCharts, PICTURES_FOLDER } from "./suites/charts.js";
import { gateSuite } from "./suites/gate.js";
import { type Harness, harness } from "./suites/harness.js";
import { quickSuite } from "./suites/quick.js";
import { keepResult, RESULTS_FOLDER } from "./suites/results.js";
import type { Suite, SuiteOptions, SuiteResult } from "./suites/suite.js";
import { SUITES } from "./suites/suites.js";
import { targetsTable } from "./suites/targets.js";
import { summaryOf } from "./summary.js";

type Say = (line: string) => void;

const PAIR = { calls: 50, seconds: 6, warmUpSeconds: 10, rounds: 5 };
const QUICK_PAIR = { calls: 10, seconds: 2, warmUpSeconds: 1, rounds: 1 };

await main(optionsOf(process.argv.slice(2)));

async function main(options: Options): Promise<void> {
  const say = options.json ? console.error : console.log;
  checkFrozen();
  const programs = harness();
  if (!canPin()) say("taskset or a second core is missing: nothing is bound to a core");
  if (programs.kind === "node")
    say("no Go: the load generator is the one on Node, which is late from some hundred calls on");
  pin(process.pid, HARNESS_CORE);
  const suites = suitesOf(options);
  const singles = SINGLES.filter(({ name }) => wants(options, name) || wants(options, "singles"));
  const pairs = PAIRS.filter(({ name }) => wants(options, name) || wants(options, "pairs"));
  const ofSuites = suiteOptions(options, say);
  const ofSingles = singleOptions(options, say);
  const ofPairs = pairOptions(options, say);
  const parts = [
    ...suites.map((suite) => ({
      name: suite.name,
      what: suite.what,
      seconds: suite.estimateSeconds(ofSuites),
    })),
    ...singles.map((single) => ({
      name: single.name,
      what: single.title,
      seconds: single.estimateSeconds(ofSingles),
    })),
    ...pairs.map(({ name, title }) => ({ name, what: title, seconds: estimatePairSeconds(ofPairs) })),
  ];
  for (const line of estimateLines(parts)) say(line);
  const found = {
    results: await runSuites(suites, programs, options, ofSuites),
    singles: await runSingles(singles, ofSingles),
    pairs: await runPairs(pairs, ofPairs),
  };
  const summary = summaryOf(found, options.quick);
  if (summary.targets.length > 0) say(`\n${targetsTable(summary.targets)}`);
  say(`\n${summary.ok ? "ok" : "not ok"}`);
  if (options.json) console.log(JSON.stringify(summary));
  process.exitCode = summary.ok ? 0 : 1;
}

function suitesOf(options: Options): Suite[] {
  return [
    ...(options.quick && options.only.length === 0 ? [quickSuite] : []),
    ...(options.gate ? [gateSuite] : []),
    ...SUITES.filter(({ name }) => wants(options, name)),
  ];
}

async function runSuites(
  suites: readonly Suite[],
  programs: Harness,
  options: Options,
  told: SuiteOptions,
): Promise<SuiteResult[]> {
  const { say } = told;
  const results: SuiteResult[] = [];
  for (const suite of suites) {
    await quiet(options.quietWait);
    say(`\n${suite.name}`);
    const result = { ...(await suite.run(programs, told)), command: commandOf(suite.name, options) };
    say(`\n${result.table}\n`);
    say(result.ok ? `${suite.name}: ok` : `${suite.name}: not ok: ${result.problems.join("; ")}`);
    if (options.save) for (const path of [keepResult(result), ...drawCharts(result)]) say(`kept: ${path}`);
    results.push(result);
  }
  return results;
}

function suiteOptions(options: Options, say: Say): SuiteOptions {
  // With --quick a suite is run only to see that it runs.
  const quick = options.quick
    ? { rounds: 1, loads: [10], seconds: 2, warmUp: 1, passes: 1, anyMachine: true }
    : {};
  const { rounds, loads, variants, seconds, warmUp, passes, retries, profile, nodeArgs = [] } = options;
  const given = { rounds, loads, variants, seconds, warmUp, passes };
  return {
    ...(options.only.length > 0 ? quick : {}),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    retries: options.quick ? 0 : retries,
    nodeArgs: [...(profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : []), ...nodeArgs],
    say,
  };
}

/** Figures that are not what a call costs: what they are is in bench/singles. */
function singleOptions({ quick, rounds, loads, save }: Options, say: Say): RunSinglesOptions {
  return {
    quick,
    rounds: rounds ?? (quick ? 1 : 5),
    calls: loads?.[0],
    ...(save ? { pictures: PICTURES_FOLDER, results: RESULTS_FOLDER } : {}),
    say,
  };
}

/** Pairs of several processes: what they share is in bench/pairs. */
function pairOptions(options: Options, say: Say): RunPairsOptions {
  const base = options.quick ? QUICK_PAIR : PAIR;
  return {
    calls: options.loads?.[0] ?? base.calls,
    seconds: options.seconds ?? base.seconds,
    warmUpSeconds: options.warmUp ?? base.warmUpSeconds,
    rounds: options.rounds ?? base.rounds,
    retries: options.quick ? 0 : options.retries,
    quick: options.quick,
    save: options.save,
    commandOf: (name) => commandOf(name, options),
    say,
  };
}

/** Resolves when the machine used less than a tenth of a core for two seconds, or after the given time. */
async function quiet(maxSeconds: number): Promise<void> {
  const endMs = performance.now() + maxSeconds * 1000;
  while (performance.now() < endMs) {
    const before = machineCpu().busySeconds;
    await sleep(2_000);
    if (machineCpu().busySeconds - before < 0.2) return;
  }
}
