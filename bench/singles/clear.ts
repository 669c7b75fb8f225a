import { barChart } from "../chart.js";
import type { Child } from "../child.js";
import { sleep } from "../clock.js";
import { type Spread, spreadOf } from "../figures.js";
import type { ClearTimes } from "../processes/echo-agent.js";
import type { SilenceTimes } from "../processes/media-call.js";
import { measure, program } from "../run.js";
import type { Findings, Single, SingleOptions, Target } from "./single.js";
import {
  AFTER_WINDOW_SECONDS,
  placeCalls,
  placeSeconds,
  STACK_SECONDS,
  type Stack,
  startEcho,
  startProxy,
  startTalk,
  type Talk,
  talkLoads,
  withStack,
} from "./stack.js";
import { milliseconds } from "./table.js";

/** How an answer that is interrupted was given, and over which way. */
interface Case {
  readonly name: string;
  readonly manner: "paced" | "whole" | "ring";
  readonly oneWayMs: number;
}

const CASES: readonly Case[] = [
  { name: "an agent that speaks word by word", manner: "paced", oneWayMs: 0 },
  { name: "a whole answer (30 s) given to the client at once", manner: "whole", oneWayMs: 0 },
  { name: "the same, 20 ms of round trip", manner: "whole", oneWayMs: 10 },
  { name: "a whole answer (25 s) sent to the gateway at once", manner: "ring", oneWayMs: 0 },
];
const TALKERS = 20;
/** Of each case, at least. */
const CLEARS = 220;
const ANSWER_SECONDS = { paced: 30, whole: 30, ring: 25 };
/** Answers begin, and are interrupted, so far apart. ms. */
const APART_MS = 37;
/** Into the answer: the provider has its second of audio and asks for more only as it plays. */
const INTO_ANSWER_MS = 1_200;
/** What comes later than this after an interruption would be heard as a new answer. ms. */
const SILENCE_MS = 300;
const WARM_UP_MS = 8_000;
const QUICK_WARM_UP_MS = 500;
/** Of a case: the talker starts, its calls come and go. For the estimate. */
const AROUND_CASE_SECONDS = 3;
/** At the gateway: less the way to it. */
const LIMIT_MS = 20;

interface Heard {
  readonly load: number;
  readonly what: Case;
  readonly toSilence: Spread;
  readonly toInterrupt: Spread;
  readonly toAnswer: Spread;
  readonly droppedMs: Spread;
  readonly invalid: string;
}

/** From ClearPlayback to silence. */
export const clear: Single = {
  name: "clear",
  title: "an agent is interrupted: from ClearPlayback to its last audio at the provider",
  estimateSeconds(options) {
    const seconds = talkLoads(options).map((load) => {
      const { talkers, cycles, warmUpMs } = shapeOf(load, options);
      const caseSeconds = AROUND_CASE_SECONDS + (cycles * cycleMsOf(talkers)) / 1000 + AFTER_WINDOW_SECONDS;
      return STACK_SECONDS + placeSeconds(load) + warmUpMs / 1000 + CASES.length * caseSeconds;
    });
    return seconds.reduce((total, one) => total + one, 0);
  },
  async measure(options) {
    const heard: Heard[] = [];
    for (const load of talkLoads(options)) heard.push(...(await measureLoad(load, options)));
    return findingsOf(heard);
  },
};

function shapeOf(load: number, { quick }: SingleOptions) {
  const talkers = Math.min(TALKERS, Math.floor(load / 2));
  const cycles = quick ? 1 : Math.ceil(CLEARS / talkers);
  return { talkers, cycles, warmUpMs: quick ? QUICK_WARM_UP_MS : WARM_UP_MS };
}

/** Answers begin, and then end, one after the other. */
function cycleMsOf(talkers: number): number {
  return 2 * talkers * APART_MS + INTO_ANSWER_MS + SILENCE_MS;
}

async function measureLoad(load: number, options: SingleOptions): Promise<Heard[]> {
  const { talkers, cycles, warmUpMs } = shapeOf(load, options);
  return withStack({ talk: true }, async (stack) => {
    const heard: Heard[] = [];
    let talk: Talk | undefined;
    for (const what of CASES) {
      const talker = await startTalker(stack, what, talkers);
      const callIds = await placeCalls(stack, talkers);
      if (!talk) {
        talk = await startTalk(stack, load - talkers);
        await sleep(warmUpMs);
      }
      const result = await measureCase(stack, talk, talker, { load, what, callIds, cycles });
      options.say(`${load} calls, ${what.name}: ${JSON.stringify(result.toSilence)} ${result.invalid}`);
      heard.push(result);
      await stack.generator.ask("hangUp", { callIds });
      await sleep(500);
      await talker.stop();
    }
    return heard;
  });
}

