/** Measures the gateway beside a bare relay and the vendor's SDK; docs/performance.md says how and what came out. */
import { Command, InvalidArgumentError } from "commander";
import { canPin, machineCpu, pin } from "./child.js";
import { sleep } from "./clock.js";
import type { Repeats } from "./figures.js";
import { checkFrozen } from "./frozen.js";
import { PAIR_NAMES, type PairName } from "./pairs/pair.js";
import { runPairs } from "./pairs/run-pairs.js";
import { HARNESS_CORE } from "./run.js";
import { runSingles } from "./singles/run-singles.js";
import { SINGLE_NAMES, type SingleName } from "./singles/single.js";
import { agentsSuite } from "./suites/agents.js";
import { capacitySuite } from "./suites/capacity.js";
import { drawCharts, PICTURES_FOLDER } from "./suites/charts.js";
import { cpuSuite } from "./suites/cpu.js";
import { formsSuite } from "./suites/forms.js";
import { gateSuite } from "./suites/gate.js";
import { harness } from "./suites/harness.js";
import { latencySuite } from "./suites/latency.js";
import { quickSuite } from "./suites/quick.js";
import { keepResult, RESULTS_FOLDER } from "./suites/results.js";
import type { Suite, SuiteOptions, SuiteResult } from "./suites/suite.js";
import { VARIANTS, type VariantName } from "./suites/variants.js";

interface Options {
  readonly only: readonly string[];
  readonly rounds?: number;
  readonly loads?: readonly number[];
  readonly variants?: readonly VariantName[];
  readonly seconds?: number;
  readonly warmUp?: number;
  readonly passes?: number;
  readonly retries: number;
  readonly quietWait: number;
  readonly quick: boolean;
  readonly gate: boolean;
  readonly save: boolean;
  readonly json: boolean;
  readonly profile?: string;
  readonly nodeArgs?: readonly string[];
}

const SUITES: readonly Suite[] = [cpuSuite, latencySuite, capacitySuite, formsSuite, agentsSuite];
const NAMES = [...SUITES.map(({ name }) => name), "singles", ...SINGLE_NAMES, "pairs", ...PAIR_NAMES];
const PAIR = { calls: 50, seconds: 6, warmUpSeconds: 10, rounds: 5 };
const QUICK_PAIR = { calls: 10, seconds: 2, warmUpSeconds: 1, rounds: 1 };
/** Of a pair; each run takes some 7 s to start and end. */
const PAIR_SECONDS = 2 * PAIR.rounds * (PAIR.warmUpSeconds + PAIR.seconds + 7);

const program = new Command("bench")
  .description(
    "what a call costs, how late its audio is and how many one core carries, beside a bare relay and the vendor's SDK",
  )
  .option("--only <names>", `parts, separated by commas: ${NAMES.join(", ")}`, list(NAMES), [])
  .option("--quick", "half a minute; only tells that frames arrive and none is lost", false)
  .option(
    "--gate",
    "a minute; fails when a call costs a quarter more than recorded, against the floor",
    false,
  )
  .option("--save", "keep the results in bench/results and the charts in docs/pictures", false)
  .option("--rounds <n>", "each variant and load so many times, in turn (5)", whole(1, 100))
  .option("--loads <calls>", "calls at a time, separated by commas; with capacity: the rungs", loads)
  .option(
    "--variants <names>",
    `separated by commas: ${VARIANTS.map(({ name }) => name).join(", ")}`,
    list(VARIANTS.map(({ name }) => name)),
  )
  .option("--seconds <n>", "length of the measured window (10)", whole(1, 3_600))
  .option("--warm-up <seconds>", "before the window (10)", whole(0, 600))
  .option(
    "--passes <n>",
    "in each round a rung of capacity has to be passed so many times out of as many (1)",
    whole(1, 20),
  )
  .option(
    "--retries <n>",
    "how often a run is repeated whose load generator was late or busy",
    whole(0, 20),
    2,
  )
  .option(
    "--quiet-wait <seconds>",
    "before each part, wait so long for the rest of the machine to idle",
    whole(0, 3_600),
    0,
  )
  .option("--json", "the last line is one JSON object; the tables go to standard error", false)
  .option("--profile <folder>", "write CPU profiles of the gateway there; figures then mean little")
  .option("--node-args <flags>", "of the gateway's Node, for example what perf needs", (text) =>
    text.split(" ").filter(Boolean),
  );

await main(program.parse().opts<Options>());

async function main(options: Options): Promise<void> {
  const say = options.json ? console.error : console.log;
  if (options.quick && options.save) program.error("--quick says nothing that could be kept with --save");
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
  const ok = [...results, ...(found ?? []), ...(paired ?? [])].every((result) => result.ok);
  const ratios: Record<string, Repeats> = {};
  for (const result of results)
    for (const [name, ratio] of Object.entries(result.ratios)) ratios[`${result.suite}: ${name}`] = ratio;
  for (const pair of paired ?? []) ratios[`pair: ${pair.name}`] = pair.cpuRatio;
  say(`\n${ok ? "ok" : "not ok"}`);
  if (options.json) console.log(JSON.stringify({ ok, ratios, results, singles: found, pairs: paired }));
  process.exitCode = ok ? 0 : 1;
}

/** What makes one part anew, with what differs from its defaults. */
function commandOf(suite: string, options: Options): string {
  const { rounds, loads, variants, seconds, warmUp, passes } = options;
  const part = suite === "quick" || suite === "gate" ? [`--${suite}`] : ["--only", suite];
  const given = { rounds, loads, variants, seconds, "warm-up": warmUp, passes };
  const others = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return ["npm run bench --", ...part, ...others].join(" ");
}

function wants({ only, quick, gate }: Options, name: string): boolean {
  return only.length > 0 ? only.includes(name) : !quick && !gate;
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

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
  };
}

function loads(text: string): number[] {
  return text.split(",").map(whole(1, 2_000));
}

function list<T extends string>(known: readonly T[]) {
  return (text: string): T[] =>
    text.split(",").map((name) => {
      const value = known.find((one) => one === name);
      if (value === undefined) throw new InvalidArgumentError(`known are ${known.join(", ")}`);
      return value;
    });
}
