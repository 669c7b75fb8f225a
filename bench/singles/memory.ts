import { readFileSync } from "node:fs";
import { barChart } from "../chart.js";
import type { Child } from "../child.js";
import { sleep } from "../clock.js";
import { repeatsOf } from "../figures.js";
import type { RushReport } from "../processes/load-generator.js";
import { slopeOf } from "./maths.js";
import type { Findings, Single, SingleOptions } from "./single.js";
import { placeCalls, placeSeconds, STACK_SECONDS, startEcho, withStack } from "./stack.js";
import { repeats } from "./table.js";

/** Calls that come and go, so many at a time, each so long. */
const AT_A_TIME = 100;
const HOLD_MS = 300;
const COME_AND_GO = 10_000;
/** The first of them: code is compiled, the heap finds its size. */
const FIRST = 1_000;
/** After the last call, before memory is read: the gateway gives back what it can after `serve.heap_rest_seconds`, 30. ms. */
const REST_MS = 40_000;
/** Ended calls can be asked for so long (600 s), are forgotten up to 30 s later, and what they had is given back 30 s later. ms. */
const KEPT_MS = 670_000;
const LEVELS = [50, 100, 200];
const LEVEL_MS = 10_000;
const MAX_LEVEL_ROUNDS = 5;
const SAMPLES = 10;
const SAMPLE_EVERY_MS = 300;
/** From notice to answer, while calls come and go. For the estimate. */
const ANSWER_MS = 80;
const MAX_GROWTH = 1.1;
const MAX_CALL_KB = 100;

/** Resident memory, MB. */
interface Resident {
  readonly allMb: number;
  /** Of files: the program, and what is mapped of the stores. */
  readonly filesMb: number;
}

interface ComeAndGo {
  readonly calls: number;
  readonly failed: number;
  readonly seconds: number;
  /** With nothing to do: at the start, after the first calls, after all. */
  readonly start: Resident;
  readonly warm: Resident;
  readonly end: Resident;
  /** Once the gateway has forgotten the ended calls; not with --quick. */
  readonly forgotten: Resident | undefined;
  readonly mostMb: number;
  /** Heap in use after a collection of garbage, asked for once memory was read; at the start and after all. MB. */
  readonly startLiveMb: number;
  readonly endLiveMb: number;
  readonly forgottenLiveMb: number | undefined;
}

/** What calls leave behind, and what each takes while it talks. */
export const memory: Single = {
  name: "memory",
  title: "resident memory: after calls have come and gone, and for each that talks",
  estimateSeconds(options) {
    const samplesMs = SAMPLES * SAMPLE_EVERY_MS;
    const { counts, levelMs } = levelsOf(options);
    const levelsSeconds = placeSeconds(counts.at(-1) ?? 0) + (counts.length * (levelMs + samplesMs)) / 1000;
    const { count, lines, startMs, restMs, keptMs } = rushOf(options);
    const callsMs = (count / lines) * (HOLD_MS + ANSWER_MS);
    // Memory is read at the start, after the first calls and after all; what is kept is forgotten after the last rest.
    const goneMs =
      startMs + callsMs + restMs + Math.max(restMs, keptMs) + (options.quick ? 3 : 4) * samplesMs;
    return roundsOf(options) * (STACK_SECONDS + levelsSeconds) + STACK_SECONDS + goneMs / 1000;
  },
  async measure(options) {
    const slopes: Levels[] = [];
    for (let round = 0; round < roundsOf(options); round++) {
      slopes.push(await levels(options));
      options.say(`${round + 1} ${JSON.stringify(slopes.at(-1))}`);
    }
    const gone = await comeAndGo(options);
    options.say(JSON.stringify(gone));
    return findingsOf(gone, slopes);
  },
};

function roundsOf({ rounds }: SingleOptions): number {
  return Math.min(rounds, MAX_LEVEL_ROUNDS);
}

function rushOf({ quick, calls }: SingleOptions) {
  return quick
    ? { count: 100, first: 20, lines: calls ?? 20, startMs: 250, restMs: 1_000, keptMs: 0 }
    : {
        count: COME_AND_GO,
        first: FIRST,
        lines: calls ?? AT_A_TIME,
        startMs: 5_000,
        restMs: REST_MS,
        keptMs: KEPT_MS,
      };
}

async function comeAndGo(options: SingleOptions): Promise<ComeAndGo> {
  const { quick, say } = options;
  const { count, first: firstCount, lines, startMs, restMs, keptMs } = rushOf(options);
  return withStack({}, async (stack) => {
    const { generator, gateway } = stack;
    await startEcho(stack, { capacity: 2 * lines });
    await sleep(startMs);
    const start = await lowest(gateway);
    const startLiveMb = await gateway.ask<number>("live");
    const rush = (n: number) =>
      generator.ask<RushReport>("rush", { lines, seconds: 3_600, count: n, holdMs: HOLD_MS });
    let mostMb = start.allMb;
    const first = await rush(firstCount);
    await sleep(restMs);
    const warm = await lowest(gateway);
    say(`start ${start.allMb.toFixed(0)} MB, after ${first.done} calls ${warm.allMb.toFixed(0)} MB`);
    const timer = setInterval(() => {
      mostMb = Math.max(mostMb, gateway.residentMb());
    }, 500);
    const rest = await rush(count - first.done).finally(() => clearInterval(timer));
    await sleep(restMs);
    const end = await lowest(gateway);
    const endLiveMb = await gateway.ask<number>("live");
    say(`after all ${end.allMb.toFixed(0)} MB; waiting until the ended calls are forgotten`);
    await sleep(Math.max(0, keptMs - restMs));
    const forgotten = quick ? undefined : await lowest(gateway);
    return {
      calls: first.done + rest.done,
      failed: first.failed + rest.failed,
      seconds: first.seconds + rest.seconds,
      start,
      warm,
      end,
      mostMb,
      startLiveMb,
      endLiveMb,
      forgotten,
      forgottenLiveMb: quick ? undefined : await gateway.ask<number>("live"),
    };
  });
}

