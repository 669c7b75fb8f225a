import { describe, expect, it } from "vitest";
import type { CallEventBody, StoredEvent } from "../call/call-events.js";
import { MemoryEventLog } from "../events/memory-event-log.js";
import { CallCounters, type CountSink } from "./call-counters.js";
import { countingEventLog } from "./counting-event-log.js";

/** Writes down what was counted, as "name{label=value}": n. */
class Sheet implements CountSink {
  readonly counts: Record<string, number> = {};
  readonly observed: [string, number][] = [];

  count(name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    const key = keyOf(name, labels);
    this.counts[key] = (this.counts[key] ?? 0) + by;
  }

  observe(name: string, value: number, labels: Readonly<Record<string, string>> = {}): void {
    this.observed.push([keyOf(name, labels), value]);
  }
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const text = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  return `${name.replace("callweave_", "")}${text.length > 0 ? `{${text.join(",")}}` : ""}`;
}

function event(body: object, callId = "call-1", durable = true): StoredEvent {
  return {
    tenant: "default",
    callId,
    pool: "default",
    sequence: 1,
    time: new Date(0),
    position: 0,
    cursor: durable ? "c" : "",
    durable,
    body: body as CallEventBody,
  } as StoredEvent;
}

function counters() {
  const sheet = new Sheet();
  const clock = { ms: 0 };
  return { sheet, clock, calls: new CallCounters(sheet, () => clock.ms) };
}

const held = { state: "HELD" };

describe("CallCounters", () => {
  it("counts a call from its arrival to its end", () => {
    const { sheet, clock, calls } = counters();
    calls.onEvent(event({ type: "arrived" }));
    calls.onEvent(event({ type: "offered", attempt: 1 }));
    calls.onEvent(event({ type: "offerEnded", end: "DECLINED" }));
    calls.onEvent(event({ type: "offered", attempt: 2 }));
    clock.ms = 400;
    calls.onEvent(event({ type: "seatChanged", cause: "ACCEPTED", seat: held }));
    calls.onEvent(event({ type: "answered" }));
    calls.onEvent(event({ type: "commandDone", verb: "AnswerCall", requestId: "1" }));
    clock.ms = 61_000;
    calls.onEvent(event({ type: "ended", reason: "TERMINATED" }));
    expect(sheet.counts).toEqual({
      "events_total{durable=true}": 8,
      calls_arrived_total: 1,
      offers_total: 2,
      reoffers_total: 1,
      "offers_ended_total{end=DECLINED}": 1,
      "seat_changes_total{cause=ACCEPTED}": 1,
      calls_answered_total: 1,
      "commands_total{verb=AnswerCall,result=OK}": 1,
      "calls_ended_total{reason=TERMINATED}": 1,
    });
    expect(sheet.observed).toEqual([
      ["seat_wait_seconds{after=arrival}", 0.4],
      ["call_duration_seconds", 61],
    ]);
    expect(calls.tracked).toBe(0);
  });

  it("measures the wait after a lost agent, from the loss to the next", () => {
    const { sheet, clock, calls } = counters();
    calls.onEvent(event({ type: "arrived" }));
    calls.onEvent(event({ type: "seatChanged", cause: "ACCEPTED", seat: held }));
    clock.ms = 10_000;
    calls.onEvent(event({ type: "seatChanged", cause: "LOST", seat: { state: "SUSPENDED" } }));
    clock.ms = 12_000;
    calls.onEvent(event({ type: "seatChanged", cause: "GRACE_EXPIRED", seat: { state: "VACANT" } }));
    clock.ms = 12_300;
    calls.onEvent(event({ type: "seatChanged", cause: "ACCEPTED", seat: held }));
    expect(sheet.observed.at(-1)).toEqual(["seat_wait_seconds{after=loss}", 2.3]);
  });

  it("counts how escalations ended and where their context was safe", () => {
    const { sheet, calls } = counters();
    const done = { type: "commandDone", verb: "EscalateCall", requestId: "1" };
    calls.onEvent(event({ ...done, escalation: { outcome: "CONNECTED", durability: "STORE" } }));
    calls.onEvent(event({ ...done, escalation: { outcome: "UNANSWERED" } }));
    calls.onEvent(event({ ...done, error: { reason: "CALL_STATE" } }));
    expect(sheet.counts).toMatchObject({
      "escalations_total{outcome=CONNECTED}": 1,
      "escalations_total{outcome=UNANSWERED}": 1,
      "escalation_contexts_total{durability=STORE}": 1,
      "escalation_contexts_total{durability=NONE}": 1,
      "commands_total{verb=EscalateCall,result=OK}": 2,
      "commands_total{verb=EscalateCall,result=CALL_STATE}": 1,
    });
  });

  it("counts takeovers, lost and non-durable events, and kinds it does not know", () => {
    const { sheet, calls } = counters();
    calls.onEvent(event({ type: "takenOver", fromGatewayId: "b", fromEpoch: 1 }, "x", false));
    calls.onEvent(event({ type: "eventsLost", fromEpoch: 1 }, "x"));
    calls.onEvent(event({ type: "somethingNew" }, "x"));
    expect(sheet.counts).toEqual({
      "events_total{durable=false}": 1,
      "events_total{durable=true}": 2,
      takeovers_total: 1,
      events_lost_total: 1,
    });
  });
});

describe("countingEventLog", () => {
  const arrival = () => {
    const { cursor: _, durable: __, ...rest } = event({ type: "answered" });
    return rest;
  };

  it("is the log, and tells what went through it", async () => {
    const told: StoredEvent[] = [];
    const inner = new MemoryEventLog();
    const log = countingEventLog(inner, (stored) => void told.push(stored));
    const stored = await log.append(arrival());
    expect(told).toEqual([stored]);
    expect(await log.ofCall("default", "call-1", 0)).toMatchObject([{ sequence: 1, durable: true }]);
    await log.close();
  });

  it("keeps mistakes of the counting away from the call", async () => {
    const log = countingEventLog(new MemoryEventLog(), () => {
      throw new Error("planted");
    });
    expect((await log.append(arrival())).sequence).toBe(1);
    await log.close();
  });
});
