import { barChart } from "../chart.js";
import { sleep } from "../clock.js";
import { type Repeats, repeatsOf } from "../figures.js";
import type { RushReport } from "../processes/load-generator.js";
import type { ReplayReport, WatchReport } from "../processes/watchers.js";
import { measure, program } from "../run.js";
import { rotated } from "./maths.js";
import type { Findings, Single } from "./single.js";
import { startEcho, withStack } from "./stack.js";
import { repeats } from "./table.js";

const WATCHERS = [0, 1, 100] as const;
const LINES = 50;
const SECONDS = 8;
/** For the last events, at most. */
const SETTLE_MS = 5_000;

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
      await oneRound(1, options.quick ? 1 : SECONDS);
      const rounds: Round[] = [];
      const counts = options.quick ? ([0, 1, 10] as const) : WATCHERS;
      for (let round = 0; round < options.rounds; round++)
        for (const count of rotated(counts, round)) {
          const result = await oneRound(count, options.quick ? 2 : SECONDS);
          options.say(`${round + 1}/${options.rounds} ${JSON.stringify(result)}`);
          rounds.push(result);
        }
      const replays: ReplayReport[] = [];
      for (let round = 0; round < options.rounds; round++)
        replays.push(await watchers.ask<ReplayReport>("replay", { from }));
      return findingsOf(rounds, counts, replays, lines);
    }),
};

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
