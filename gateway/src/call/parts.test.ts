import { describe, expect, it } from "vitest";
import { ManualClock } from "../util/clock.js";
import { Redactor } from "../util/redact.js";
import { AFTER_DEFAULTS, AfterWait } from "./after-wait.js";
import { ALLOWED, allowedVerbs, requireAllowed } from "./call-commands.js";
import { CallError, REASON_STATUS } from "./call-error.js";
import { CallRegistry } from "./call-registry.js";
import { CommandLedger, hashBody } from "./command-ledger.js";
import { Lifecycle } from "./lifecycle.js";
import { Marks } from "./marks.js";
import { MediaWatch } from "./media-watch.js";
import { PLAYBACK_DEFAULTS, Playback } from "./playback.js";
import { Seat } from "./seat.js";
import { RigHolder, rig } from "./test-rig.js";

describe("Lifecycle", () => {
  it("only goes forward, and the first cause of the end wins", () => {
    const life = new Lifecycle();
    const at = (n: number) => new Date(n);
    expect(life.connected(at(1))).toBe(true);
    expect(life.answered(at(2))).toBe(false);
    expect(life.state).toBe("CONNECTED");
    expect(life.end("TERMINATED", at(3))).toBe(true);
    expect(life.end("DISCONNECTED", at(4))).toBe(false);
    expect(life.connected(at(5))).toBe(false);
    expect(life.endReason).toBe("TERMINATED");
    expect(life.times()).toEqual({ connectTime: at(1), endTime: at(3) });
  });

  it("has an agent mode in CONNECTED alone", () => {
    const life = new Lifecycle();
    expect(life.modeSet("SPY")).toBe(false);
    life.answered(new Date(0));
    life.connected(new Date(0));
    expect(life.agentMode).toBe("BARGE");
    expect(life.modeSet("SPY")).toBe(true);
    life.end("TERMINATED", new Date(0));
    expect(life.agentMode).toBeUndefined();
  });
});

describe("the table of state × verb", () => {
  it("allows nothing after the end", () => {
    expect(allowedVerbs("DISCONNECTED")).toEqual([]);
  });

  it("names state, verb and what is allowed (fault 33)", () => {
    expect(() => requireAllowed("c", "ANSWERED", "AnswerCall")).toThrow(
      "AnswerCall is not allowed in ANSWERED; allowed: ConnectCall,EscalateCall,TransferCall,ReleaseCall,CloseCall,DisconnectCall,CancelCommand,SendNote",
    );
    for (const verb of Object.keys(ALLOWED))
      expect(Object.keys(ALLOWED[verb as keyof typeof ALLOWED])).toHaveLength(4);
  });
});

describe("CallError", () => {
  it("keeps itself, and makes INTERNAL of everything else with the cause", () => {
    const known = new CallError("SEAT_TAKEN", "x");
    expect(CallError.from(known)).toBe(known);
    const cause = new Error("secret detail");
    const unknown = CallError.from(cause);
    expect(unknown).toMatchObject({ reason: "INTERNAL", message: "internal error", cause });
    expect(unknown.status).toBe(REASON_STATUS.INTERNAL);
  });
});

describe("CommandLedger", () => {
  const entry = (requestId: string, done: boolean) => ({
    verb: "AnswerCall" as const,
    requestId,
    bodyHash: "h",
    finished: new Promise<never>(() => {}),
    ...(done ? { outcome: { verb: "AnswerCall" as const, requestId } } : {}),
  });

  it("finds a repeated id and refuses one with another body", () => {
    const ledger = new CommandLedger();
    ledger.add(entry("a", true));
    expect(ledger.find("a", "h")?.requestId).toBe("a");
    expect(ledger.find("b", "h")).toBeUndefined();
    expect(() => ledger.find("a", "other")).toThrow(expect.objectContaining({ reason: "REQUEST_ID_REUSED" }));
  });

  it("forgets the oldest finished command beyond its bound, never one under way", () => {
    const ledger = new CommandLedger(2);
    ledger.add(entry("running", false));
    ledger.add(entry("done", true));
    ledger.add(entry("new", true));
    expect(ledger.find("running", "h")).toBeDefined();
    expect(ledger.find("done", "h")).toBeUndefined();
  });

  it("hashes words without what must not be kept, and nothing else of it", () => {
    const redactor = new Redactor();
    const ledger = new CommandLedger(10, (value) => redactor.value(value));
    const note = (text: string) => ledger.hashOf({ verb: "SendNote", text });
    // Else whoever sees the hash in the event log finds the number by trying all.
    expect(note("4111 1111 1111 1111")).toBe(note("[card number]"));
    expect(note("4111 1111 1111 1111")).not.toBe(hashBody({ verb: "SendNote", text: "4111 1111 1111 1111" }));
    expect(note("be brief")).toBe(hashBody({ verb: "SendNote", text: "be brief" }));
    const transfer = { verb: "TransferCall", to: { pool: "4111111111111111" }, offerDurationMs: 1 } as const;
    expect(ledger.hashOf(transfer)).toBe(hashBody(transfer));
  });

  it("hashes the body whatever the order of its keys, and without what is unset", () => {
    const a = hashBody({ verb: "CloseCall", endCall: true, after: { condition: "NOW" } });
    const b = hashBody({
      after: { condition: "NOW", mark: undefined as never },
      endCall: true,
      verb: "CloseCall",
    });
    expect(a).toBe(b);
    expect(a).not.toBe(hashBody({ verb: "CloseCall", endCall: false, after: { condition: "NOW" } }));
  });
});

