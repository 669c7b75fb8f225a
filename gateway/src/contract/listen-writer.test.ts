import type { ListenCallResponse } from "@callweave/proto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ListenWriter } from "./listen-writer.js";

function setup(maxListenMs = 100, listenBundleMs = 0) {
  const written: ListenCallResponse[] = [];
  let done: (() => void) | undefined;
  const turns: (() => void)[] = [];
  const later: { fn: () => void; ms: number }[] = [];
  const state = { finished: false };
  const writer = new ListenWriter(
    {
      write: (message, callback) => {
        written.push(message);
        done = callback;
      },
      finish: () => {
        state.finished = true;
      },
    },
    8000,
    { maxListenMs, listenBundleMs },
    (fn, ms) => (ms === 0 ? turns.push(fn) : later.push({ fn, ms })),
  );
  const turn = () => {
    for (const fn of turns.splice(0)) fn();
  };
  const wrote = () => {
    const callback = done;
    done = undefined;
    callback?.();
  };
  const drain = () => {
    turn();
    while (done) wrote();
  };
  /** The time of all that was to be sent later is over. */
  const wait = () => {
    const waits = later.splice(0);
    for (const { fn } of waits) fn();
    return waits.map(({ ms }) => ms);
  };
  return { writer, written, state, turn, wrote, drain, wait };
}

const format = { encoding: 1, sampleRateHertz: 8000 };
const kinds = (written: ListenCallResponse[]) =>
  written.map(({ item }) => (item?.$case === "audio" ? `a${item.value.sequence}` : item?.$case));

