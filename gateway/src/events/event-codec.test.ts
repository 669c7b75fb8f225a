import { describe, expect, it } from "vitest";
import { CallError } from "../call/call-error.js";
import type { CallEvent, CallEventBody } from "../call/call-events.js";
import type { CallSnapshot } from "../call/call-state.js";
import { decodeCursor, encodeCursor } from "./cursor.js";
import { decodeEvent, EVENT_CODEC_VERSION, encodeEvent } from "./event-codec.js";

const time = new Date("2026-03-01T10:00:00.123Z");
const call: CallSnapshot = {
  tenant: "t",
  callId: "c-1",
  sessionId: "s-1",
  connector: "main",
  direction: "INBOUND",
  caller: "+15550100",
  callee: "+15550101",
  rawCaller: "5550100",
  rawCallee: "5550101",
  pool: "default",
  locale: "en",
  state: "PENDING",
  seat: {
    state: "SUSPENDED",
    agentId: "a",
    instanceId: "i",
    epoch: 2,
    attempt: 1,
    suspendExpireTime: new Date(time.getTime() + 2000),
  },
  sampleRateHz: 24_000,
  pending: { requestId: "r", verb: "ConnectCall" },
  playback: { queuedMs: 0, unheardAtProviderMs: 0, playedMs: 0 },
  createTime: time,
  gatewayId: "g",
  lastEventSequence: 1,
};

const bodies: CallEventBody[] = [
  { type: "arrived", call },
  { type: "unserved", action: "QUEUE" },
  { type: "seatChanged", seat: call.seat, cause: "LOST" },
  {
    type: "commandDone",
    verb: "EscalateCall",
    requestId: "r",
    error: new CallError("CALL_STATE", "no", { state: "PENDING" }),
    escalation: { outcome: "UNANSWERED", durability: "STORE" },
  },
  { type: "ended", reason: "TERMINATED" },
];

describe("event codec", () => {
  it.each(bodies)("gives back $type", (body) => {
    const event: CallEvent = {
      tenant: "t",
      callId: "c-1",
      pool: "default",
      sequence: 7,
      ownerEpoch: 1,
      time,
      position: 480,
      body,
    };
    const back = decodeEvent(encodeEvent(event));
    expect(back).toEqual(event);
    expect(encodeEvent(back)).toBe(encodeEvent(event));
    if (back.body.type === "commandDone") {
      expect(back.body.error).toBeInstanceOf(CallError);
      expect(back.body.error?.metadata).toEqual({ state: "PENDING" });
    }
  });

  it("keeps what a later version adds and types it does not know (fault 53)", () => {
    const text = JSON.stringify({
      v: EVENT_CODEC_VERSION,
      tenant: "t",
      callId: "c",
      pool: "p",
      sequence: 1,
      time: { $date: 5 },
      position: 0,
      added: 1,
      body: { type: "somethingNew", more: { when: { $date: 9 } } },
    });
    expect(decodeEvent(text).body).toEqual({ type: "somethingNew", more: { when: new Date(9) } });
    const unknown = text.replace('"somethingNew"', '"x","error":{"$error":{"reason":"NEW","message":"m"}}');
    expect((decodeEvent(unknown).body as { error?: CallError }).error).toMatchObject({
      reason: "INTERNAL",
      message: "m",
      metadata: { reason: "NEW" },
    });
  });

  it("is not confused by keys that look like its own, nor by __proto__", () => {
    const event = {
      tenant: "t",
      callId: "c",
      pool: "p",
      sequence: 1,
      time,
      position: 0,
      body: { type: "x", data: { $date: 1, $$x: 2, ...JSON.parse('{"__proto__":{"polluted":true}}') } },
    } as unknown as CallEvent;
    const back = decodeEvent(encodeEvent(event)) as unknown as { body: { data: Record<string, unknown> } };
    expect(back.body.data.$date).toBe(1);
    expect(back.body.data.$$x).toBe(2);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it.each(["", "{}", "[]", '{"v":2}', '{"v":1,"tenant":"t"}'])("refuses %s", (text) => {
    expect(() => decodeEvent(text)).toThrow(/not JSON|not an event|newer|missing/);
  });
});

describe("cursor", () => {
  it("gives its position back", () => {
    const position = { storeId: "00ff00ff00ff00ff", sequence: 2 ** 40 + 5 };
    expect(decodeCursor(encodeCursor(position))).toEqual(position);
  });

  it.each(["x", "AAAA", "!!!!", `${encodeCursor({ storeId: "00ff00ff00ff00ff", sequence: 1 })}A`])(
    "refuses %s",
    (cursor) => {
      expect(() => decodeCursor(cursor)).toThrow(/cursor must be a cursor that a gateway gave/);
    },
  );
});