/** Memory over some seconds: the lowest, between two collections of garbage. */
async function lowest(gateway: Child<unknown>): Promise<Resident> {
  const allMb = Math.min(...(await samples(gateway)));
  const file = /RssFile:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"));
  return { allMb, filesMb: Number(file?.[1] ?? 0) / 1024 };
}

async function samples(gateway: Child<unknown>): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    seen.push(gateway.residentMb());
    await sleep(SAMPLE_EVERY_MS);
  }
  return seen;
}

interface Levels {
  /** Calls and resident memory, MB. */
  readonly points: readonly (readonly [calls: number, residentMb: number])[];
  /** kB (1,000 bytes) for each call. */
  readonly kbPerCall: number;
}

function levelsOf({ quick, calls }: SingleOptions) {
  return {
    counts: calls ? [calls, 2 * calls] : quick ? [5, 10] : LEVELS,
    levelMs: quick ? 500 : LEVEL_MS,
  };
}

async function levels(options: SingleOptions): Promise<Levels> {
  const { counts, levelMs } = levelsOf(options);
  return withStack({}, async (stack) => {
    await startEcho(stack, { capacity: counts.at(-1) as number });
    const points: [number, number][] = [];
    let up = 0;
    for (const level of counts) {
      await placeCalls(stack, level - up);
      up = level;
      await sleep(levelMs);
      // What is read is what calls hold, not what has become garbage meanwhile.
      await stack.gateway.ask<number>("live");
      points.push([level, repeatsOf(await samples(stack.gateway)).median]);
    }
    return { points, kbPerCall: (slopeOf(points) * 2 ** 20) / 1000 };
  });
}

function findingsOf(gone: ComeAndGo, rounds: readonly Levels[]): Findings {
  const { calls, failed, seconds, start, warm, end, forgotten, mostMb } = gone;
  const last = forgotten ?? end;
  const own = ({ allMb, filesMb }: Resident) => allMb - filesMb;
  const cells = (resident: Resident) =>
    [resident.allMb, own(resident), resident.filesMb].map((mb) => mb.toFixed(0));
  const perCall = repeatsOf(rounds.map(({ kbPerCall }) => kbPerCall));
  const at = (index: number) => repeatsOf(rounds.map(({ points }) => points[index]?.[1] ?? 0));
  const measured = rounds[0]?.points.map(([level]) => level) ?? [];
  return {
    tables: [
      [
        [
          `${calls} calls come and go in ${seconds.toFixed(0)} s`,
          "resident, MB",
          "its own",
          "files",
          "heap in use",
        ],
        ["before the first", ...cells(start), gone.startLiveMb.toFixed(1)],
        ["after the first tenth, at rest", ...cells(warm), ""],
        ["at most, meanwhile", mostMb.toFixed(0), "", "", ""],
        ["after the last, at rest", ...cells(end), gone.endLiveMb.toFixed(1)],
        ...(forgotten
          ? [["once ended calls are forgotten", ...cells(forgotten), gone.forgottenLiveMb?.toFixed(1) ?? ""]]
          : []),
      ],
      [
        ["calls that talk", ...measured.map(String), "kB for each more"],
        ["resident, MB, median [range]", ...measured.map((_, index) => repeats(at(index))), repeats(perCall)],
      ],
    ],
    targets: [
      {
        name: `resident after ${calls} calls, of before the first`,
        atMost: MAX_GROWTH,
        reached: last.allMb / start.allMb,
      },
      {
        name: `the same without pages of files`,
        atMost: MAX_GROWTH,
        reached: own(last) / own(start),
      },
      { name: "each talking call, kB", atMost: MAX_CALL_KB, reached: perCall.median },
    ],
    problems: failed > 0 ? [`${failed} calls were not answered`] : [],
    pictures: [
      {
        file: "bench-memory.svg",
        svg: barChart(
          `Resident memory of the gateway, ${calls} calls come and go`,
          "MB",
          [
            { label: "before", value: repeatsOf([start.allMb]), own: true },
            { label: "after a tenth", value: repeatsOf([warm.allMb]), own: true },
            { label: "at most", value: repeatsOf([mostMb]), own: false },
            { label: "after all", value: repeatsOf([end.allMb]), own: true },
            { label: "forgotten", value: repeatsOf([last.allMb]), own: true },
          ],
          0,
        ),
      },
    ],
  };
}
