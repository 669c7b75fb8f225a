import { CallEvent as PbCallEvent } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { CallError } from "../call/call-error.js";
import type { CallEventBody } from "../call/call-events.js";
import { eventWire } from "./event-wire.js";
import { snapshot, stored } from "./testing.js";

const time = new Date("2026-01-02T03:04:05.678Z");
const seat = { state: "SUSPENDED", agentId: "a", instanceId: "i", epoch: 2, attempt: 1 } as const;
const plan = {
  reason: "FRUSTRATED",
  confirm: "DESK_ACCEPT",
  confirmTimeoutMs: 15_000,
  then: "LEAVE",
  whileRinging: "HOLD_AUDIO",
  onContextFailure: "CONNECT_ANYWAY",
  saveTimeoutMs: 1500,
} as const;
const failure = new CallError("CALL_STATE", "no", { state: "PENDING" });

/** At least one of each kind; the compiler wants all of them. */
const BODIES: { readonly [t in CallEventBody["type"]]: readonly Extract<CallEventBody, { type: t }>[] } = {
  arrived: [
    { type: "arrived", call: snapshot() },
    {
      type: "arrived",
      call: snapshot({
        state: "DISCONNECTED",
        agentMode: "WHISPER",
        endReason: "MEDIA_LOST",
        seat: { ...seat, suspendExpireTime: time },
        pending: { requestId: "r", verb: "EscalateCall" },
        answerTime: time,
        connectTime: time,
        endTime: time,
      }),
    },
  ],
  unserved: [{ type: "unserved", action: "ANSWER_AND_HOLD" }],
  offered: [{ type: "offered", offerId: "o", agentId: "a", instanceId: "i", attempt: 3 }],
  offerEnded: [{ type: "offerEnded", offerId: "o", agentId: "a", instanceId: "i", end: "EXPIRED" }],
  seatChanged: [
    { type: "seatChanged", seat: { ...seat, suspendExpireTime: time }, cause: "LOST" },
    { type: "seatChanged", seat: { ...seat, state: "VACANT" }, cause: "TAKEN_OVER" },
  ],
  answered: [{ type: "answered" }],
  ringing: [{ type: "ringing", ringTimeSeconds: 30 }],
  connected: [{ type: "connected" }],
  modeSet: [{ type: "modeSet", mode: "SPY" }],
  commandStarted: [
    { type: "commandStarted", verb: "CloseCall", requestId: "r", bodyHash: "ab", actor: "agent:a" },
  ],
  commandDone: [
    { type: "commandDone", verb: "ConnectCall", requestId: "r" },
    { type: "commandDone", verb: "ConnectCall", requestId: "r", error: failure },
    { type: "commandDone", verb: "EscalateCall", requestId: "r", escalation: { outcome: "UNANSWERED" } },
    {
      type: "commandDone",
      verb: "EscalateCall",
      requestId: "r",
      error: failure,
      escalation: { outcome: "CALLER_LEFT", durability: "REPLICATED_LOG" },
    },
  ],
  escalation: [
    { type: "escalation", requestId: "r", step: "CONNECTING" },
    {
      type: "escalation",
      requestId: "r",
      step: "SAVING",
      plan: { ...plan, target: { callee: { ringTimeSeconds: 30 } } },
    },
    {
      type: "escalation",
      requestId: "r",
      step: "SAVING",
      plan: { ...plan, target: { pool: { pool: "desk", waitMs: 20_000 } } },
    },
    {
      type: "escalation",
      requestId: "r",
      step: "SAVING",
      plan: {
        ...plan,
        target: { pool: { pool: "desk", waitMs: 20_000, thenOriginalCallee: { ringTimeSeconds: 60 } } },
      },
    },
  ],
  contextWritten: [{ type: "contextWritten", revision: 4, turnCount: 9, durability: "LOCAL_DISK" }],
  noteSent: [{ type: "noteSent", actor: "client:x", delivered: true }],
  ended: [{ type: "ended", reason: "LEFT_TO_PARTIES" }],
  mediaChanged: [{ type: "mediaChanged", change: "PROVIDER_ERROR", detail: "why" }],
  holdChanged: [{ type: "holdChanged", holding: true }],
  takenOver: [{ type: "takenOver", fromGatewayId: "g-1", fromEpoch: 1, gatewayId: "g-2" }],
  eventsLost: [{ type: "eventsLost", fromEpoch: 1 }],
};

describe.each(["json", "protobuf"] as const)("event wire / %s", (encoding) => {
  const wire = eventWire(encoding);
  const all = Object.values(BODIES).flat();

  it.each(all.map((body, i) => ({ i, type: body.type, body })))("gives back $type ($i)", ({ body }) => {
    const event = { ...stored(body, 7), tenant: "default", ownerEpoch: 3, cursor: "", durable: true };
    const message = wire.encode(event);
    // The other form reads it too: the header says what it is.
    for (const reader of [eventWire("json"), eventWire("protobuf")])
      expect(reader.decode("default", message)).toEqual(event);
  });

  it("knows every kind of the contract", () => {
    expect(Object.keys(BODIES).length).toBe(19);
  });

  it("refuses kinds and values that it does not know, and garbage", () => {
    const event = { ...PbCallEvent.create(), callId: "c", time: { seconds: 1, nanos: 0 } };
    const headers = { "Callweave-Encoding": encoding };
    const encode = (message: PbCallEvent) =>
      encoding === "protobuf"
        ? PbCallEvent.encode(message).finish()
        : Buffer.from(JSON.stringify(PbCallEvent.toJSON(message)));
    const unknown: PbCallEvent[] = [
      event,
      { ...event, event: { $case: "ended", value: { reason: Number(99) } } },
      { ...event, event: { $case: "ended", value: { reason: 0 } } },
      { ...event, event: { $case: "arrived", value: { call: undefined } } },
      { ...event, time: undefined, event: { $case: "answered", value: {} } },
      {
        ...event,
        event: {
          $case: "commandDone",
          value: { verb: "constructor", requestId: "", error: undefined, escalation: undefined },
        },
      },
    ];
    for (const message of unknown)
      expect(() => wire.decode("t", { data: encode(message), headers })).toThrow();
    expect(() => wire.decode("t", { data: Buffer.from("{garbage"), headers })).toThrow();
  });
});

it("writes a line that people can read", () => {
  const { data } = eventWire("json").encode(stored({ type: "modeSet", mode: "WHISPER" }));
  expect(JSON.parse(Buffer.from(data).toString("utf8"))).toMatchObject({
    callId: "c-1",
    time: "2026-01-01T00:00:01Z",
    modeSet: { mode: "AGENT_MODE_WHISPER" },
  });
});
