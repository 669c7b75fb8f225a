import { describe, expect, it } from "vitest";
import { ManualClock, settle } from "../../util/clock.js";
import { type CallLeg, type CallNotice, type IncomingCall, TelephonyError } from "../telephony.js";
import type { MemoryLeg } from "./memory-leg.js";
import { MemoryTelephony } from "./memory-telephony.js";

async function started(policy = { claim: true, delayMs: 0 }) {
  const clock = new ManualClock();
  const telephony = new MemoryTelephony({ clock });
  const calls: { call: IncomingCall; leg: CallLeg }[] = [];
  const lost: { notice: CallNotice; reason: string }[] = [];
  const ready: boolean[] = [];
  const events: string[] = [];
  let queue = new Uint8Array(0);
  let flush = false;
  await telephony.start({
    claim: () => policy,
    onCall(call, leg) {
      calls.push({ call, leg });
      leg.attach(
        {
          onAudio: (channel, pcm) => events.push(`audio ${channel} ${pcm.length}`),
          onTerminated: () => events.push("terminated"),
          onMediaLost: (detail) => events.push(`lost ${detail}`),
          onMediaRestored: () => events.push("restored"),
          onSessionClosed: (reason) => events.push(`closed ${reason}`),
          onProviderError: (code) => events.push(`error ${code}`),
        },
        {
          available: () => queue.length,
          read(target, offset, maxBytes) {
            const piece = queue.subarray(0, maxBytes);
            target.set(piece, offset);
            queue = queue.subarray(piece.length);
            return piece.length;
          },
          flushTail: () => flush,
        },
      );
    },
    onCallLost: (notice, reason) => lost.push({ notice, reason }),
    onReady: (value) => ready.push(value),
  });
  return {
    clock,
    telephony,
    calls,
    lost,
    ready,
    events,
    queue: (bytes: Uint8Array, tail = false) => {
      queue = Uint8Array.from(bytes);
      flush = tail;
    },
  };
}

describe("MemoryTelephony / claims", () => {
  it("hands over a call at once when the claim has no delay", async () => {
    const t = await started();
    const leg = t.telephony.arrive({ from: "+15550101" });
    expect(leg.claim).toBe("claimed");
    expect(t.calls[0]?.call.from).toBe("+15550101");
    expect(t.ready).toEqual([true]);
  });

  it("waits for the claim delay and loses to another process meanwhile", async () => {
    const t = await started({ claim: true, delayMs: 100 });
    const first = t.telephony.arrive();
    const second = t.telephony.arrive();
    t.telephony.takeByOther(second);
    await t.clock.advance(99);
    expect(first.claim).toBe("waiting");
    await t.clock.advance(1);
    expect(first.claim).toBe("claimed");
    expect(t.lost.map((l) => l.reason)).toEqual(["SESSION_BUSY"]);
  });

  it("claims nothing once told to stop", async () => {
    const t = await started();
    t.telephony.stopClaiming();
    expect(t.telephony.arrive().claim).toBe("ignored");
  });
});

describe("MemoryLeg / commands", () => {
  it("rings until the callee picks up", async () => {
    const t = await started();
    const leg = t.telephony.arrive();
    const outcome = leg.connect(30);
    await settle();
    expect(leg.isRinging).toBe(true);
    leg.pickUp();
    expect(await outcome).toBe("connected");
    expect(leg.mode).toBe("BARGE");
  });

  it("rings out after the ring time, and leaves no timer", async () => {
    const t = await started();
    const outcome = t.telephony.arrive().connect(30);
    await t.clock.advance(30_000);
    expect(await outcome).toBe("unanswered");
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("answers as scripted, once", async () => {
    const t = await started();
    const leg = t.telephony.arrive();
    leg.script("answer", { fail: new TelephonyError("refused", "no", "SESSION_NOT_OPEN") });
    await expect(leg.answer()).rejects.toMatchObject({ kind: "refused", providerCode: "SESSION_NOT_OPEN" });
    await leg.answer();
    expect(leg.state).toBe("answered");
    expect(leg.commandNames).toEqual(["answer", "answer"]);
  });

  it("holds a command until the test settles it", async () => {
    const t = await started();
    const leg = t.telephony.arrive();
    leg.hold("setAgentMode");
    const running = leg.setAgentMode("SPY");
    await settle();
    expect(leg.mode).toBeUndefined();
    leg.held[0]?.succeed();
    await running;
    expect(leg.mode).toBe("SPY");
    expect(leg.held).toHaveLength(0);
  });

  it("ends what runs when the caller hangs up", async () => {
    const t = await started();
    const leg = t.telephony.arrive();
    leg.hold("disconnect");
    const ringing = leg.connect(60);
    const ending = leg.disconnect();
    leg.terminate();
    expect(await ringing).toBe("unknown");
    await ending;
    expect(t.events).toEqual(["terminated", "closed CALL_TERMINATED"]);
    await expect(leg.answer()).rejects.toMatchObject({ kind: "unavailable" });
    expect(t.clock.pendingTimers).toBe(0);
  });

  it("leaves the parties when it closes while connected", async () => {
    const t = await started();
    const leg = t.telephony.arrive({ connect: "connected" });
    await leg.connect(10);
    await leg.close();
    await settle();
    expect(t.events).toEqual(["closed SDK_REQUEST"]);
  });
});

describe("MemoryLeg / audio", () => {
  let t: Awaited<ReturnType<typeof started>>;
  let leg: MemoryLeg;

  it("pulls, and keeps a short tail unless it is to be flushed", async () => {
    t = await started();
    leg = t.telephony.arrive();
    t.queue(new Uint8Array(100));
    expect(leg.pull(960, 960)).toHaveLength(0);
    expect(leg.pull(960)).toHaveLength(100);
    t.queue(new Uint8Array(10), true);
    expect(leg.pull(960, 960)).toHaveLength(10);
  });

  it("spends credit as audio comes", async () => {
    t = await started();
    leg = t.telephony.arrive();
    leg.grant(1000);
    t.queue(new Uint8Array(600));
    leg.audioReady();
    expect(leg.unusedCreditBytes).toBe(400);
    t.queue(new Uint8Array(600));
    leg.audioReady();
    expect(leg.unusedCreditBytes).toBe(0);
    expect(leg.takenBytes).toHaveLength(1000);
  });

  it("tells of audio, loss and return", async () => {
    t = await started();
    leg = t.telephony.arrive();
    leg.hearCaller(new Uint8Array(320));
    leg.loseMedia("1006");
    leg.hearCaller(new Uint8Array(320));
    leg.restoreMedia();
    leg.providerError();
    expect(t.events).toEqual(["audio 0 320", "lost 1006", "restored", "error TTS_SESSION_ERROR"]);
  });
});
