/** Measures the gateway beside a bare relay and the vendor's SDK; docs/performance.md says how and what came out. */
import { canPin, machineCpu, pin } from "./child.js";
import { sleep } from "./clock.js";
import { checkFrozen } from "./frozen.js";
import { commandOf, type Options, optionsOf, wants } from "./options.js";
import { PAIR_NAMES, type PairName } from "./pairs/pair.js";
import { runPairs } from "./pairs/run-pairs.js";
import { HARNESS_CORE } from "./run.js";
import { runSingles } from "./singles/run-singles.js";
import { SINGLE_NAMES, type SingleName } from "./singles/single.js";
import { drawCharts, PICTURES_FOLDER } from "./suites/charts.js";
import { gateSuite } from "./suites/gate.js";
import { harness } from "./suites/harness.js";
import { quickSuite } from "./suites/quick.js";
import { keepResult, RESULTS_FOLDER } from "./suites/results.js";
import type { Suite, SuiteOptions, SuiteResult } from "./suites/suite.js";
import { SUITES } from "./suites/suites.js";
import { targetsTable } from "./suites/targets.js";
import { summaryOf } from "./summary.js";

const PAIR = { calls: 50, seconds: 6, warmUpSeconds: 10, rounds: 5 };
const QUICK_PAIR = { calls: 10, seconds: 2, warmUpSeconds: 1, rounds: 1 };
/** Of a pair; each run takes some 7 s to start and end. */
const PAIR_SECONDS = 2 * PAIR.rounds * (PAIR.warmUpSeconds + PAIR.seconds + 7);

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
  const pairs = PAIR_NAMES.filter((name) => wants(options, name) || wants(options, "pairs"));
  const told = suiteOptions(options, say);
  for (const suite of suites) say(`${suite.name}: ${suite.what}; ${minutes(suite.estimateSeconds(told))}`);
  const singles = SINGLE_NAMES.filter((name) => wants(options, name) || wants(options, "singles"));
  if (singles.length > 0) say(singles.join(", "));
  if (pairs.length > 0) say(`${pairs.join(", ")}: ${minutes(pairs.length * PAIR_SECONDS)}`);
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
  const found = singles.length > 0 ? await mainSingles(singles, options, say) : undefined;
  const paired = pairs.length > 0 ? await mainPairs(pairs, options, say) : undefined;
  const summary = summaryOf({ results, singles: found ?? [], pairs: paired ?? [] }, options.quick);
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

function suiteOptions(options: Options, say: (line: string) => void): SuiteOptions {
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
function mainSingles(
  names: readonly SingleName[],
  { quick, rounds, loads, save }: Options,
  say: (line: string) => void,
) {
  return runSingles(names, {
    quick,
    rounds: rounds ?? (quick ? 1 : 5),
    calls: loads?.[0],
    ...(save ? { pictures: PICTURES_FOLDER, results: RESULTS_FOLDER } : {}),
    say,
  });
}

/** Pairs of several processes: what they share is in bench/pairs. */
function mainPairs(names: readonly PairName[], options: Options, say: (line: string) => void) {
  const base = options.quick ? QUICK_PAIR : PAIR;
  return runPairs(names, {
    calls: options.loads?.[0] ?? base.calls,
    seconds: options.seconds ?? base.seconds,
    warmUpSeconds: options.warmUp ?? base.warmUpSeconds,
    rounds: options.rounds ?? base.rounds,
    retries: options.quick ? 0 : options.retries,
    quick: options.quick,
    save: options.save,
    commandOf: (name) => commandOf(name, options),
    say,
  });
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

function minutes(seconds: number): string {
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.round(seconds / 60)} minutes`;
}
