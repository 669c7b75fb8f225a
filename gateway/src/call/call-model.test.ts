import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CallCommand } from "./call-commands.js";
import { allowedVerbs } from "./call-commands.js";
import { CallError, REASON_STATUS } from "./call-error.js";
import type { CallState } from "./call-state.js";
import { escalate, RigHolder, rig } from "./test-rig.js";

/** Everything that can happen to a call, drawn at random. */
type Step =
  | { readonly do: "give"; readonly command: CallCommand; readonly waitMs: number; readonly id: string }
  | { readonly do: "time"; readonly ms: number }
  | { readonly do: "play" | "grant"; readonly ms: number }
  | { readonly do: "suspend"; readonly onLost: "CUT" | "FINISH" }
  | { readonly do: "store"; readonly mode: "ok" | "fail" | "hang" }
  | { readonly do: "take"; readonly behind: number }
  | { readonly do: "seek"; readonly taken: boolean }
  | {
      readonly do:
        | "pickUp"
        | "noAnswer"
        | "terminate"
        | "loseMedia"
        | "restoreMedia"
        | "closeSession"
        | "providerError"
        | "resume"
        | "clear"
        | "mark"
        | "audio"
        | "unknownNext";
    };

const after = fc.option(
  fc.record({
    condition: fc.constantFrom("NOW" as const, "PLAYBACK_DRAINED" as const, "MARK" as const),
    mark: fc.constant("m"),
    deadlineMs: fc.constantFrom(100, 5_000, undefined),
    onInterrupt: fc.constantFrom("CANCEL" as const, "PROCEED" as const, undefined),
  }),
  { nil: undefined },
);
const target = fc.constantFrom(
  { callee: { ringTimeSeconds: 3 } },
  { pool: { pool: "human", waitMs: 4_000, thenOriginalCallee: { ringTimeSeconds: 2 } } },
  { pool: { pool: "human", waitMs: 4_000 } },
);
const command: fc.Arbitrary<CallCommand> = fc.oneof(
  fc.constant<CallCommand>({ verb: "AnswerCall" }),
  fc.record({
    verb: fc.constant("ConnectCall" as const),
    ringTimeSeconds: fc.integer({ min: 1, max: 9 }),
    after,
  }),
  fc.record({
    verb: fc.constant("SetAgentMode" as const),
    mode: fc.constantFrom("BARGE" as const, "WHISPER" as const, "SPY" as const),
  }),
  fc
    .record({
      target,
      confirm: fc.constantFrom("NONE" as const, "DESK_ACCEPT" as const),
      then: fc.constantFrom("LEAVE" as const, "STAY_SILENT" as const),
      whileRinging: fc.constantFrom("HOLD_AUDIO" as const, "AGENT" as const),
      onContextFailure: fc.constantFrom("CONNECT_ANYWAY" as const, "STAY" as const),
    })
    .map((changes) => escalate({ ...changes, confirmTimeoutMs: 30_000 })),
  fc.record({ verb: fc.constant("ConfirmEscalation" as const), accepted: fc.boolean() }),
  fc.record({
    verb: fc.constant("TransferCall" as const),
    to: fc.constant({ pool: "other" }),
    offerDurationMs: fc.constant(5_000),
    after,
  }),
  fc.constant<CallCommand>({ verb: "ReleaseCall" }),
  fc.record({ verb: fc.constant("CloseCall" as const), endCall: fc.boolean(), after }),
  fc.record({ verb: fc.constant("DisconnectCall" as const), after }),
  fc.constant<CallCommand>({ verb: "CancelCommand", targetRequestId: "" }),
  fc.constant<CallCommand>({ verb: "SendNote", text: "hello" }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("give" as const),
      command,
      waitMs: fc.constantFrom(0, 2_000, 60_000),
      id: fc.constantFrom("", "", "", "id-1", "id-2"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("time" as const),
      ms: fc.constantFrom(0, 1, 50, 400, 2_000, 11_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("play" as const, "grant" as const),
      ms: fc.integer({ min: 1, max: 2_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("suspend" as const),
      onLost: fc.constantFrom("CUT" as const, "FINISH" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("store" as const),
      mode: fc.constantFrom("ok" as const, "fail" as const, "hang" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("take" as const), behind: fc.integer({ min: 0, max: 1 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("seek" as const), taken: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "terminate" }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "pickUp" as const,
        "pickUp" as const,
        "noAnswer" as const,
        "loseMedia" as const,
        "restoreMedia" as const,
        "closeSession" as const,
        "providerError" as const,
        "resume" as const,
        "clear" as const,
        "mark" as const,
        "audio" as const,
        "unknownNext" as const,
      ),
    }),
  },
);

const ORDER: readonly CallState[] = ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"];

/** Plays the steps, checks after each, then lets the call end and checks what must hold for every call. */
async function play(steps: readonly Step[]): Promise<void> {
  const t = rig({ maxQueuedMs: 3_000 });
  const replies: Promise<unknown>[] = [];
  let settled = 0;
  let state: CallState = "PENDING";
  let suspended: RigHolder | undefined;
  let seatEpoch = t.call.seat.epoch;
  for (const s of steps) {
    switch (s.do) {
      case "give": {
        const from = t.call.lifecycle.state;
        const given = t.give(s.command, s.waitMs, s.id).then(
          () => {
            settled++;
          },
          (error: unknown) => {
            settled++;
            expect(error).toBeInstanceOf(CallError);
            const { reason, metadata } = error as CallError;
            expect(REASON_STATUS[reason], `${reason} ${String((error as CallError).cause)}`).toBeDefined();
            expect(reason).not.toBe("INTERNAL");
            if (
              reason === "CALL_STATE" &&
              metadata.state === from &&
              s.command.verb !== "CloseCall" &&
              s.command.verb !== "ConfirmEscalation"
            ) {
              expect(allowedVerbs(from)).not.toContain(s.command.verb);
            }
          },
        );
        replies.push(given);
        break;
      }
      case "time":
        await t.clock.advance(s.ms);
        break;
      case "play":
        try {
          t.call.play(t.speech(s.ms));
        } catch (error) {
          expect((error as CallError).reason).toBe("PLAYBACK_FULL");
        }
        break;
      case "grant":
        t.leg.grant(s.ms * 16);
        break;
      case "suspend": {
        const holder = t.call.seat.activeHolder;
        if (holder && t.call.suspendSeat(holder, 2_000, s.onLost)) suspended = holder as RigHolder;
        break;
      }
      case "resume":
        if (suspended) t.call.resumeSeat(t.call.seat.epoch, suspended);
        break;
      case "take": {
        const epoch = t.call.seat.epoch;
        const won = t.call.takeSeat(
          epoch - s.behind,
          new RigHolder("next", `instance-${epoch + 2}`),
          "TRANSFERRED",
        );
        if (s.behind > 0) expect(won).toBe(false);
        break;
      }
      case "seek":
        t.seating.searches.at(-1)?.settle(s.taken);
        break;
      case "store":
        t.contexts.mode = s.mode;
        break;
      case "pickUp":
        t.leg.pickUp();
        break;
      case "noAnswer":
        t.leg.doNotAnswer();
        break;
      case "terminate":
        t.leg.terminate();
        break;
      case "loseMedia":
        t.leg.loseMedia();
        break;
      case "restoreMedia":
        t.leg.restoreMedia();
        break;
      case "closeSession":
        t.leg.closeSession("FORCE_CLOSE");
        break;
      case "providerError":
        t.leg.providerError();
        break;
      case "clear":
        t.call.clearPlayback();
        break;
      case "mark":
        t.call.marks.set("m", () => {});
        break;
      case "audio":
        t.leg.hearCaller(new Uint8Array(320));
        break;
      case "unknownNext":
        t.leg.script("connect", { outcome: "unknown" });
        break;
    }
    const now = t.call.snapshot();
    expect(ORDER.indexOf(now.state)).toBeGreaterThanOrEqual(ORDER.indexOf(state));
    state = now.state;
    expect(now.agentMode !== undefined).toBe(now.state === "CONNECTED");
    expect(now.endReason !== undefined).toBe(now.state === "DISCONNECTED");
    expect(now.seat.epoch).toBeGreaterThanOrEqual(seatEpoch);
    seatEpoch = now.seat.epoch;
    expect(now.playback.queuedMs).toBeLessThanOrEqual(3_000);
    for (const value of Object.values(now.playback)) expect(value).toBeGreaterThanOrEqual(0);
  }

  t.leg.terminate();
  t.call.end("TERMINATED");
  // Two saves of a store that hangs, 1.5 s each, are all that may still be waited for.
  await t.clock.advance(3_100);
  await t.call.finished();
  await t.clock.advance(0);
  expect(settled, "every command has a reply").toBe(replies.length);
  expect(t.clock.pendingTimers, "no timer is left").toBe(0);
  expect(t.call.snapshot().pending).toBeUndefined();
  const bodies = t.log.events.map((e) => e.body);
  expect(t.log.events.map((e) => e.sequence)).toEqual(bodies.map((_, i) => i + 1));
  expect(bodies.filter((b) => b.type === "ended")).toHaveLength(1);
  const started = bodies.flatMap((b) => (b.type === "commandStarted" ? [b.requestId] : []));
  const done = bodies.flatMap((b) => (b.type === "commandDone" ? [b.requestId] : []));
  expect(new Set(started).size, "no request id has two effects").toBe(started.length);
  expect([...done].sort(), "every command that was taken is done once").toEqual([...started].sort());
  await expect(t.give({ verb: "AnswerCall" })).rejects.toMatchObject({ reason: "CALL_STATE" });
}

const give = (command: CallCommand): Step => ({ do: "give", command, waitMs: 0, id: "" });
const time = (ms: number): Step => ({ do: "time", ms });
const OPENINGS: { readonly [name: string]: readonly Step[] } = {
  pending: [],
  answered: [give({ verb: "AnswerCall" }), time(1)],
  connected: [
    give({ verb: "AnswerCall" }),
    time(1),
    give({ verb: "ConnectCall", ringTimeSeconds: 9 }),
    time(1),
    { do: "pickUp" },
    time(1),
  ],
  saving: [give({ verb: "AnswerCall" }), time(1), { do: "play", ms: 500 }, give(escalate()), time(1)],
  ringing: [give({ verb: "AnswerCall" }), time(1), give(escalate()), time(400)],
  confirming: [
    give({ verb: "AnswerCall" }),
    time(1),
    give(escalate({ confirm: "DESK_ACCEPT", confirmTimeoutMs: 30_000 })),
    time(400),
    { do: "pickUp" },
    time(1),
  ],
};

describe("Call / any sequence of verbs, news and time-outs", () => {
  for (const [name, opening] of Object.entries(OPENINGS)) {
    it(`reaches no undefined state, loses no reply and leaves no timer, from ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) =>
          play([...opening, ...steps]),
        ),
        { numRuns: Number(process.env.MODEL_RUNS ?? 200) },
      );
    }, 120_000);
  }
});
