/** Measures the gateway beside a bare relay; docs/performance.md says how and what came out. */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type Bar, barChart } from "./chart.js";
import { canPin, machineCpu } from "./child.js";
import { sleep } from "./clock.js";
import { PAIR_NAMES, type PairName } from "./pairs/pair.js";
import { runPairs } from "./pairs/run-pairs.js";
import { runLine, tableOf } from "./report.js";
import { type RunOptions, type RunResult, runGateway, runRelay } from "./run.js";
import { runSingles } from "./singles/run-singles.js";
import { SINGLE_NAMES, type SingleName } from "./singles/single.js";
import { type BenchSummary, PROMISES, problemsOf, summarize } from "./summary.js";

interface Options {
  readonly calls?: number;
  readonly seconds?: number;
  readonly warmUp?: number;
  readonly rounds?: number;
  readonly streams: number;
  readonly answers: "each" | "together";
  readonly roundTrip: number;
  readonly quietWait: number;
  readonly retries: number;
  readonly only?: "gateway" | "relay" | "pairs" | PairName | "singles" | SingleName;
  readonly quick: boolean;
  readonly json: boolean;
  readonly pictures?: string;
  readonly profile?: string;
  readonly results?: string;
}

const FULL = { calls: 100, seconds: 60, warmUp: 8, rounds: 3, extraCalls: 20 };
/** Of each pair: about 80 s. */
const PAIR = { calls: 50, seconds: 6, warmUp: 2, rounds: 3 };
const QUICK_PAIR = { calls: 10, seconds: 2, warmUp: 1, rounds: 1 };
const QUICK = { calls: 25, seconds: 5, warmUp: 2, rounds: 1, extraCalls: 5 };

const program = new Command("bench")
  .description("what a call costs and how late its audio is, beside a bare WebSocket-to-TCP relay")
  .option("--calls <n>", "calls at a time (100; quick: 25)", whole(1, 2_000))
  .option("--seconds <n>", "length of the measured window (60; quick: 5)", whole(1, 3_600))
  .option("--warm-up <seconds>", "before the window (8; quick: 2)", whole(0, 600))
  .option("--rounds <n>", "relay and gateway in turn, so many times (3; quick: 1)", whole(1, 100))
  .option("--streams <n>", "streams of the agent, each on its own connection", whole(1, 64), 1)
  .option(
    "--answers <how>",
    "the agent's answers: each a message of its own, or together",
    oneOf("each", "together"),
    "each",
  )
  .option("--round-trip <ms>", "added between agent and gateway, not with the relay", whole(0, 2_000), 0)
  .option(
    "--quiet-wait <seconds>",
    "before each run, wait so long for the rest of the machine to idle",
    whole(0, 3_600),
    0,
  )
  .option(
    "--retries <n>",
    "how often an invalid run is repeated; the invalid ones are told too",
    whole(0, 20),
    1,
  )
  .option(
    "--only <part>",
    `gateway or relay alone, or one pair (${PAIR_NAMES.join(", ")}), or all pairs (50 calls, 6 s, 3 rounds: 6 minutes); a single figure (${SINGLE_NAMES.join(", ")}), or all singles`,
    oneOf("gateway", "relay", "pairs", ...PAIR_NAMES, "singles", ...SINGLE_NAMES),
  )
  .option("--results <folder>", "of single figures: write one JSON file each there")
  .option("--quick", "about 30 s; only tells that frames arrive and none is lost", false)
  .option("--json", "the last line is one JSON object; the tables go to standard error", false)
  .option("--pictures <folder>", "write the charts bench-*.svg there")
  .option(
    "--profile <folder>",
    "write CPU profiles of the process under test there; figures then mean little",
  );

await main(program.parse().opts<Options>());

/** Pairs of several processes: what they share is in bench/pairs. */
async function mainPairs(names: readonly PairName[], options: Options): Promise<void> {
  const say = options.json ? console.error : console.log;
  const base = options.quick ? QUICK_PAIR : PAIR;
  if (!canPin()) say("taskset or a second core is missing: nothing is bound to a core");
  const pairs = await runPairs(names, {
    calls: options.calls ?? base.calls,
    seconds: options.seconds ?? base.seconds,
    warmUpSeconds: options.warmUp ?? base.warmUp,
    rounds: options.rounds ?? base.rounds,
    retries: options.quick ? 0 : options.retries,
    quick: options.quick,
    say,
  });
  const ok = pairs.every((pair) => pair.ok);
  say(`\n${ok ? "ok" : "not ok"}`);
  if (options.json) console.log(JSON.stringify({ ok, node: process.version, pairs }));
  process.exitCode = ok ? 0 : 1;
}

/** Figures that are not what a call costs: what they are is in bench/singles. */
async function mainSingles(names: readonly SingleName[], options: Options): Promise<void> {
  const say = options.json ? console.error : console.log;
  if (!canPin()) say("taskset or a second core is missing: nothing is bound to a core");
  const { quick, calls, rounds = quick ? 1 : 5, pictures, results } = options;
  const singles = await runSingles(names, { quick, rounds, calls, pictures, results, say });
  const ok = singles.every((single) => single.ok);
  say(`\n${ok ? "ok" : "not ok"}`);
  if (options.json) console.log(JSON.stringify({ ok, node: process.version, singles }));
  process.exitCode = ok ? 0 : 1;
}