describe("ListenWriter", () => {
  it("sends nothing before the format, then audio, then the end", () => {
    const { writer, written, state, turn, drain } = setup();
    writer.audio(0, 160, new Uint8Array(320));
    turn();
    expect(written).toEqual([]);
    writer.start(format);
    writer.gap(160, 40, "PROVIDER");
    writer.audio(480, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    writer.audio(640, 160, new Uint8Array(320));
    drain();
    expect(kinds(written)).toEqual(["started", "a1", "gap", "a2", "ended"]);
    expect(state.finished).toBe(true);
  });

  it("loses the oldest audio of a slow listener, told by a gap, and never the end", () => {
    const { writer, written, turn, wrote, drain } = setup();
    writer.start(format);
    turn();
    for (let i = 0; i < 20; i++) writer.audio(i * 160, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    expect(writer.droppedMs).toBe(300);
    wrote();
    drain();
    expect(kinds(written)).toEqual(["started", "gap", "a16", "a17", "a18", "a19", "a20", "ended"]);
    expect(written[1]?.item?.value).toEqual({
      handle: 0,
      from: 0,
      duration: { seconds: 0, nanos: 300_000_000 },
      reason: 1,
    });
  });

  it("drops a gap of the provider together with the audio around it", () => {
    const { writer, written, turn, drain } = setup(40);
    writer.start(format);
    turn();
    writer.audio(0, 160, new Uint8Array(320));
    writer.gap(160, 100, "PAUSED");
    for (let i = 6; i < 10; i++) writer.audio(i * 160, 160, new Uint8Array(320));
    drain();
    expect(kinds(written)).toEqual(["started", "gap", "a4", "a5"]);
    expect(written[1]?.item?.value).toMatchObject({ from: 0, duration: { seconds: 0, nanos: 160_000_000 } });
  });

  it("is silent once closed", () => {
    const { writer, written, drain } = setup();
    writer.start(format);
    writer.close();
    writer.audio(0, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    drain();
    expect(written).toEqual([]);
  });

  describe("with a bundle of 60 ms", () => {
    const begun = (maxListenMs = 1_000) => {
      const made = setup(maxListenMs, 60);
      made.writer.start(format);
      made.drain();
      made.written.length = 0;
      return made;
    };
    /** 20 ms, the n-th of a call, filled with n. */
    const frame = (n: number) => [n * 160, 160, new Uint8Array(320).fill(n)] as const;
    const audios = (written: ListenCallResponse[]) =>
      written.map(({ item }) =>
        item?.$case === "audio"
          ? [item.value.sequence, item.value.position, [...item.value.pcm.filter((_, i) => i % 320 === 0)]]
          : item?.$case,
      );

    it("sends what follows on each other as one message, once that time is over", () => {
      const { writer, written, turn, wait, wrote } = begun();
      for (const n of [0, 1, 2]) writer.audio(...frame(n));
      turn();
      expect(written).toEqual([]);
      expect(wait()).toEqual([60]);
      expect(audios(written)).toEqual([[1, 0, [0, 1, 2]]]);
      wrote();
      expect(wait()).toEqual([]);
      writer.audio(...frame(3));
      expect(wait()).toEqual([60]);
      expect(audios(written).slice(1)).toEqual([[2, 480, [3]]]);
    });

    it("sends no more than that at once, and what is over at the next time", () => {
      const { writer, written, wait, wrote } = begun();
      for (let n = 0; n < 7; n++) writer.audio(...frame(n));
      wait();
      wrote();
      // As much as a bundle waits: it goes at once.
      expect(audios(written)).toEqual([
        [1, 0, [0, 1, 2]],
        [2, 480, [3, 4, 5]],
      ]);
      wrote();
      expect(wait()).toEqual([60]);
      expect(audios(written).at(-1)).toEqual([3, 960, [6]]);
    });

    it("keeps what is longer than a bundle whole, and holes apart", () => {
      const { writer, written, wait, wrote } = begun();
      writer.audio(0, 800, new Uint8Array(1_600).fill(9));
      writer.audio(800, 160, new Uint8Array(320).fill(1));
      writer.audio(1_120, 160, new Uint8Array(320).fill(2));
      writer.gap(1_280, 20, "PAUSED");
      writer.audio(1_440, 160, new Uint8Array(320).fill(3));
      wait();
      for (let i = 0; i < 5; i++) {
        wrote();
        wait();
      }
      expect(audios(written)).toEqual([
        [1, 0, [9, 9, 9, 9, 9]],
        [2, 800, [1]],
        [3, 1_120, [2]],
        "gap",
        [4, 1_440, [3]],
      ]);
    });

    it("does not let the end wait, nor what came before it", () => {
      const { writer, written, state, drain } = begun();
      writer.audio(...frame(0));
      writer.ended("TERMINATED");
      drain();
      expect(audios(written)).toEqual([[1, 0, [0]], "ended"]);
      expect(state.finished).toBe(true);
    });

    it("waits for no longer than half of what may wait", () => {
      const { writer, written, wait } = begun(100);
      for (const n of [0, 1, 2]) writer.audio(...frame(n));
      expect(wait()).toEqual([50]);
      expect(audios(written)).toEqual([[1, 0, [0, 1]]]);
    });

    it("tells what a slow listener lost before the next bundle", () => {
      const { writer, written, wait, wrote } = begun(200);
      writer.audio(...frame(0));
      wait();
      for (let n = 1; n < 21; n++) writer.audio(...frame(n));
      for (let i = 0; i < 9; i++) {
        wrote();
        wait();
      }
      expect(writer.droppedMs).toBe(200);
      expect(audios(written)).toEqual([
        [1, 0, [0]],
        "gap",
        [12, 11 * 160, [11, 12, 13]],
        [13, 14 * 160, [14, 15, 16]],
        [14, 17 * 160, [17, 18, 19]],
        [15, 20 * 160, [20]],
      ]);
    });
  });

  it("tells every sample once and in order, as audio or as a gap", () => {
    /** What is heard at a position. */
    const byte = (position: number) => (position * 31 + (position >> 8)) & 0xff;
    const step = fc.oneof(
      fc.record({ audio: fc.constantFrom(160, 160, 160, 80, 1, 700) }),
      fc.record({ gap: fc.integer({ min: 1, max: 400 }) }),
      fc.constantFrom("wrote" as const, "wait" as const, "turn" as const),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.constantFrom(0, 20, 60),
        fc.constantFrom(100, 140, 400),
        (steps, bundleMs, maxListenMs) => {
          const { writer, written, turn, wrote, wait, drain } = setup(maxListenMs, bundleMs);
          writer.start(format);
          let position = 0;
          for (const step of steps) {
            if (step === "wrote") wrote();
            else if (step === "wait") wait();
            else if (step === "turn") turn();
            else if ("audio" in step) {
              const from = position;
              writer.audio(
                from,
                step.audio,
                Uint8Array.from({ length: step.audio }, (_, i) => byte(from + i)),
              );
              position += step.audio;
            } else {
              writer.gap(position, step.gap / 8, "PROVIDER");
              position += step.gap;
            }
          }
          writer.ended("TERMINATED");
          drain();
          let at = 0;
          let audioSequence = 0;
          let droppedMs = 0;
          for (const { item } of written) {
            if (item?.$case === "audio") {
              const { pcm, sequence } = item.value;
              expect(item.value.position).toBe(at);
              expect([...pcm]).toEqual(Array.from(pcm, (_, i) => byte(at + i)));
              expect(sequence).toBeGreaterThan(audioSequence);
              audioSequence = sequence;
              at += pcm.length;
            } else if (item?.$case === "gap") {
              const { from, duration, reason } = item.value;
              expect(from).toBe(at);
              const ms = (duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1e6;
              if (reason === 1) droppedMs += ms;
              at += Math.round(ms * 8);
            }
          }
          expect(at).toBe(position);
          // Gaps of the provider among what was dropped count in the gap that tells it, and are no audio.
          expect(writer.droppedMs).toBeLessThanOrEqual(droppedMs + 1e-6);
          expect(written.at(-1)?.item?.$case).toBe("ended");
        },
      ),
      { numRuns: 300 },
    );
  });
});
