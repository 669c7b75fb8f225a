import { readFile } from "node:fs/promises";
import { decodeFrameTone, type SimCall } from "@callweave/simulator";
import { type Ear, holesIn, msHeard, numbersHeard } from "../harness/audio.js";
import { check, settle, type Wrong } from "./settle.js";
import type { Stage } from "./stage.js";
import type { Doer } from "./steps.js";

type Name = "heard" | "heardEach" | "echoed" | "echoedEach" | "notHeard" | "tone" | "file";

/** Numbers between two calls of one scenario; see `perCall`. */
const PER_CALL = 100;

/** What the parties heard, and what programs wrote of what they were sent. */
export const HEARD: { readonly [N in Name]: Doer<N> } = {
  heard: (stage, { call, by, frames, missingAtMost, repeatedAtMost, withinMs }) =>
    heardOnce(stage.call(call), by, frames, { missingAtMost, repeatedAtMost, withinMs }),
  async heardEach(stage, { calls, count, missingAtMost, withinMs }) {
    for (const { phone, number } of stage.callsOf(calls)) {
      const first = number * PER_CALL;
      await heardOnce(phone, "caller", [first, count], { missingAtMost, repeatedAtMost: 0, withinMs });
      const foreign = numbers(phone, "caller").find((heard) => heard < first || heard >= first + count);
      if (foreign !== undefined) throw new Error(`call ${number} heard frame ${foreign} of another call`);
    }
  },
  echoed: (stage, { call, by, least, holesAtMost, withinMs }) =>
    echoed(stage.call(call), by, least, holesAtMost, withinMs),
  async echoedEach(stage, { calls, least, withinMs }) {
    for (const { phone } of stage.callsOf(calls)) await echoed(phone, "caller", least, 0, withinMs);
  },
  notHeard(stage, { call, by, frames: [first, count], atMost }) {
    const heard = new Set(within(numbers(stage.call(call), by), first, count)).size;
    if (heard > atMost) {
      throw new Error(`the ${by} heard ${heard} of ${count} frames from ${first} on; allowed are ${atMost}`);
    }
  },
  async tone(stage, { call, by, hz, since, until, afterMs, leastMs, mostMs, withinMs }) {
    const window = {
      ...(since === undefined ? {} : { fromMs: timeOf(stage, since) + afterMs }),
      ...(until === undefined ? {} : { toMs: timeOf(stage, until) }),
    };
    const heardMs = () => msHeard(stage.call(call), by, hz, window);
    if (leastMs !== undefined) {
      await settle(
        () =>
          heardMs() >= leastMs ? undefined : `the ${by} heard ${hz} Hz for ${heardMs()} ms of ${leastMs}`,
        withinMs,
      );
    }
    if (mostMs !== undefined && heardMs() > mostMs) {
      throw new Error(`the ${by} heard ${hz} Hz for ${heardMs()} ms; allowed are ${mostMs}`);
    }
  },
  file: (stage, { name, least, holesAtMost, firstAtLeast, mostMs, sampleRateHertz, withinMs }) =>
    settle(async () => {
      const samples = samplesOf(await readFile(stage.path(name)).catch(() => Buffer.alloc(0)));
      const found = numbersIn(samples, sampleRateHertz);
      if (found.length < least) return `${name} has ${found.length} frames of ${least}`;
      const heardMs = (samples.length * 1000) / sampleRateHertz;
      if (mostMs !== undefined && heardMs > mostMs) return `${name} has ${heardMs} ms, more than ${mostMs}`;
      const holes = holesIn(found).length;
      if (firstAtLeast !== undefined && (found[0] ?? 0) < firstAtLeast) {
        return `${name} begins with frame ${found[0]}, before ${firstAtLeast}`;
      }
      return holesAtMost !== undefined && holes > holesAtMost
        ? `${name} has ${holes} holes`
        : disorder(found);
    }, withinMs),
};

function numbers({ recording }: SimCall, by: Ear): number[] {
  return numbersIn(recording.track(by), recording.sampleRate || 16_000);
}

/**
 * The frame numbers in audio. Where most frames are exact, nothing was mixed or converted: then one that is not is a piece of a
 * frame at a seam, which may be read as another number.
 */
function numbersIn(samples: Int16Array, sampleRateHz: number): number[] {
  const found = decodeFrameTone(samples, sampleRateHz);
  const exact = found.filter((frame) => frame.exact);
  return (exact.length * 2 > found.length ? exact : found).map(({ number }) => number);
}

function within(heard: readonly number[], first: number, count: number): number[] {
  return heard.filter((number) => number >= first && number < first + count);
}

/**
 * What a party heard of frames `first` … `first + count − 1`: each once and in order. A frame that was cut by a pause of the
 * playback was heard, though it is not exact.
 */
async function heardOnce(
  phone: SimCall,
  by: Ear,
  [first, count]: readonly [number, number],
  {
    missingAtMost,
    repeatedAtMost,
    withinMs,
  }: { readonly missingAtMost: number; readonly repeatedAtMost: number; readonly withinMs: number },
): Promise<void> {
  await settle(() => {
    const heard = new Set(numbersHeard(phone, by).map(({ number }) => number));
    const missing = Array.from({ length: count }, (_, i) => first + i).filter((number) => !heard.has(number));
    return missing.length <= missingAtMost
      ? undefined
      : `the ${by} did not hear ${missing.length} of ${count} frames from ${first} on: ${missing.slice(0, 9)}`;
  }, withinMs);
  check(disorder(within(numbers(phone, by), first, count), repeatedAtMost));
}

/** What a party heard back of the caller's frames. */
async function echoed(
  phone: SimCall,
  by: Ear,
  least: number,
  holesAtMost: number,
  withinMs: number,
): Promise<void> {
  await settle(() => {
    const { length } = numbers(phone, by);
    return length >= least ? undefined : `the ${by} heard ${length} frames of at least ${least}`;
  }, withinMs);
  const heard = numbers(phone, by);
  const holes = holesIn(heard);
  if (holes.length > holesAtMost) {
    throw new Error(`the ${by} did not hear ${holes.length} frames: ${holes.slice(0, 9)} …`);
  }
  check(disorder(heard));
}

/** Each once and in order, but for so many that are heard again. */
function disorder(heard: readonly number[], repeatedAtMost = 0): Wrong {
  let newest = -1;
  let repeated = 0;
  for (const number of heard) {
    if (number > newest) newest = number;
    else if (++repeated > repeatedAtMost) return `frame ${number} was heard after frame ${newest}`;
  }
  return undefined;
}

function timeOf(stage: Stage, name: string): number {
  const ms = stage.times.get(name);
  if (ms === undefined) throw new Error(`no time is called "${name}"`);
  return ms;
}

function samplesOf(bytes: Buffer): Int16Array {
  const whole = new Uint8Array(bytes.length & ~1);
  whole.set(bytes.subarray(0, whole.length));
  return new Int16Array(whole.buffer);
}
