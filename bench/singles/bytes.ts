import { barChart } from "../chart.js";
import { sleep } from "../clock.js";
import { repeatsOf } from "../figures.js";
import { SAMPLE_RATE_HZ } from "../frame.js";
import type { WireBytes } from "../processes/load-generator.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import { placeCalls, placeSeconds, STACK_SECONDS, startEcho, startProxy, withStack } from "./stack.js";

/** What is said in the calls. */
const PHASES = ["nobody speaks, no audio", "the caller speaks", "both speak"] as const;
const STREAMS = [1, 4];
const CALLS = 100;
const SECONDS = 10;
/** Before each reading. */
const SETTLE_MS = 1_000;
/** Raw audio each way, bytes a second. */
const RAW = SAMPLE_RATE_HZ * 2;

/** Bytes a second of one call. */
interface Rate {
  readonly toAgent: number;
  readonly fromAgent: number;
  readonly toProvider: number;
  readonly fromProvider: number;
}

interface Seen {
  readonly streams: number;
  readonly calls: number;
  /** Without any call, of the whole session. */
  readonly noCall: Rate;
  /** In the order of PHASES. */
  readonly phases: readonly Rate[];
}

/** What a call puts on the wire, on both sides of the gateway. */
export const bytes: Single = {
  name: "bytes",
  title: "bytes on the wire for each call and second (TCP payload), beside 48,000 of raw audio each way",
  estimateSeconds(options) {
    const { calls, seconds } = shapeOf(options);
    const reads = (1 + PHASES.length) * (SETTLE_MS / 1000 + seconds);
    return STREAMS.length * (STACK_SECONDS + placeSeconds(calls) + reads);
  },
  async measure(options) {
    const seen: Seen[] = [];
    for (const streams of STREAMS) {
      seen.push(await measureStreams(streams, options));
      options.say(JSON.stringify(seen.at(-1)));
    }
    return findingsOf(seen);
  },
};

function shapeOf({ quick, calls }: SingleOptions) {
  return quick ? { calls: calls ?? 20, seconds: 2 } : { calls: calls ?? CALLS, seconds: SECONDS };
}

async function measureStreams(streams: number, options: SingleOptions): Promise<Seen> {
  const { calls, seconds } = shapeOf(options);
  return withStack({}, async (stack) => {
    const { generator } = stack;
    const proxy = await startProxy(stack, 0);
    const { port } = await proxy.ready;
    const agent = await startEcho(stack, { capacity: calls, streams, port });
    const read = async () => ({
      agent: await proxy.ask<{ up: number; down: number }>("bytes"),
      provider: await generator.ask<WireBytes>("wireBytes"),
      atMs: performance.now(),
    });
    const rate = async (per: number): Promise<Rate> => {
      await sleep(SETTLE_MS);
      const before = await read();
      await sleep(seconds * 1000);
      const after = await read();
      const of = (bytes: number) => bytes / ((after.atMs - before.atMs) / 1000) / per;
      return {
        toAgent: of(after.agent.down - before.agent.down),
        fromAgent: of(after.agent.up - before.agent.up),
        toProvider: of(after.provider.received - before.provider.received),
        fromProvider: of(after.provider.sent - before.provider.sent),
      };
    };
    const noCall = await rate(1);
    await placeCalls(stack, calls);
    const phases: Rate[] = [];
    for (const [muted, silent] of [
      [true, true],
      [false, true],
      [false, false],
    ]) {
      await agent.ask("silent", { on: silent });
      await generator.ask("mute", { muted });
      phases.push(await rate(calls));
    }
    return { streams, calls, noCall, phases };
  });
}

function findingsOf(seen: readonly Seen[]): Findings {
  const heading = [
    "bytes a second",
    "gateway → agent",
    "agent → gateway",
    "gateway → provider",
    "provider → gateway",
  ];
  const shown = (value: number) => Math.round(value).toLocaleString("en");
  const cells = ({ toAgent, fromAgent, toProvider, fromProvider }: Rate) =>
    [toAgent, fromAgent, toProvider, fromProvider].map(shown);
  const over = (bytes: number) => (bytes / RAW - 1) * 100;
  const rows = seen.flatMap(({ streams, calls, noCall, phases }) => {
    const talking = phases.at(-1) as Rate;
    return [
      [`${streams === 1 ? "one stream" : `${streams} streams`}: no call, in all`, ...cells(noCall)],
      ...PHASES.map((name, index) => [`each of ${calls} calls: ${name}`, ...cells(phases[index] as Rate)]),
      [
        "over the raw audio",
        ...[talking.toAgent, talking.fromAgent, talking.toProvider, talking.fromProvider].map(
          (value) => `${over(value).toFixed(1)} %`,
        ),
      ],
    ];
  });
  const problems = seen.flatMap(({ streams, phases }) => {
    const talking = phases.at(-1) as Rate;
    return Math.min(...Object.values(talking)) < RAW * 0.98
      ? [`${streams} streams: less on the wire than the audio has`]
      : [];
  });
  const bars = seen.flatMap(({ streams, phases }) => {
    const { toAgent, fromAgent, toProvider, fromProvider } = phases.at(-1) as Rate;
    const bar = (label: string, value: number) => ({ label, value: repeatsOf([value]), own: true });
    const own = [
      bar(`to the agent, ${streams} stream${streams > 1 ? "s" : ""}`, toAgent),
      bar("from the agent", fromAgent),
    ];
    return streams === 1
      ? [...own, bar("to the provider", toProvider), bar("from the provider", fromProvider)]
      : own;
  });
  return {
    tables: [[heading, ...rows]],
    targets: [],
    problems,
    pictures: [
      {
        file: "bench-bytes.svg",
        svg: barChart("A call in which both speak, on the wire", "bytes a second", bars, 0, {
          at: RAW,
          label: "raw audio: 48,000",
        }),
      },
    ],
  };
}