async function main(options: Options): Promise<void> {
  if (options.only === "singles") return mainSingles(SINGLE_NAMES, options);
  const single = SINGLE_NAMES.filter((name) => name === options.only);
  if (single.length > 0) return mainSingles(single, options);
  if (options.only === "pairs") return mainPairs(PAIR_NAMES, options);
  const only = PAIR_NAMES.filter((name) => name === options.only);
  if (only.length > 0) return mainPairs(only, options);
  const say = options.json ? console.error : console.log;
  const base = options.quick ? QUICK : FULL;
  const run: RunOptions = {
    calls: options.calls ?? base.calls,
    seconds: options.seconds ?? base.seconds,
    warmUpSeconds: options.warmUp ?? base.warmUp,
    streams: options.streams,
    answers: options.answers,
    roundTripMs: options.roundTrip,
    extraCalls: Math.min(base.extraCalls, options.calls ?? base.calls),
    nodeArgs: options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [],
  };
  if (!canPin()) say("taskset or a second core is missing: nothing is bound to a core");
  const failures: string[] = [];
  const runs = await rounds(options, run, options.rounds ?? base.rounds, failures, say);
  const gateway = summarize(runs.filter((r) => r.variant === "gateway"));
  const relay = summarize(runs.filter((r) => r.variant === "relay"));
  const problems = [...failures, ...problemsOf(gateway, relay, options.quick)];
  const summary: BenchSummary = {
    ok: problems.length === 0,
    problems,
    calls: run.calls,
    seconds: run.seconds,
    streams: run.streams,
    answers: run.answers,
    roundTripMs: run.roundTripMs,
    quick: options.quick,
    node: process.version,
    cores: availableParallelism(),
    gateway,
    relay,
    cpuRatio: gateway.cpuSecondsPerCallMinute.median / relay.cpuSecondsPerCallMinute.median,
    runs,
  };
  say(`\n${tableOf(summary)}\n`);
  say(summary.ok ? "ok" : `not ok: ${problems.join("; ")}`);
  if (options.pictures) drawCharts(options.pictures, summary);
  if (options.json) console.log(JSON.stringify(summary));
  process.exitCode = summary.ok ? 0 : 1;
}

async function rounds(
  options: Options,
  run: RunOptions,
  count: number,
  failures: string[],
  say: (line: string) => void,
): Promise<RunResult[]> {
  const runs: RunResult[] = [];
  for (let round = 1; round <= count; round++) {
    // In turn, so that both meet the same machine; the order changes, so that neither always comes first.
    const order = round % 2 === 1 ? (["relay", "gateway"] as const) : (["gateway", "relay"] as const);
    for (const variant of order) {
      if (options.only && variant !== options.only) continue;
      for (let attempt = 0; attempt <= (options.quick ? 0 : options.retries); attempt++) {
        await quiet(options.quietWait);
        const result = await (variant === "relay" ? runRelay(run) : runGateway(run)).catch(String);
        if (typeof result === "string") {
          failures.push(`${variant}: ${result}`);
          say(`${round}/${count} ${variant} FAILED: ${result}`);
          continue;
        }
        runs.push(result);
        say(`${round}/${count} ${runLine(result)}`);
        if (result.invalid === "") break;
      }
    }
  }
  return runs;
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

function drawCharts(folder: string, { calls, gateway, relay }: BenchSummary): void {
  const bars = (pick: (v: typeof gateway) => Bar["value"]): Bar[] => [
    { label: "Callweave", value: pick(gateway), own: true },
    { label: "bare relay", value: pick(relay), own: false },
  ];
  const ways: Bar[] = [
    { label: "Callweave, to the agent", value: gateway.upP99Ms, own: true },
    { label: "bare relay, to the agent", value: relay.upP99Ms, own: false },
    { label: "Callweave, to the caller", value: gateway.downP99Ms, own: true },
    { label: "bare relay, to the caller", value: relay.downP99Ms, own: false },
  ];
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "bench-cpu.svg"),
    barChart(
      `CPU seconds per call-minute, ${calls} calls`,
      "lower is better",
      bars((v) => v.cpuSecondsPerCallMinute),
      3,
    ),
  );
  writeFileSync(
    join(folder, "bench-latency.svg"),
    barChart(`Delay of audio, p99, ${calls} calls on one core`, "ms, lower is better", ways, 1, {
      at: PROMISES.maxP99Ms,
      label: `promised: below ${PROMISES.maxP99Ms} ms`,
    }),
  );
}

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
  };
}

function oneOf<T extends string>(...values: readonly T[]) {
  return (text: string): T => {
    const value = values.find((v) => v === text);
    if (value !== undefined) return value;
    throw new InvalidArgumentError(values.join(" or "));
  };
}