describe("Seat", () => {
  it("is taken by who names the current epoch", () => {
    const seat = new Seat(new ManualClock());
    expect(seat.take(0, new RigHolder())).toEqual({});
    expect(seat.take(0, new RigHolder("late", "2"))).toBeUndefined();
    expect(seat.snapshot()).toMatchObject({ state: "HELD", epoch: 1, agentId: "agent" });
  });

  it("tells OFFERED from VACANT and counts attempts", () => {
    const seat = new Seat(new ManualClock());
    expect(seat.offered()).toBe(1);
    expect(seat.state).toBe("OFFERED");
    seat.offerEnded();
    expect(seat.offered()).toBe(2);
    seat.offerEnded();
    expect(seat.state).toBe("VACANT");
  });

  it("is suspended for its grace and not a moment longer", async () => {
    const clock = new ManualClock();
    const seat = new Seat(clock);
    const holder = new RigHolder();
    let expired = 0;
    seat.take(0, holder);
    seat.suspend(holder, 2_000, () => expired++);
    expect(seat.activeHolder).toBeUndefined();
    expect(seat.holder).toBe(holder);
    await clock.advance(1_999);
    expect(expired).toBe(0);
    expect(seat.resume(1, holder)).toBe(true);
    await clock.advance(5_000);
    expect(expired).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("AfterWait", () => {
  function make(after: ConstructorParameters<typeof AfterWait>[0], queuedMs = 0) {
    const clock = new ManualClock();
    const hold = { read: () => 0 };
    const playback = new Playback({ ...PLAYBACK_DEFAULTS, sampleRateHz: 8000 }, clock, hold, () => {});
    if (queuedMs > 0) playback.enqueue(new Uint8Array(queuedMs * 16));
    const wait = new AfterWait(after, "CANCEL", "c", playback, new Marks(playback), clock, AFTER_DEFAULTS);
    let end = "waits";
    wait.met.then(
      () => {
        end = "met";
      },
      (error: CallError) => {
        end = error.reason;
      },
    );
    return { clock, end: () => end };
  }

  it("goes ahead at once without a condition", async () => {
    const t = make(undefined);
    await t.clock.advance(0);
    expect(t.end()).toBe("met");
  });

  it("has 15 s by default, or the length of the playback and 5 s", async () => {
    const short = make({ condition: "MARK", mark: "m" });
    await short.clock.advance(14_999);
    expect(short.end()).toBe("waits");
    await short.clock.advance(1);
    expect(short.end()).toBe("AFTER_DEADLINE");
    const long = make({ condition: "PLAYBACK_DRAINED" }, 20_000);
    await long.clock.advance(24_999);
    expect(long.end()).toBe("waits");
    await long.clock.advance(1);
    expect(long.end()).toBe("AFTER_DEADLINE");
  });
});

describe("MediaWatch", () => {
  it("decides once, whatever comes in which order", async () => {
    const clock = new ManualClock();
    const ends: string[] = [];
    const watch = new MediaWatch(
      clock,
      10_000,
      async () => true,
      (why) => {
        ends.push(why);
        watch.stop();
      },
    );
    expect(watch.mediaLost()).toBe(true);
    expect(watch.mediaLost()).toBe(false);
    expect(watch.mediaRestored()).toBe(true);
    watch.closed();
    expect(ends).toEqual([]);
    watch.mediaLost();
    expect(ends).toEqual(["SESSION_CLOSED"]);
    await clock.advance(20_000);
    expect(ends).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("CallRegistry", () => {
  it("keeps ended calls for a while, hides them from other tenants, and forgets the oldest beyond its bound", async () => {
    const t = rig();
    const registry = new CallRegistry(t.clock, 1_000, 10);
    registry.add(t.call);
    expect(registry.get("default", "c-1")).toBe(t.call);
    expect(() => registry.get("other", "c-1")).toThrow(expect.objectContaining({ reason: "CALL_NOT_FOUND" }));
    expect(registry.ofSession("memory", "s-1")).toBe(t.call);
    t.leg.terminate();
    expect(registry.size).toBe(0);
    expect(registry.get("default", "c-1").lifecycle.ended).toBe(true);
    expect(registry.ofSession("memory", "s-1")).toBeUndefined();
    await t.clock.advance(2_001);
    expect(() => registry.get("default", "c-1")).toThrow(
      expect.objectContaining({ reason: "CALL_NOT_FOUND" }),
    );
  });
});
