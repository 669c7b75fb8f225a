import { describe, expect, it } from "vitest";
import { ManualClock } from "../util/clock.js";
import { CallError } from "./call-error.js";
import { PLAYBACK_DEFAULTS, Playback } from "./playback.js";

/** 8 kHz: 16 bytes are a millisecond. */
function make(maxQueuedMs = 1_000) {
  const clock = new ManualClock();
  let kicks = 0;
  const hold = {
    read(target: Uint8Array, offset: number, max: number) {
      target.fill(9, offset, offset + max);
      return max;
    },
  };
  const options = { ...PLAYBACK_DEFAULTS, sampleRateHz: 8000, maxQueuedMs };
  const playback = new Playback(options, clock, hold, () => kicks++);
  const take = (bytes: number) => {
    const target = new Uint8Array(bytes);
    return target.subarray(0, playback.read(target, 0, bytes));
  };
  return { clock, playback, take, kicks: () => kicks };
}

const pcm = (ms: number, value = 1) => new Uint8Array(ms * 16).fill(value);

describe("Playback", () => {
  it("gives out what came in, byte for byte, across block borders", () => {
    const { playback, take } = make(10_000);
    const sent = new Uint8Array(70_000).map((_, i) => i % 251);
    for (let at = 0; at < sent.length; at += 1_400) playback.enqueue(sent.subarray(at, at + 1_400));
    const got: number[] = [];
    for (let n = take(1_234); n.length > 0; n = take(1_234)) got.push(...n);
    expect(Buffer.from(got).equals(Buffer.from(sent))).toBe(true);
  });

  it("keeps what the provider takes at once and what it takes later, whatever becomes of the item's memory", () => {
    const got: number[] = [];
    let room = 0;
    const hold = { read: () => 0 };
    const options = { ...PLAYBACK_DEFAULTS, sampleRateHz: 8000, maxQueuedMs: 1_000 };
    const playback: Playback = new Playback(options, new ManualClock(), hold, () => {
      const target = new Uint8Array(room);
      got.push(...target.subarray(0, playback.read(target, 0, room)));
      room = 0;
    });
    const item = new Uint8Array(320);
    const expected: number[] = [];
    for (const [i, bytes] of [320, 0, 100, 640, 320].entries()) {
      item.fill(i + 1);
      room = bytes;
      playback.enqueue(item);
      for (let n = 0; n < 320; n++) expected.push(i + 1);
      item.fill(0xee);
    }
    expect(playback.snapshot().queuedMs).toBe((expected.length - got.length) / 16);
    const target = new Uint8Array(10_000);
    got.push(...target.subarray(0, playback.read(target, 0, 10_000)));
    expect(got).toEqual(expected);
  });

  it("takes an item that just fits and refuses the whole of one that does not", () => {
    const { playback } = make(1_000);
    playback.enqueue(pcm(600));
    playback.enqueue(pcm(400));
    const refused = (() => {
      try {
        playback.enqueue(pcm(1));
        return undefined;
      } catch (error) {
        return error as CallError;
      }
    })();
    expect(refused).toBeInstanceOf(CallError);
    expect(refused?.metadata).toEqual({ refused_ms: "1", queued_ms: "1000", max_ms: "1000" });
    expect(playback.snapshot().queuedMs).toBe(1_000);
  });

  it("offers a short tail alone once nothing has followed it for a while", async () => {
    const { clock, playback, take, kicks } = make();
    playback.enqueue(pcm(5));
    await clock.advance(PLAYBACK_DEFAULTS.tailWaitMs - 1);
    playback.enqueue(pcm(5));
    await clock.advance(PLAYBACK_DEFAULTS.tailWaitMs - 1);
    expect([kicks(), playback.flushTail()]).toEqual([2, false]);
    await clock.advance(1);
    expect([kicks(), playback.flushTail()]).toEqual([3, true]);
    expect(take(1_000)).toHaveLength(160);
    await clock.advance(1_000);
    expect(kicks()).toBe(3);
  });

  it("counts as heard only what the clock allows, not what the provider took", async () => {
    const { clock, playback, take } = make();
    playback.enqueue(pcm(500));
    take(500 * 16);
    expect(playback.snapshot()).toMatchObject({ queuedMs: 0, unheardAtProviderMs: 500, playedMs: 0 });
    await clock.advance(200);
    expect(playback.snapshot()).toMatchObject({ unheardAtProviderMs: 300, playedMs: 200 });
    await clock.advance(400);
    expect(playback.snapshot()).toMatchObject({ unheardAtProviderMs: 0, playedMs: 500 });
  });

  it("reaches a mark when all before it was heard, and drains a margin later", async () => {
    const { clock, playback, take } = make();
    const ends: string[] = [];
    playback.enqueue(pcm(100));
    playback.whenPlayed(false, (end) => ends.push(`mark ${end}`));
    playback.enqueue(pcm(100));
    playback.whenPlayed(true, (end) => ends.push(`drained ${end}`));
    await clock.advance(1_000);
    expect(ends).toEqual([]);
    take(200 * 16);
    await clock.advance(99);
    expect(ends).toEqual([]);
    await clock.advance(2);
    expect(ends).toEqual(["mark PLAYED"]);
    await clock.advance(297);
    expect(ends).toEqual(["mark PLAYED"]);
    await clock.advance(3);
    expect(ends).toEqual(["mark PLAYED", "drained PLAYED"]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("reaches a mark at once when nothing was said", async () => {
    const { clock, playback } = make();
    const ends: string[] = [];
    playback.whenPlayed(false, (end) => ends.push(end));
    await clock.advance(1);
    expect(ends).toEqual(["PLAYED"]);
  });

  it("asks for a short tail to be sent only while somebody waits for it", () => {
    const { playback } = make();
    playback.enqueue(pcm(1));
    expect(playback.flushTail()).toBe(false);
    playback.whenPlayed(false, () => {});
    expect(playback.flushTail()).toBe(true);
  });

  it("tells what a clear dropped here and what was not heard there, and ends waits as CLEARED", async () => {
    const { clock, playback, take } = make();
    const ends: string[] = [];
    playback.enqueue(pcm(800));
    take(300 * 16);
    playback.whenPlayed(false, (end) => ends.push(end));
    await clock.advance(100);
    expect(playback.clear()).toEqual({ droppedLocalMs: 500, unheardAtProviderMs: 200, playedMs: 100 });
    expect(ends).toEqual(["CLEARED"]);
    playback.enqueue(pcm(50));
    take(50 * 16);
    await clock.advance(60);
    expect(playback.snapshot().playedMs).toBe(150);
  });

  it("gives hold audio only as far ahead as the paced lead, and the agent's audio waits", async () => {
    const { clock, playback, take, kicks } = make();
    playback.setOutlet("HOLD");
    playback.enqueue(pcm(100));
    expect(take(16_000).length).toBe(PLAYBACK_DEFAULTS.pacedLeadMs * 16);
    expect(take(16_000).length).toBe(0);
    const before = kicks();
    await clock.advance(PLAYBACK_DEFAULTS.pacedLeadMs);
    expect(kicks()).toBeGreaterThan(before);
    expect(take(16_000)[0]).toBe(9);
    playback.setOutlet("AGENT");
    expect(take(16_000)).toEqual(pcm(100));
  });

  it("finishes the agent's words before hold audio when told so", () => {
    const { playback, take } = make();
    playback.enqueue(pcm(20));
    playback.setOutlet("AGENT_THEN_HOLD");
    expect(take(16_000)).toEqual(pcm(20));
    expect(take(16_000)[0]).toBe(9);
  });

  it("limits the marks that wait", () => {
    const { playback } = make();
    for (let i = 0; i < PLAYBACK_DEFAULTS.maxMarks; i++) playback.whenPlayed(false, () => {});
    expect(() => playback.whenPlayed(false, () => {})).toThrow(/at most 1000 marks/);
  });

  it("leaves no timer when closed", async () => {
    const { clock, playback, take } = make();
    playback.setOutlet("HOLD");
    take(160);
    playback.enqueue(pcm(10));
    playback.whenPlayed(true, () => {});
    playback.close();
    expect(clock.pendingTimers).toBe(0);
    expect(take(160).length).toBe(0);
  });
});
