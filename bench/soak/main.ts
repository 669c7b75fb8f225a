/**
 * Calls that stay and calls that come and go, for a long time, and whether the gateway is afterwards what it was: memory,
 * handles, timers, files, delay of the event loop, by its own metrics. docs/reliability.md says how it is judged.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator, tone } from "@callweave/simulator";
import { agent } from "callweave";
import { Command, InvalidArgumentError } from "commander";
import { endlessTone } from "../../test/harness/audio.js";
import { configOf, writeConfig } from "../../test/harness/gateway-config.js";
import { metricsOf } from "../../test/harness/metrics.js";
import { startProgram } from "../../test/harness/process.js";
import { until } from "../../test/harness/until.js";
import { Callers } from "../callers.js";
import { sleep } from "../clock.js";
import { type Measure, type Trend, trendOf } from "./slope.js";

interface Options {
  readonly calls: number;
  readonly minutes: number;
  readonly seed: number;
  readonly json: boolean;
}

const RATE_HZ = 8_000;
const TONE_HZ = 1_000;
/** Calls that do not stay last so long. ms. */
const CALL_MS = { min: 4_000, max: 16_000 } as const;
/**
 * Before the first sample: code is compiled, heaps find their size, and the first ended calls are forgotten, which takes ten minutes. At
 * most a third of the time. ms.
 */
const WARM_UP_MS = 720_000;
const SAMPLES = 300;
const IDLE_MS = 15_000;
/** Handles that may be left when the last call is over: a connection of /metrics, a timer between two beats. */
const LEFT = 6;

const MEASURES = {
  // Pages of the embedded store's file, which grows until its retention, are mapped and the system's to take back.
  residentMb: { name: "resident memory without mapped files, MB", share: 0.05, allowance: 16 },
  heapMb: { name: "heap used, MB", share: 0.1, allowance: 16 },
  handles: { name: "handles", share: 0.05, allowance: 6 },
  timers: { name: "timers", share: 0.05, allowance: 6 },
  files: { name: "open files", share: 0.05, allowance: 6 },
  loopP50Ms: { name: "event loop p50, ms", share: 0.2, allowance: 5 },
  // Of a second in which the machine did something else, too; half of what /readyz calls late.
  loopP99Ms: { name: "event loop p99, ms", share: 0.5, allowance: 50 },
} as const satisfies Record<string, Measure>;
type Name = keyof typeof MEASURES;
const NAMES = Object.keys(MEASURES) as Name[];
type Sample = Readonly<Record<Name, number>>;

const program = new Command("soak")
  .description("Runs calls against a real gateway process and judges what grows")
  .option("--calls <n>", "calls that are up at a time", number(1, 2_000), 100)
  .option("--minutes <n>", "how long, from 0.5", number(0.5, 10_000, false), 60)
  .option("--seed <n>", "draws how long calls last", number(0, 2 ** 32 - 1), 1)
  .option("--json", "the last line is one JSON object", false)
  .parse();

