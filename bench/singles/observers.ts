import { barChart } from "../chart.js";
import { sleep } from "../clock.js";
import { type Repeats, repeatsOf } from "../figures.js";
import type { ListenReport } from "../processes/listeners.js";
import { measure, program } from "../run.js";
import { rotated, shareOfCall, withinNoise } from "./maths.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import {
  AFTER_WINDOW_SECONDS,
  placeCalls,
  placeSeconds,
  STACK_SECONDS,
  startEcho,
  withStack,
} from "./stack.js";
import { repeats } from "./table.js";

/** Who listens beside the calls. */
const SIDES = [
  { name: "nobody", observers: 0, slow: false },
  { name: "10 observers", observers: 10, slow: false },
  { name: "100 observers", observers: 100, slow: false },
  { name: "100 that never read", observers: 100, slow: true },
] as const;
type Side = (typeof SIDES)[number];

const CALLS = 100;
const SECONDS = 8;
const WARM_UP_MS = 10_000;
/** Until what an observer that does not read has room for is full, on the way to it (some 2.5 s) and at the gateway (2 s). */
const SETTLE_MS = 6_000;
/** Until observers that left are gone. */
const END_MS = 500;
const MAX_SHARE = 0.25;

interface Round {
  readonly side: Side;
  readonly core: number;
  readonly upP99Ms: number;
  readonly downP99Ms: number;
  readonly residentMb: number;
  readonly lost: number;
  readonly invalid: string;
  readonly problem: string;
}

/** What listening costs, and whether those who do not read disturb the calls. */
export const observers: Single = {
  name: "observers",
  title: "observers that hear a call each, beside nobody",
  estimateSeconds(options) {
    const { calls, warmUpMs, seconds } = shapeOf(options);
    const round = SIDES.map(
      (side) => settleMsOf(side, options) / 1000 + seconds + AFTER_WINDOW_SECONDS + END_MS / 1000,
    ).reduce((total, one) => total + one, 0);
    return STACK_SECONDS + placeSeconds(calls) + warmUpMs / 1000 + options.rounds * round;
  },
  measure: (options) =>
    withStack({}, async (stack) => {
      const { start, generator, gateway, port } = stack;
      const { calls, warmUpMs, seconds } = shapeOf(options);
      const agent = await startEcho(stack, { capacity: calls });
      const listeners = await start({
        name: "listeners",
        args: [...program("listeners"), `127.0.0.1:${port}`],
      });
      const callIds = await placeCalls(stack, calls);
      await sleep(warmUpMs);
      const rounds: Round[] = [];
      for (let round = 0; round < options.rounds; round++)
        for (const side of rotated(SIDES, round)) {
          const { observers: count, slow } = side;
          await listeners.ask("begin", { callIds, count, slow });
          await sleep(settleMsOf(side, options));
          const window = await measure(
            { calls, warmUpSeconds: 0, seconds },
            { subjects: [gateway], generator, agents: [agent, listeners] },
          );
          if (slow) await listeners.ask("readOn");
          const heard = await listeners.ask<ListenReport>("end");
          await sleep(END_MS);
          const result: Round = {
            side,
            core: window.coreShare,
            upP99Ms: window.upMs.p99,
            downP99Ms: window.downMs.p99,
            residentMb: window.memory.endMb,
            lost: window.framesLost + window.outOfOrder + window.corrupt,
            invalid: window.invalid,
            problem: problemOf(side, heard),
          };
          options.say(`${round + 1}/${options.rounds} ${JSON.stringify({ ...result, side: side.name })}`);
          rounds.push(result);
        }
      return findingsOf(rounds, calls);
    }),
};

function shapeOf({ quick, calls }: SingleOptions) {
  return quick
    ? { calls: calls ?? 20, warmUpMs: 500, seconds: 2 }
    : { calls: calls ?? CALLS, warmUpMs: WARM_UP_MS, seconds: SECONDS };
}

function settleMsOf({ slow }: Side, { quick }: SingleOptions): number {
  return quick && !slow ? 500 : SETTLE_MS;
}

function problemOf({ observers: count, slow }: Side, { audio, gaps, ended }: ListenReport): string {
  if (count === 0 || slow) return "";
  if (audio === 0) return "observers heard nothing";
  if (gaps > 0 || ended > 0) return `observers heard ${gaps} gaps, ${ended} ended`;
  return "";
}

function findingsOf(rounds: readonly Round[], calls: number): Findings {
  const valid = rounds.filter(({ invalid }) => invalid === "");
  const usable = valid.length > 0 ? valid : rounds;
  const valuesOf = (side: Side, pick: (round: Round) => number) =>
    usable.filter((round) => round.side === side).map(pick);
  const of = (side: Side, pick: (round: Round) => number): Repeats => repeatsOf(valuesOf(side, pick));
  const [nobody, ten, hundred, slow] = SIDES;
  const core = (round: Round) => round.core;
  const share = (side: Side) =>
    shareOfCall({
      withThem: of(side, core).median,
      without: of(nobody, core).median,
      observers: side.observers,
      calls,
    });
  const worse = (round: Round) => Math.max(round.upP99Ms, round.downP99Ms);
  const noise = of(nobody, worse);
  const added = of(slow, worse).median - noise.median;
  const row = (name: string, pick: (round: Round) => number) => [
    name,
    ...SIDES.map((side) => repeats(of(side, pick))),
  ];
  const quiet = withinNoise(
    valuesOf(slow, worse).map((value) => value - noise.median),
    valuesOf(nobody, worse),
  );
  return {
    tables: [
      [
        [`${calls} calls, median [range] of the valid rounds`, ...SIDES.map(({ name }) => name)],
        row("gateway, of its core", core),
        [
          "each observer, as a share of a call",
          "",
          ...[ten, hundred, slow].map((side) => `${(share(side) * 100).toFixed(0)} %`),
        ],
        row("caller → agent p99, ms", ({ upP99Ms }) => upP99Ms),
        row("agent → caller p99, ms", ({ downP99Ms }) => downP99Ms),
        row("resident memory, MB", ({ residentMb }) => residentMb),
        [
          "rounds valid",
          ...SIDES.map(
            (side) =>
              `${valid.filter((r) => r.side === side).length} of ${rounds.filter((r) => r.side === side).length}`,
          ),
        ],
      ],
    ],
    targets: [
      { name: "one of 100 observers, % of a call", atMost: MAX_SHARE * 100, reached: share(hundred) * 100 },
      {
        name: "p99 that 100 observers who never read add, ms (at most what rounds without differ by)",
        atMost: noise.max - noise.min,
        reached: quiet ? Math.min(added, noise.max - noise.min) : added,
      },
    ],
    problems: [
      ...rounds.flatMap(({ side, lost, problem }) => [
        ...(lost > 0 ? [`${side.name}: ${lost} frames lost or misplaced`] : []),
        ...(problem ? [`${side.name}: ${problem}`] : []),
      ]),
      ...(valid.length === 0 ? ["no valid round"] : []),
    ],
    pictures: [
      {
        file: "bench-observers.svg",
        svg: barChart(
          `Observers beside ${calls} calls: the gateway's core`,
          "share of the core, lower is better",
          SIDES.map((side) => ({ label: side.name, value: of(side, core), own: side.observers > 0 })),
          2,
        ),
      },
    ],
  };
}
