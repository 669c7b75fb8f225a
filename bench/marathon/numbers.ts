import { decodeFrameTone, encodeFrameTone } from "@callweave/simulator";
import type { HeardRun, Voice } from "./evidence.js";

/** 1 bit: which agent. 4 bits: which lane. 11 bits: a number that grows, 256 (5 s) for each epoch. */
const COUNT_BITS = 11;
const PER_EPOCH = 256;
const FRAME_MS = 20;

/** A tone without end whose frames say who speaks, in which lane, and which frame it is. s16le in frames of 20 ms. */
export async function* numberedTone(
  voice: Voice,
  lane: number,
  epoch: number,
  rateHz: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const base = ((voice << 4) | lane) << COUNT_BITS;
  for (let count = epoch * PER_EPOCH; !signal.aborted; count++) {
    const frame = encodeFrameTone(base | (count & ((1 << COUNT_BITS) - 1)), rateHz);
    yield new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength);
  }
}

/** Who was heard when; `offsetMs` is added to the times. Frames that cannot be read for certain do not count. */
export function runsHeard(samples: Int16Array, rateHz: number, offsetMs: number): HeardRun[] {
  const runs: {
    voice: Voice;
    lane: number;
    startMs: number;
    endMs: number;
    repeats: number;
    last: number;
  }[] = [];
  for (const { number, startSample, exact } of decodeFrameTone(samples, rateHz)) {
    if (!exact) continue;
    const head = number >> COUNT_BITS;
    const voice = (head >> 4) as Voice;
    const lane = head & 15;
    const count = number & ((1 << COUNT_BITS) - 1);
    const startMs = offsetMs + (startSample * 1000) / rateHz;
    const run = runs[runs.length - 1];
    if (run && run.voice === voice && run.lane === lane) {
      if (count <= run.last) run.repeats++;
      run.last = count;
      run.endMs = startMs + FRAME_MS;
    } else runs.push({ voice, lane, startMs, endMs: startMs + FRAME_MS, repeats: 0, last: count });
  }
  return runs.map(({ last: _, ...run }) => run);
}