async function main(options: Options): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "callweave-soak-"));
  const simulator = await Simulator.start({ recording: false, keepEndedCalls: 10 });
  const setup = {
    config: { routes: [{ unserved: "queue" }] },
    sampleRateHz: RATE_HZ,
  } as const;
  const config = { ...configOf(setup, simulator, folder), ops: { port: 0 } };
  const child = startProgram("gateway/src/main.ts", ["serve", "--config", await writeConfig(folder, config)]);
  try {
    const line = await child.line(({ msg }) => msg === "serving", "the gateway to serve", 60_000);
    const opsUrl = `http://127.0.0.1:${line.ops_port}`;
    const worker = agent(
      { endpoint: `127.0.0.1:${line.port}`, agentId: "talker", capacity: 1_000, whenHandlerReturns: "keep" },
      (call) => {
        void call.play(endlessTone(TONE_HZ, call.signal, RATE_HZ)).catch(() => {});
        void listen(call.audio());
      },
    );
    await worker.start();
    const idle = await sampleOf(opsUrl, child.pid);
    const callers = new Callers({
      place: () => simulator.placeCall({ caller: [tone(TONE_HZ)] }),
      count: options.calls,
      seed: options.seed,
      callMs: CALL_MS,
      stays: (index) => index % 2 === 0,
    });
    const durationMs = options.minutes * 60_000;
    const warmUpMs = Math.min(WARM_UP_MS, durationMs / 3);
    await callers.begin();
    await sleep(warmUpMs);
    const everyMs = Math.max(1_000, (durationMs - warmUpMs) / SAMPLES);
    const samples: Sample[] = [];
    const startMs = performance.now();
    while (performance.now() - startMs < durationMs - warmUpMs) {
      samples.push(await sampleOf(opsUrl, child.pid));
      await sleep(everyMs);
    }
    await callers.end();
    const left = await afterwards(opsUrl, child.pid, idle);
    await worker.close();
    const warnings = child.lines.filter(({ level }) => Number(level) >= 40).slice(-10);
    for (const text of [...callers.troubles, ...warnings.map((line) => JSON.stringify(line))])
      console.error(`soak: ${text}`);
    const trends = NAMES.map((name) =>
      trendOf(
        samples.map((sample) => sample[name]),
        MEASURES[name],
      ),
    );
    return report(options, trends, callers, left, samples.length);
  } finally {
    await child.end();
    await simulator.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function report(
  options: Options,
  trends: readonly Trend[],
  { inAll, dropped, unanswered }: Callers,
  left: number,
  samples: number,
): number {
  const problems = [
    ...trends.filter(({ ok }) => !ok).map(({ name, growth }) => `${name} grew by ${growth}`),
    ...(dropped > 0 ? [`${dropped} calls were dropped`] : []),
    ...(unanswered > 0 ? [`${unanswered} calls were not answered`] : []),
    ...(left > LEFT ? [`${left} handles are left when all calls are over`] : []),
  ];
  const { calls, minutes } = options;
  const result = {
    ok: problems.length === 0,
    calls,
    minutes,
    callsInAll: inAll,
    samples,
    handlesLeft: left,
    trends,
    failed: problems,
  };
  if (!options.json)
    for (const { name, first, median, last, growth, allowed, ok } of trends)
      console.log(
        `${ok ? "ok    " : "GROWS "} ${name}: ${first} … ${last}, median ${median}, growth ${growth} of ${allowed}`,
      );
  console.log(JSON.stringify(result));
  return result.ok ? 0 : 1;
}

/** How many handles are more than before the first call, once that does not fall any more. */
async function afterwards(opsUrl: string, pid: number, idle: Sample): Promise<number> {
  let left = Number.POSITIVE_INFINITY;
  const look = async () => {
    const now = await sampleOf(opsUrl, pid);
    left = Math.min(left, now.handles + now.timers - idle.handles - idle.timers);
    return left <= LEFT;
  };
  await until(look, "handles to be closed", IDLE_MS).catch(() => {});
  return left;
}

async function sampleOf(opsUrl: string, pid: number): Promise<Sample> {
  const metrics = await metricsOf(opsUrl);
  let handles = 0;
  for (const [name, value] of metrics)
    if (name.startsWith("nodejs_active_resources{") && !name.includes('"Timeout"')) handles += value;
  const of = (name: string) => metrics.get(name) ?? 0;
  return {
    residentMb: (await anonymousMb(pid)) ?? of("process_resident_memory_bytes") / 2 ** 20,
    heapMb: of("nodejs_heap_size_used_bytes") / 2 ** 20,
    handles,
    timers: of('nodejs_active_resources{kind="Timeout"}'),
    files: of("process_open_fds"),
    loopP50Ms: of('callweave_event_loop_delay_seconds{quantile="0.5"}') * 1_000,
    loopP99Ms: of('callweave_event_loop_delay_seconds{quantile="0.99"}') * 1_000,
  };
}

/** Resident memory that is in no file, MB; undefined where there is no /proc. */
async function anonymousMb(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kb = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return kb === undefined ? undefined : Number(kb) / 1024;
}

async function listen(audio: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of audio);
}

function number(min: number, max: number, isWhole = true) {
  return (text: string): number => {
    const value = Number(text);
    if (!(value >= min && value <= max) || (isWhole && !Number.isInteger(value)))
      throw new InvalidArgumentError(`must be a ${isWhole ? "whole " : ""}number from ${min} to ${max}`);
    return value;
  };
}

process.exitCode = await main(program.opts<Options>());
