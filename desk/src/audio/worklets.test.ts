import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";

/** What a worklet is on the audio thread. */
interface Processor {
  readonly port: { onmessage?: (event: { data: unknown }) => void };
  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}

function load(name: "capture" | "player", sampleRate: number) {
  const posted: unknown[] = [];
  let made: (new () => Processor) | undefined;
  class AudioWorkletProcessor {
    readonly port = { postMessage: (data: unknown) => posted.push(data) };
  }
  const code = readFileSync(new URL(`../../public/worklets/${name}.js`, import.meta.url), "utf8");
  runInNewContext(code, {
    AudioWorkletProcessor,
    registerProcessor: (_name: string, type: new () => Processor) => {
      made = type;
    },
    sampleRate,
    Float32Array,
    Int16Array,
    Math,
  });
  const processor = new (made as new () => Processor)();
  return { processor, posted };
}

/** A second of a tone through the microphone, in blocks of 128. */
function captured(sampleRate: number, hz: number): Int16Array {
  const { processor, posted } = load("capture", sampleRate);
  for (let at = 0; at + 128 <= sampleRate; at += 128) {
    const block = Float32Array.from(
      { length: 128 },
      (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * (at + i)) / sampleRate),
    );
    processor.process([[block]], []);
  }
  const blocks = (posted as ArrayBuffer[]).map((buffer) => new Int16Array(buffer));
  return Int16Array.from(blocks.flatMap((block) => [...block]));
}

/** The amplitude of a frequency in samples at 24 kHz. */
function amplitude(samples: Int16Array, hz: number): number {
  let [re, im] = [0, 0];
  const part = samples.subarray(4_800, 19_200);
  part.forEach((value, i) => {
    re += value * Math.cos((2 * Math.PI * hz * i) / 24_000);
    im += value * Math.sin((2 * Math.PI * hz * i) / 24_000);
  });
  return (2 * Math.hypot(re, im)) / part.length;
}

describe("the microphone's worklet", () => {
  it.each([24_000, 44_100, 48_000])("gives blocks of 20 ms at 24 kHz from %i Hz", (rate) => {
    const samples = captured(rate, 1_000);
    expect(samples.length % 480).toBe(0);
    expect(samples.length).toBeGreaterThan(22_500);
    expect(amplitude(samples, 1_000)).toBeGreaterThan(15_500);
    expect(amplitude(samples, 1_000)).toBeLessThan(17_200);
  });

  it("lets nothing through that the lower rate cannot hold", () => {
    // 15 kHz at 48 kHz would come back as 9 kHz.
    expect(amplitude(captured(48_000, 15_000), 9_000)).toBeLessThan(200);
  });

  it("is silent when muted, and when the microphone is gone", () => {
    const { processor, posted } = load("capture", 24_000);
    processor.port.onmessage?.({ data: { muted: true } });
    for (let i = 0; i < 4; i++) processor.process([[new Float32Array(128).fill(0.5)]], []);
    processor.port.onmessage?.({ data: { muted: false } });
    for (let i = 0; i < 8; i++) processor.process([[]], []);
    const all = (posted as ArrayBuffer[]).flatMap((buffer) => [...new Int16Array(buffer)]);
    expect(all.length).toBe(1_440);
    expect(all.every((value) => value === 0)).toBe(true);
  });
});

describe("the loudspeaker's worklet", () => {
  const RATE = 24_000;
  const ms = (count: number) => new Int16Array((RATE * count) / 1_000).fill(8_192).buffer;
  const rig = () => {
    const { processor, posted } = load("player", RATE);
    const push = (data: unknown) => processor.port.onmessage?.({ data });
    /** Plays so many ms; answers how many of its samples were sound. */
    const play = (count: number) => {
      let sound = 0;
      for (let at = 0; at < (RATE * count) / 1_000; at += 128) {
        const out = new Float32Array(128);
        processor.process([], [[out]]);
        sound += out.filter((value) => value !== 0).length;
      }
      return (sound * 1_000) / RATE;
    };
    return {
      push,
      play,
      last: () => posted.at(-1) as { queuedMs: number; emptied: number; skipped: number },
    };
  };

  it("begins with 80 ms in hand", () => {
    const { push, play } = rig();
    push(ms(60));
    expect(play(20)).toBe(0);
    push(ms(20));
    expect(play(60)).toBeGreaterThan(55);
  });

  it("wants more in hand after it ran empty", () => {
    const { push, play, last } = rig();
    push(ms(80));
    play(200);
    push(ms(80));
    expect(play(50)).toBe(0);
    push(ms(40));
    expect(play(50)).toBeGreaterThan(40);
    expect(last().emptied).toBe(1);
  });

  it("skips the oldest when more than a second has come", () => {
    const { push, play, last } = rig();
    for (let i = 0; i < 50; i++) push(ms(20));
    play(50);
    expect(last().skipped).toBe(0);
    for (let i = 0; i < 4; i++) push(ms(20));
    play(50);
    expect(last().skipped).toBeGreaterThan(0);
    expect(last().queuedMs).toBeLessThan(200);
  });
});
