import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PlaybackLimits, PlaybackQueue, RETRY_AFTER_FULL_MS } from "./playback-queue.js";

/** 16 kHz s16le: 32 bytes a millisecond. */
const BYTES = 32;
const LIMITS: PlaybackLimits = {
  maxQueuedMs: 60_000,
  sendAheadMs: 1_000,
  maxUnconfirmedMs: 3_000,
  maxItemMs: 100,
};

function pcm(ms: number, fill = 1): Buffer {
  return Buffer.alloc(ms * BYTES, fill);
}

/** A queue on a clock of its own; `take` sends all that may be sent now. */
function setup(limits: Partial<PlaybackLimits> = {}) {
  const clock = { ms: 0 };
  const queue = new PlaybackQueue({ ...LIMITS, ...limits }, BYTES, () => clock.ms);
  const take = () => {
    const steps: (number | string)[] = [];
    for (let step = queue.next(); step; step = queue.next()) {
      steps.push(step.kind === "audio" ? step.pcm.length / BYTES : step.id);
    }
    return steps;
  };
  const takeMs = () => take().reduce<number>((sum, step) => sum + (typeof step === "number" ? step : 0), 0);
  return { clock, queue, take, takeMs };
}

function progress(playedMs: number, queuedMs = 0, unheardAtProviderMs = 0) {
  return { playedMs, queuedMs, unheardAtProviderMs };
}

