import { barChart } from "../chart.js";
import type { Child } from "../child.js";
import { sleep } from "../clock.js";
import { type Repeats, repeatsOf } from "../figures.js";
import type { RushReport } from "../processes/load-generator.js";
import { measure, program } from "../run.js";
import { rotated } from "./maths.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import { AFTER_WINDOW_SECONDS, STACK_SECONDS, type Stack, startEcho, withStack } from "./stack.js";
import { repeats } from "./table.js";

const LINES = 50;
const SECONDS = 8;
/** After all have hung up, before it is asked which calls are left. */
const LEFT_MS = 500;
const SIDES = ["embedded", "NATS"] as const;
type Side = (typeof SIDES)[number];

interface Round {
  readonly side: Side;
  readonly perSecond: number;
  readonly answeredP50Ms: number;
  readonly answeredP99Ms: number;
  readonly gatewayCore: number;
  readonly harnessCore: number;
  readonly failed: number;
  /** Calls that the gateway still had when all had hung up. */
  readonly left: number;
}

/** Calls that come and go as fast as the gateway takes them. */
export const setups: Single = {
  name: "setups",
  title: "calls that come, are answered by an agent and go, as many as one gateway carries",
  estimateSeconds(options) {
    const { warmUpSeconds, seconds } = timesOf(options);
    const each = (rushSeconds: number) => rushSeconds + AFTER_WINDOW_SECONDS + LEFT_MS / 1000;
    return SIDES.length * (STACK_SECONDS + each(warmUpSeconds) + options.rounds * each(seconds));
  },
  async measure(options) {
    const lines = options.calls ?? (options.quick ? 10 : LINES);
    const rounds = await withStack({}, (embedded) =>
      withStack({ nats: true }, (nats) => measureRounds({ embedded, NATS: nats }, lines, options)),
    );
    return findingsOf(rounds, lines);
  },
};

/** A gateway with an agent, and something that asks it for its calls. */
interface Running {
  readonly stack: Stack;
  readonly agent: Child<unknown>;
  readonly watchers: Child<unknown>;
}

function timesOf({ quick }: SingleOptions) {
  return quick ? { warmUpSeconds: 1, seconds: 2 } : { warmUpSeconds: SECONDS, seconds: SECONDS };
}

async function measureRounds(
  stacks: Record<Side, Stack>,
  lines: number,
  options: SingleOptions,
): Promise<Round[]> {
  const running = {} as Record<Side, Running>;
  for (const side of SIDES) {
    const stack = stacks[side];
    const args = [...program("watchers"), `127.0.0.1:${stack.port}`];
    running[side] = {
      stack,
      agent: await startEcho(stack, { capacity: 2 * lines }),
      watchers: await stack.start({ name: "watchers", args }),
    };
  }
  const { warmUpSeconds, seconds } = timesOf(options);
  // Code is compiled in a first rush of each.
  for (const side of SIDES) await measureRound(side, running[side], lines, warmUpSeconds);
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++)
    for (const side of rotated(SIDES, round)) {
      const result = await measureRound(side, running[side], lines, seconds);
      options.say(`${round + 1}/${options.rounds} ${JSON.stringify(result)}`);
      rounds.push(result);
    }
  return rounds;
}

async function measureRound(
  side: Side,
  { stack, agent, watchers }: Running,
  lines: number,
  seconds: number,
): Promise<Round> {
  const { generator, gateway, servers } = stack;
  const [window, rush] = await Promise.all([
    measure(
      { calls: lines, warmUpSeconds: 0, seconds },
      { subjects: [gateway], generator, agents: [agent], servers },
    ),
    generator.ask<RushReport>("rush", { lines, seconds, count: Number.MAX_SAFE_INTEGER, holdMs: 0 }),
  ]);
  await sleep(LEFT_MS);
  const { calls: left } = await watchers.ask<{ calls: number }>("list");
  return {
    side,
    perSecond: rush.done / rush.seconds,
    answeredP50Ms: rush.notifyToAnswerMs.p50,
    answeredP99Ms: rush.notifyToAnswerMs.p99,
    gatewayCore: window.coreShare,
    harnessCore: window.harnessShare,
    failed: rush.failed,
    left,
  };
}

function findingsOf(rounds: readonly Round[], lines: number): Findings {
  const of = (side: Side, pick: (round: Round) => number): Repeats =>
    repeatsOf(rounds.filter((round) => round.side === side).map(pick));
  const row = (name: string, pick: (round: Round) => number) => [
    name,
    ...SIDES.map((side) => repeats(of(side, pick))),
  ];
  const perSecond = (round: Round) => round.perSecond;
  const sum = (pick: (round: Round) => number) => rounds.reduce((total, round) => total + pick(round), 0);
  const [failed, left] = [sum((round) => round.failed), sum((round) => round.left)];
  return {
    tables: [
      [
        [
          `${lines} calls at a time, median [range] of the rounds`,
          "events on disk (LMDB)",
          "events in JetStream",
        ],
        row("set-ups a second", perSecond),
        row("gateway CPU for each, ms", ({ gatewayCore, perSecond }) => (gatewayCore * 1000) / perSecond),
        row("notice → answer p50, ms", ({ answeredP50Ms }) => answeredP50Ms),
        row("notice → answer p99, ms", ({ answeredP99Ms }) => answeredP99Ms),
        row("gateway, of its core", ({ gatewayCore }) => gatewayCore),
        row("generator, agent and NATS, of the other", ({ harnessCore }) => harnessCore),
      ],
    ],
    targets: [],
    problems: [
      ...(failed > 0 ? [`${failed} calls were not answered`] : []),
      ...(left > 0 ? [`${left} calls were left when all had hung up`] : []),
    ],
    pictures: [
      {
        file: "bench-setups.svg",
        svg: barChart(
          "Calls set up and ended, one gateway",
          "a second, higher is better",
          SIDES.map((side) => ({ label: `events: ${side}`, value: of(side, perSecond), own: true })),
          0,
        ),
      },
    ],
  };
}
