import { barChart } from "../chart.js";
import { sleep } from "../clock.js";
import { type Repeats, repeatsOf } from "../figures.js";
import type { RushReport } from "../processes/load-generator.js";
import type { ReplayReport, WatchReport } from "../processes/watchers.js";
import { measure, program } from "../run.js";
import { rotated } from "./maths.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import { AFTER_WINDOW_SECONDS, STACK_SECONDS, startEcho, withStack } from "./stack.js";
import { repeats } from "./table.js";

const WATCHERS = [0, 1, 100];
const LINES = 50;
const SECONDS = 8;
/** For the last events, at most. */
const SETTLE_MS = 5_000;
/** The events of a second of calls are read again in so many. For the estimate. */
const REPLAY_SHARE = 0.1;

interface Round {
  readonly watchers: number;
  readonly setUpsPerSecond: number;
  /** To each watcher. */
  readonly eventsPerSecond: number;
  readonly delayP50Ms: number;
  readonly delayP99Ms: number;
  readonly gatewayCore: number;
  readonly harnessCore: number;
  readonly problem: string;
}

/** Events of calls that come and go, told to nobody, to one, to a hundred. */
export const events: Single = {
  name: "events",
  title: "events of calls that come and go as fast as they can, to watchers of all calls",
  estimateSeconds(options) {
    const { counts, warmUpSeconds, seconds } = shapeOf(options);
    // With many watchers the last events take as long as they may, without any they are there at once.
    const around = AFTER_WINDOW_SECONDS + SETTLE_MS / 1000 / 2;
    const rushed = warmUpSeconds + options.rounds * counts.length * seconds;
    const rushes = rushed + (1 + options.rounds * counts.length) * around;
    return STACK_SECONDS + rushes + options.rounds * rushed * REPLAY_SHARE;
  },
  measure: (options) =>
    withStack({}, async (stack) => {
      const { start, generator, gateway, port } = stack;
      const lines = options.calls ?? (options.quick ? 10 : LINES);
      const agent = await startEcho(stack, { capacity: 2 * lines });
      const watchers = await start({ name: "watchers", args: [...program("watchers"), `127.0.0.1:${port}`] });
      const { cursor: from } = await watchers.ask<{ cursor: string }>("list");
      const oneRound = async (count: number, seconds: number): Promise<Round> => {
        await watchers.ask("begin", { count });
        const [window, rush] = await Promise.all([
          measure(
            { calls: lines, warmUpSeconds: 0, seconds },
            { subjects: [gateway], generator, agents: [agent, watchers] },
          ),
          generator.ask<RushReport>("rush", { lines, seconds, count: Number.MAX_SAFE_INTEGER, holdMs: 0 }),
        ]);
        await settled(() => watchers.ask<number[]>("counts"));
        return roundOf(count, window, rush, await watchers.ask<WatchReport>("end"));
      };
      const { counts, warmUpSeconds, seconds } = shapeOf(options);
      await oneRound(1, warmUpSeconds);
      const rounds: Round[] = [];
      for (let round = 0; round < options.rounds; round++)
        for (const count of rotated(counts, round)) {
          const result = await oneRound(count, seconds);
          options.say(`${round + 1}/${options.rounds} ${JSON.stringify(result)}`);
          rounds.push(result);
        }
      const replays: ReplayReport[] = [];
      for (let round = 0; round < options.rounds; round++)
        replays.push(await watchers.ask<ReplayReport>("replay", { from }));
      return findingsOf(rounds, counts, replays, lines);
    }),
};

function shapeOf({ quick }: SingleOptions) {
  if (quick) return { counts: [0, 1, 10], warmUpSeconds: 1, seconds: 2 };
  return { counts: WATCHERS, warmUpSeconds: SECONDS, seconds: SECONDS };
}

/** Waits until no more events come. */
async function settled(counts: () => Promise<number[]>): Promise<void> {
  const sum = async () => (await counts()).reduce((total, count) => total + count, 0);
  const endMs = performance.now() + SETTLE_MS;
  for (let before = -1, now = await sum(); now !== before && performance.now() < endMs; ) {
    await sleep(300);
    [before, now] = [now, await sum()];
  }
}

function roundOf(
  watchers: number,
  window: { readonly coreShare: number; readonly harnessShare: number },
  rush: RushReport,
  told: WatchReport,
): Round {
  const problems = [
    rush.failed > 0 && `${rush.failed} calls were not answered`,
    told.breaks > 0 && `${told.breaks} holes or repeats`,
    told.fewest !== told.most && `watchers got ${told.fewest} to ${told.most} events`,
    watchers > 0 && told.ended !== rush.done && `${told.ended} of ${rush.done} ends were told`,
  ];
  return {
    watchers,
    setUpsPerSecond: rush.done / rush.seconds,
    eventsPerSecond: told.events / rush.seconds,
    delayP50Ms: told.delayMs.p50,
    delayP99Ms: told.delayMs.p99,
    gatewayCore: window.coreShare,
    harnessCore: window.harnessShare,
    problem: problems.filter(Boolean).join(", "),
  };
}

function findingsOf(
  rounds: readonly Round[],
  counts: readonly number[],
  replays: readonly ReplayReport[],
  lines: number,
): Findings {
  const of = (count: number, pick: (round: Round) => number): Repeats =>
    repeatsOf(rounds.filter(({ watchers }) => watchers === count).map(pick));
  const row = (name: string, pick: (round: Round) => number, from = 0) => [
    name,
    ...counts.map((count) => (count < from ? "" : repeats(of(count, pick)))),
  ];
  const delivered = ({ eventsPerSecond, watchers }: Round) => eventsPerSecond * watchers;
  const replayed = repeatsOf(replays.map(({ events, seconds }) => events / seconds));
  return {
    tables: [
      [
        [
          `${lines} calls at a time, median [range] of the rounds`,
          ...counts.map((count) => `watchers: ${count}`),
        ],
        row("set-ups a second", ({ setUpsPerSecond }) => setUpsPerSecond),
        row("events a second, to each watcher", ({ eventsPerSecond }) => eventsPerSecond, 1),
        row("events a second, in all", delivered, 1),
        row("from the event to the watcher p50, ms", ({ delayP50Ms }) => delayP50Ms, 1),
        row("from the event to the watcher p99, ms", ({ delayP99Ms }) => delayP99Ms, 1),
        row("gateway, of its core", ({ gatewayCore }) => gatewayCore),
        row("generator, agent and watchers, of the other", ({ harnessCore }) => harnessCore),
      ],
      [
        ["the past, read by one watcher from a cursor", ""],
        ["events a second", repeats(replayed)],
        ["events read", String(replays[0]?.events ?? 0)],
      ],
    ],
    targets: [],
    problems: rounds.flatMap(({ watchers, problem }) =>
      problem ? [`${watchers} watchers: ${problem}`] : [],
    ),
    pictures: [
      {
        file: "bench-events.svg",
        svg: barChart(
          "Events delivered, one gateway",
          "a second, higher is better",
          [
            ...counts.slice(1).map((count) => ({
              label: count === 1 ? "1 watcher" : `${count} watchers, in all`,
              value: of(count, delivered),
              own: true,
            })),
            { label: "1 watcher, of the past", value: replayed, own: true },
          ],
          0,
        ),
      },
    ],
  };
}
