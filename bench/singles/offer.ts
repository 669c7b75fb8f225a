import { barChart } from "../chart.js";
import { type Spread, spreadOf } from "../figures.js";
import type { CallTimes } from "../processes/echo-agent.js";
import type { ProviderTimes } from "../processes/media-call.js";
import { measure } from "../run.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import { placeSeconds, STACK_SECONDS, startEcho, startTalk, talkLoads, withStack } from "./stack.js";
import { milliseconds } from "./table.js";

const NEW_CALLS = 300;
const WARM_UP_CALLS = 100;
/** From one new call to the next. For the estimate. */
const EACH_SECONDS = 0.1;
const LIMIT_MS = 10;

const STEPS = [
  "notice → claimed (waits 0 to 50 by chance)",
  "claimed → offer at the agent",
  "offer → assigned, at the agent",
  "assigned → answer at the provider",
  "notice → answer, in all",
] as const;

interface Seen {
  readonly load: number;
  readonly steps: readonly Spread[];
  readonly invalid: string;
}

/** From an offer to the seat, with other calls talking. */
export const offer: Single = {
  name: "offer",
  title: "a call comes: its steps until it is answered, while others talk",
  estimateSeconds: (options) =>
    talkLoads(options).reduce((total, load) => {
      const { count, warmUpCount } = countsOf(options);
      return total + STACK_SECONDS + placeSeconds(load) + (warmUpCount + count) * EACH_SECONDS;
    }, 0),
  async measure(options) {
    const seen: Seen[] = [];
    for (const load of talkLoads(options)) seen.push(await measureLoad(load, options));
    return findingsOf(seen);
  },
};

function countsOf({ quick }: SingleOptions) {
  return quick ? { count: 10, warmUpCount: 1 } : { count: NEW_CALLS, warmUpCount: WARM_UP_CALLS };
}

async function measureLoad(load: number, options: SingleOptions): Promise<Seen> {
  const { count, warmUpCount } = countsOf(options);
  return withStack({ talk: true }, async (stack) => {
    const { generator, gateway } = stack;
    const talk = await startTalk(stack, load);
    const agent = await startEcho(stack, { capacity: 1 });
    await generator.ask("shortCalls", { count: warmUpCount });
    await talk.open();
    const [window, provider] = await Promise.all([
      // About ten calls a second.
      measure(
        { calls: load, warmUpSeconds: 0, seconds: Math.max(1, Math.floor(count / 12)) },
        { subjects: [gateway], generator, agents: [...talk.processes, agent] },
      ),
      generator.ask<ProviderTimes[]>("shortCalls", { count }),
    ]);
    const talkInvalid = await talk.close();
    const agents = await agent.ask<CallTimes[]>("times", { callIds: provider.map(({ callId }) => callId) });
    const steps: ((p: ProviderTimes, a: CallTimes) => number)[] = [
      (p) => p.claimedMs - p.notifiedMs,
      (p, a) => a.offerMs - p.claimedMs,
      (_p, a) => a.assignedMs - a.offerMs,
      (p, a) => p.answeredMs - a.assignedMs,
      (p) => p.answeredMs - p.notifiedMs,
    ];
    const seen = {
      load,
      steps: steps.map((step) => spreadOf(provider.map((p, i) => step(p, agents[i] as CallTimes)))),
      invalid: window.invalid || talkInvalid,
    };
    options.say(`${load} calls, offer → assigned: ${JSON.stringify(seen.steps[2])} ${seen.invalid}`);
    return seen;
  });
}

function findingsOf(seen: readonly Seen[]): Findings {
  const heading = [
    "p50 / p99 / max, ms",
    ...seen.map(({ load, steps }) => `${load} calls, ${steps[0]?.count} new ones`),
  ];
  const rows = STEPS.map((name, step) => [
    name,
    ...seen.map(({ steps }) => milliseconds(steps[step] as Spread)),
  ]);
  const bars = seen.flatMap(({ load, steps }) =>
    [1, 2, 3].map((step) => {
      const { p50, p99, max } = steps[step] as Spread;
      return {
        label: `${load} calls, ${["claim → offer", "offer → assigned", "assigned → answer"][step - 1]}`,
        value: { median: p99, min: p50, max },
        own: step === 2,
      };
    }),
  );
  return {
    tables: [[heading, ...rows]],
    targets: seen.map(({ load, steps }) => ({
      name: `${load} calls: offer → assigned, p99 ms`,
      atMost: LIMIT_MS,
      reached: (steps[2] as Spread).p99,
    })),
    problems: seen.flatMap(({ load, invalid }) => (invalid ? [`${load} calls: ${invalid}`] : [])),
    pictures: [
      {
        file: "bench-offer.svg",
        svg: barChart("A new call while others talk: p99, line p50 to max", "ms", bars, 1, {
          at: LIMIT_MS,
          label: `offer → assigned at most ${LIMIT_MS} ms`,
        }),
      },
    ],
  };
}
