import {
  Call,
  CallEvent,
  CallState,
  EndReason,
  EscalationOutcome,
  EscalationStep,
  SeatState,
} from "@callweave/proto/messages";
import { describe, expect, it } from "vitest";
import { applyEvent, type CallEntry, entryOf, isOver, isWaiting } from "./call-entry.js";
import { perHour, waitOf } from "./per-hour.js";
import { popsFor } from "./pops-for.js";

const START = 1_800_000_000;
let sequence = 0;

function event(kind: NonNullable<CallEvent["event"]>["$case"], value: object = {}, seconds = 0): CallEvent {
  return {
    ...CallEvent.fromPartial({ callId: "c-1", durable: true, time: { seconds: START + seconds } }),
    sequence: ++sequence,
    event: { $case: kind, value } as NonNullable<CallEvent["event"]>,
  };
}

function arrived(): CallEntry {
  sequence = 0;
  const call = Call.fromPartial({
    callId: "c-1",
    state: CallState.PENDING,
    seat: { state: SeatState.VACANT },
    createTime: { seconds: START },
  });
  return applyEvent(undefined, event("arrived", { call })) as CallEntry;
}

function after(entry: CallEntry, ...events: CallEvent[]): CallEntry {
  return events.reduce((one, next) => applyEvent(one, next) ?? one, entry);
}

const held = { seat: { state: SeatState.HELD, agentId: "bot", epoch: 1 } };

describe("a call from its events", () => {
  it("waits until somebody has it, and again while a person is sought", () => {
    const first = arrived();
    expect(isWaiting(first)).toBe(true);
    expect(first.waitingSinceMs).toBe(START * 1_000);
    const talking = after(first, event("seatChanged", held, 2), event("answered", {}, 3));
    expect(isWaiting(talking)).toBe(false);
    expect(talking.waitingSinceMs).toBeUndefined();
    const plan = { pool: "people" };
    const saving = event("escalation", { requestId: "e", step: EscalationStep.SAVING, plan }, 60);
    const sought = after(
      talking,
      saving,
      event("escalation", { requestId: "e", step: EscalationStep.CONNECTING }, 61),
    );
    expect(sought.waitingSinceMs).toBe((START + 60) * 1_000);
    expect(sought.escalation?.plan?.pool).toBe("people");
    const done = { verb: "EscalateCall", escalation: { outcome: EscalationOutcome.UNANSWERED } };
    expect(isWaiting(after(sought, event("commandDone", done, 90)))).toBe(false);
  });

  it("does nothing twice and ends once", () => {
    const entry = after(arrived(), event("seatChanged", held), event("answered"));
    const again = applyEvent(entry, { ...event("answered"), sequence: 1 });
    expect(again).toBe(entry);
    const over = after(entry, event("ended", { reason: EndReason.LEFT_TO_PARTIES }, 9));
    expect(isOver(over)).toBe(true);
    expect(over.call.endReason).toBe(EndReason.LEFT_TO_PARTIES);
    expect(isWaiting(over)).toBe(false);
  });

  it("is not known by an event in its middle", () => {
    expect(applyEvent(undefined, event("answered"))).toBeUndefined();
  });

  it("knows from the list that a handover is under way", () => {
    const { call } = after(arrived(), event("seatChanged", held), event("answered"));
    const listed = entryOf({ ...call, pending: { requestId: "e", verb: "EscalateCall" } });
    expect(isWaiting(listed)).toBe(true);
    expect(isWaiting(entryOf({ ...call, pending: undefined }, listed))).toBe(false);
  });
});

describe("whose page pops", () => {
  const first = { name: "desk-1", numbers: ["+15550100"], pools: ["people"] };
  const second = { name: "desk-2", numbers: [], pools: ["people"] };
  const third = { name: "desk-3", numbers: [], pools: ["billing"] };
  const users = [first, second, third];
  const who = (call: { callee: string; pool: string }) =>
    users.filter((one) => popsFor(call, one, users)).map(({ name }) => name);

  it("is that of whoever has the number, else of the pool", () => {
    expect(who({ callee: "+15550100", pool: "billing" })).toEqual(["desk-1"]);
    expect(who({ callee: "+15550199", pool: "people" })).toEqual(["desk-1", "desk-2"]);
    expect(who({ callee: "", pool: "billing" })).toEqual(["desk-3"]);
  });

  it("is everybody's where nobody is configured", () => {
    expect(popsFor({ callee: "+15550100", pool: "x" }, { name: "", numbers: [], pools: [] }, [])).toBe(true);
  });
});

describe("the day in hours", () => {
  it("puts values into the last 24 hours, the newest last", () => {
    const nowMs = START * 1_000;
    const items = [0, 1, 1, 23, 24, 99].map((hours) => ({ atMs: nowMs - hours * 3_600_000, value: hours }));
    const counts = perHour(items, nowMs, (values) => values.length).map(({ value }) => value);
    expect(counts).toHaveLength(24);
    expect([counts[23], counts[22], counts[0]]).toEqual([1, 2, 1]);
    expect(counts.reduce((sum, value) => sum + value)).toBe(4);
  });

  it("counts the waiting for a person from the wish to the person, or to the end", () => {
    arrived();
    const saving = event("escalation", { step: EscalationStep.SAVING }, 10);
    expect(waitOf([saving, event("connected", {}, 25)])).toEqual({ atMs: (START + 10) * 1_000, value: 15 });
    expect(waitOf([saving, event("ended", {}, 40)])?.value).toBe(30);
    expect(waitOf([event("answered"), event("ended")])).toBeUndefined();
  });
});