async function startTalker(stack: Stack, { manner, oneWayMs }: Case, count: number): Promise<Child<unknown>> {
  if (manner === "ring") return startEcho(stack, { capacity: count });
  const { port } = oneWayMs > 0 ? await (await startProxy(stack, oneWayMs)).ready : stack;
  const args = [...program("talker"), `127.0.0.1:${port}`, String(count)];
  return stack.start({ name: "talker", args });
}

async function measureCase(
  { generator, gateway }: Stack,
  talk: Talk,
  talker: Child<unknown>,
  { load, what, callIds, cycles }: { load: number; what: Case; callIds: readonly string[]; cycles: number },
): Promise<Heard> {
  const silences: number[] = [];
  const interrupts: number[] = [];
  const answers: number[] = [];
  const dropped: number[] = [];
  const { manner } = what;
  const seconds = ANSWER_SECONDS[manner];
  if (manner !== "ring") await talker.ask("waitFor", { callIds });
  await generator.ask("realTime", { callIds });
  const oneCycle = async () => {
    if (manner !== "ring") await talker.ask("speak", { callIds, manner, seconds, apartMs: APART_MS });
    else
      for (const callId of callIds) {
        await talker.ask("speak", { callIds: [callId], seconds });
        await sleep(APART_MS);
      }
    await sleep(INTO_ANSWER_MS);
    const clears = await talker.ask<ClearTimes[]>("clear", { callIds, apartMs: APART_MS });
    await sleep(SILENCE_MS);
    const after = await generator.ask<SilenceTimes[]>("silence", { callIds });
    for (const { callId, sentMs, answeredMs, droppedMs } of clears) {
      const { lastAudioMs, interruptedMs } = after.find((one) => one.callId === callId) as SilenceTimes;
      if (interruptedMs < sentMs) throw new Error("an interruption was not passed on to the provider");
      if (manner !== "paced" && droppedMs <= 0) throw new Error("an interruption found nothing to drop");
      silences.push(Math.max(0, lastAudioMs - sentMs));
      interrupts.push(interruptedMs - sentMs);
      answers.push(answeredMs - sentMs);
      dropped.push(droppedMs);
    }
  };
  const cycleMs = cycleMsOf(callIds.length);
  await talk.open();
  const [window] = await Promise.all([
    measure(
      { calls: load, warmUpSeconds: 0, seconds: Math.max(1, Math.floor((cycles * cycleMs) / 1000)) },
      { subjects: [gateway], generator, agents: [...talk.processes, talker] },
    ),
    (async () => {
      for (let cycle = 0; cycle < cycles; cycle++) await oneCycle();
    })(),
  ]);
  const talkInvalid = await talk.close();
  return {
    load,
    what,
    toSilence: spreadOf(silences),
    toInterrupt: spreadOf(interrupts),
    toAnswer: spreadOf(answers),
    droppedMs: spreadOf(dropped),
    invalid: window.invalid || talkInvalid,
  };
}

function findingsOf(heard: readonly Heard[]): Findings {
  const targets: Target[] = heard.map(({ load, what, toSilence }) => ({
    name: `${load} calls, ${what.name}: ClearPlayback at the gateway → silence, p99 ms`,
    atMost: LIMIT_MS,
    reached: Math.max(0, toSilence.p99 - what.oneWayMs),
  }));
  const heading = [
    "ClearPlayback →",
    "calls",
    "clears",
    "silence p50 / p99 / max, ms",
    "interrupt at the provider",
    "PlaybackCleared",
    "dropped p50, s",
  ];
  const rows = heard.map(({ load, what, ...one }) => [
    what.name,
    String(load),
    String(one.toSilence.count),
    milliseconds(one.toSilence),
    milliseconds(one.toInterrupt),
    milliseconds(one.toAnswer),
    (one.droppedMs.p50 / 1000).toFixed(1),
  ]);
  const bars = heard.map(({ load, what, toSilence: { p50, p99, max } }) => ({
    label: `${load} calls, ${LABELS[CASES.indexOf(what)]}`,
    value: { median: p99, min: p50, max },
    own: true,
  }));
  const limit = { at: LIMIT_MS, label: `at the gateway at most ${LIMIT_MS} ms` };
  return {
    tables: [[heading, ...rows]],
    targets,
    problems: heard.flatMap(({ load, what, invalid }) =>
      invalid ? [`${load} calls, ${what.name}: ${invalid}`] : [],
    ),
    pictures: [
      {
        file: "bench-clear.svg",
        svg: barChart("From ClearPlayback to silence: p99, line p50 to max", "ms", bars, 1, limit),
      },
    ],
  };
}

const LABELS = ["word by word", "whole answer", "whole, 20 ms away", "whole, at the gateway"];
