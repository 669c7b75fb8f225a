import { appendFileSync } from "node:fs";
import type { AudioChunk, Call } from "callweave";
import { print } from "./io.js";

/** Appends audio to a file, reports gaps. */
export async function record(audio: AsyncIterable<AudioChunk>, call: string, file: string): Promise<void> {
  appendFileSync(file, "");
  for await (const chunk of audio) {
    if (chunk.pcm) appendFileSync(file, chunk.pcm);
    else reportGap(call, chunk);
  }
}

/** Plays back what the call says. The first `keepBackMs` are held back once, so that jitter makes no holes. */
export async function echo(call: Call, keepBackMs = 300): Promise<void> {
  let early: Buffer[] | undefined = [];
  for await (const chunk of call.audio()) {
    if (!chunk.pcm) {
      reportGap(call.id, chunk);
      continue;
    }
    // A copy: what waits to be played must not change.
    let pcm = Buffer.from(chunk.pcm);
    if (early) {
      early.push(pcm);
      pcm = Buffer.concat(early);
      if (pcm.length < keepBackMs * call.sampleRateHertz * 0.002) continue;
      early = undefined;
    }
    await call.play(pcm);
  }
}

/** The pieces of some audio. */
export function* pieces(audio: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < audio.length; at += size) yield audio.subarray(at, at + size);
}

function reportGap(call: string, { gapMs, reason }: { gapMs: number; reason: string }): void {
  print({ event: "gap", call, gapMs, reason });
}