describe("PlaybackQueue", () => {
  it("sends a second ahead, then as it is heard", () => {
    const { clock, queue, takeMs } = setup();
    queue.pushAudio(pcm(5_000));
    expect(takeMs()).toBe(1_000);
    clock.ms = 500;
    expect(takeMs()).toBe(500);
    expect(queue.queuedMs).toBe(3_500);
    expect(queue.aheadMs).toBe(1_000);
  });

  it("cuts audio into items", () => {
    const { queue, take } = setup();
    queue.pushAudio(pcm(250));
    expect(take()).toEqual([100, 100, 50]);
  });

  it("keeps marks and commands behind their audio and sends them when it was sent", () => {
    const { clock, queue, take } = setup();
    queue.pushMarker("first");
    queue.pushAudio(pcm(1_200));
    queue.pushMarker("last");
    expect(take().at(0)).toBe("first");
    expect(take()).toEqual([]);
    clock.ms = 200;
    expect(take()).toEqual([100, 100, "last"]);
  });

  it("goes slower than its clock when the gateway tells that less was heard", () => {
    const { clock, queue, takeMs } = setup();
    queue.pushAudio(pcm(10_000));
    expect(takeMs()).toBe(1_000);
    clock.ms = 1_000;
    queue.onProgress(progress(200, 300, 500));
    expect(queue.aheadMs).toBe(800);
    expect(takeMs()).toBe(200);
  });

  it("stops without any confirmation, before the ring of the gateway can be full", () => {
    const { clock, queue, takeMs } = setup();
    queue.pushAudio(pcm(30_000));
    let sent = 0;
    for (; clock.ms < 20_000; clock.ms += 50) sent += takeMs();
    expect(sent).toBe(3_000);
    queue.onProgress(progress(3_000));
    expect(takeMs()).toBe(1_000);
  });

  it("counts a played mark as confirmation", () => {
    const { clock, queue, takeMs } = setup({ maxUnconfirmedMs: 1_000 });
    queue.pushAudio(pcm(1_000));
    queue.pushMarker("m");
    queue.pushAudio(pcm(1_000));
    expect(takeMs()).toBe(1_000);
    clock.ms = 5_000;
    expect(takeMs()).toBe(0);
    queue.onMarkPlayed("m");
    expect(takeMs()).toBe(1_000);
  });

  it("refuses as a whole what does not fit", () => {
    const { queue } = setup({ maxQueuedMs: 1_000 });
    queue.pushAudio(pcm(600));
    expect(() => queue.pushAudio(pcm(500))).toThrow(expect.objectContaining({ reason: "QUEUE_FULL" }));
    expect(queue.queuedMs).toBe(600);
  });

  it("tells when the last piece was sent", () => {
    const { clock, queue, take } = setup();
    let done = false;
    queue.pushAudio(pcm(1_500), () => {
      done = true;
    });
    take();
    expect(done).toBe(false);
    clock.ms = 500;
    take();
    expect(done).toBe(true);
  });

  it("sends again, in order, what the gateway had no room for", () => {
    const { clock, queue, take } = setup();
    for (let i = 1; i <= 5; i++) queue.pushAudio(pcm(100, i));
    const sent: number[] = [];
    const takeFills = () => {
      for (let step = queue.next(); step; step = queue.next()) {
        if (step.kind === "audio") sent.push(step.pcm[0]!);
      }
    };
    takeFills();
    queue.onFull();
    queue.onFull();
    expect(take()).toEqual([]);
    expect(queue.empty).toBe(false);
    clock.ms += RETRY_AFTER_FULL_MS;
    takeFills();
    expect(sent).toEqual([1, 2, 3, 4, 5, 4, 5]);
  });

  it("drops all at clear and names the markers that waited", () => {
    const { queue, take } = setup();
    queue.pushAudio(pcm(1_000));
    queue.pushMarker("sent");
    queue.pushAudio(pcm(2_000));
    queue.pushMarker("waits");
    take();
    expect(queue.clear()).toEqual({ droppedMs: 2_000, markers: ["waits"] });
    expect(queue.empty).toBe(true);
    expect(queue.aheadMs).toBe(0);
    queue.onCleared(400);
    queue.pushAudio(pcm(2_000));
    expect(take()).toHaveLength(10);
    queue.onProgress(progress(500, 900, 0));
    expect(queue.aheadMs).toBe(900);
  });

  it("takes another marker out", () => {
    const { queue, take } = setup();
    queue.pushMarker("a");
    queue.pushMarker("b");
    expect(queue.removeMarker("a")).toBe(true);
    expect(queue.removeMarker("a")).toBe(false);
    expect(take()).toEqual(["b"]);
  });

  it("after a lost stream sends again what was cut, with its marks, and confirms what was heard", () => {
    const { clock, queue, take } = setup();
    queue.pushAudio(pcm(200, 1));
    queue.pushMarker("heard");
    queue.pushAudio(pcm(400, 2));
    queue.pushMarker("cut");
    take();
    clock.ms = 300;
    const { passed, again } = queue.onReattached(progress(300));
    expect(passed).toEqual(["heard"]);
    expect(again).toEqual(["cut"]);
    expect(take()).toEqual([100, 100, 100, "cut"]);
  });

  it("after a lost stream sends nothing again that the gateway still has", () => {
    const { queue, take } = setup();
    queue.pushAudio(pcm(500));
    take();
    expect(queue.onReattached(progress(0, 300, 200))).toEqual({ passed: [], again: [] });
    expect(take()).toEqual([]);
  });

  it("loses and doubles nothing, whatever the order of playing and time", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.record({ play: fc.integer({ min: 1, max: 700 }) }),
            fc.record({ wait: fc.integer({ min: 1, max: 900 }) }),
          ),
          { maxLength: 40 },
        ),
        (steps) => {
          const { clock, queue } = setup();
          const played: Buffer[] = [];
          const sent: Buffer[] = [];
          let counter = 0;
          const drain = () => {
            for (let step = queue.next(); step; step = queue.next()) {
              if (step.kind === "audio") sent.push(step.pcm);
            }
            queue.onProgress(progress(Math.max(0, Buffer.concat(sent).length / BYTES - queue.aheadMs)));
          };
          for (const step of steps) {
            if ("play" in step) {
              const audio = Buffer.alloc(step.play * BYTES, ++counter & 0xff);
              played.push(audio);
              queue.pushAudio(audio);
            } else clock.ms += step.wait;
            drain();
            expect(queue.aheadMs).toBeLessThanOrEqual(1_100);
          }
          for (let i = 0; i < 2_000 && !queue.empty; i++) {
            clock.ms += 100;
            drain();
          }
          expect(Buffer.concat(sent).equals(Buffer.concat(played))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });
});
