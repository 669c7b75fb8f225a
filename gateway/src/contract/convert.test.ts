import { ErrorReason, GatewayItem, WatchCallsResponse } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { CallError, REASON_STATUS, type Reason } from "../call/call-error.js";
import type { CallEventBody } from "../call/call-events.js";
import type { AgentNotice } from "../dispatch/agent-port.js";
import { toDuration, toPbError, toTimestamp, toUint } from "./convert.js";
import { fromRegister, toPbItem } from "./convert-agent.js";
import { fromPbFilter, toPbCall, toPbEvent } from "./convert-call.js";
import { fromMask, fromPbContext, toPbContext } from "./convert-context.js";
import { context, snapshot, stored } from "./testing.js";

const seal = (error: CallError) => error;
const error = new CallError("PLAYBACK_FULL", "no room", { refused_ms: "20" });

describe("convert", () => {
  it("writes durations and times to the field's precision", () => {
    expect(toDuration(1500.25)).toEqual({ seconds: 1, nanos: 500_250_000 });
    expect(toDuration(999.9999)).toEqual({ seconds: 1, nanos: 0 });
    expect(toDuration(-3)).toEqual({ seconds: 0, nanos: 0 });
    expect(toDuration(Number.NaN)).toEqual({ seconds: 0, nanos: 0 });
    expect(toTimestamp(new Date(1_234))).toEqual({ seconds: 1, nanos: 234_000_000 });
    expect(toTimestamp(new Date(-1))).toEqual({ seconds: -1, nanos: 999_000_000 });
    expect([toUint(2.7), toUint(-1), toUint(Number.NaN)]).toEqual([2, 0, 0]);
  });

  it("knows every reason of the contract and no other", () => {
    const contract = Object.keys(ErrorReason).filter((key) => Number.isNaN(Number(key)));
    const core = Object.keys(REASON_STATUS);
    expect(contract.filter((key) => key !== "UNSPECIFIED" && key !== "UNRECOGNIZED").sort()).toEqual(
      core.sort(),
    );
    for (const reason of core as Reason[]) {
      const converted = toPbError(new CallError(reason, "x"));
      expect(converted.code).toBeGreaterThan(0);
      expect(converted.reason).toBe(ErrorReason[reason]);
    }
  });
});

describe("toPbEvent()", () => {
  const bodies: CallEventBody[] = [
    { type: "arrived", call: snapshot() },
    { type: "unserved", action: "ANSWER_AND_HOLD" },
    { type: "offered", offerId: "o", agentId: "a", instanceId: "i", attempt: 1 },
    { type: "offerEnded", offerId: "o", agentId: "a", instanceId: "i", end: "EXPIRED" },
    { type: "seatChanged", seat: { ...snapshot().seat, suspendExpireTime: new Date(5) }, cause: "LOST" },
    { type: "answered" },
    { type: "ringing", ringTimeSeconds: 60 },
    { type: "connected" },
    { type: "modeSet", mode: "WHISPER" },
    { type: "commandStarted", verb: "ConnectCall", requestId: "r", bodyHash: "ab", actor: "agent:a" },
    {
      type: "commandDone",
      verb: "EscalateCall",
      requestId: "r",
      error,
      escalation: { outcome: "UNANSWERED" },
    },
    { type: "escalation", requestId: "r", step: "LEAVING" },
    { type: "contextWritten", revision: 2, turnCount: 3, durability: "STORE" },
    { type: "noteSent", actor: "client:c", delivered: true },
    { type: "ended", reason: "LEFT_TO_PARTIES" },
    { type: "mediaChanged", change: "PROVIDER_ERROR", detail: "E1" },
    { type: "holdChanged", holding: true },
  ];

  it.each(bodies.map((body) => [body.type, body] as const))(
    "writes %s so that it can be read again",
    (type, body) => {
      const event = toPbEvent(stored(body, 7));
      expect(event.event?.$case).toBe(type);
      const message: WatchCallsResponse = { item: { $case: "event", value: event } };
      expect(WatchCallsResponse.decode(WatchCallsResponse.encode(message).finish())).toEqual(message);
      // No enum of an event is left unspecified.
      expect(JSON.stringify(WatchCallsResponse.toJSON(message))).not.toContain("UNSPECIFIED");
    },
  );
});

describe("toPbCall()", () => {
  it("writes a call in each state", () => {
    const ended = toPbCall(
      snapshot({
        state: "DISCONNECTED",
        endReason: "MEDIA_LOST",
        endTime: new Date(9_000),
        pending: undefined,
      }),
    );
    expect(ended).toMatchObject({ state: 4, endReason: 4, endTime: { seconds: 9, nanos: 0 }, agentMode: 0 });
    const connected = toPbCall(
      snapshot({ state: "CONNECTED", agentMode: "SPY", pending: { requestId: "r", verb: "CloseCall" } }),
    );
    expect(connected).toMatchObject({
      agentMode: 3,
      pending: { requestId: "r", verb: "CloseCall" },
      endReason: 0,
    });
    expect(connected.playback?.unheardAtProvider).toEqual({ seconds: 0, nanos: 1_500_000 });
  });
});

describe("toPbItem()", () => {
  const call = snapshot();
  const notices: AgentNotice[] = [
    {
      type: "offer",
      offerId: "o",
      call,
      context: context(),
      attempt: 2,
      deadline: new Date(1_000),
      timeLeftMs: 1_999,
      escalationReason: "FRUSTRATED",
    },
    { type: "offerRevoked", offerId: "o" },
    {
      type: "assigned",
      call,
      epoch: 4,
      handle: 9,
      resume: "REATTACHED",
      audioFormat: { encoding: "ALAW", sampleRateHz: 8000 },
      offerId: "o",
      attempt: 1,
    },
    { type: "unassigned", handle: 9, callId: "c-1", cause: "CALL_ENDED", endReason: "TERMINATED" },
    { type: "audioGap", handle: 9, from: 160, durationMs: 40, reason: "DETACHED" },
    { type: "markReached", handle: 9, name: "bye", end: "CLEARED" },
    { type: "playback", handle: 9, position: call.playback },
    {
      type: "playbackCleared",
      handle: 9,
      droppedLocalMs: 12.5,
      estimatedUnheardAtProviderMs: 300,
      playedMs: 90_000,
    },
    { type: "commandResult", handle: 9, requestId: "r", error },
    {
      type: "commandResult",
      handle: 9,
      requestId: "r",
      reply: {
        call,
        pending: { requestId: "r", verb: "TransferCall" },
        escalation: { outcome: "CONNECTED", durability: "STORE" },
      },
    },
    { type: "callEvent", event: stored({ type: "answered" }) },
    { type: "note", handle: 9, text: "slower", author: "client:desk" },
    { type: "itemRefused", handle: 9, item: "audio", error },
    { type: "goAway", deadlineMs: 30_000 },
  ];

  it.each(notices.map((notice) => [notice.type, notice] as const))(
    "writes %s so that it can be read again",
    (type, notice) => {
      const item = toPbItem(notice, seal);
      expect(item.item?.$case).toBe(type);
      expect(GatewayItem.decode(GatewayItem.encode(item).finish())).toEqual(item);
    },
  );

  it("says pending only when something is", () => {
    const pending = (notice: AgentNotice) => {
      const { item } = toPbItem(notice, seal);
      return item?.$case === "commandResult" ? item.value.pending : undefined;
    };
    expect(pending({ type: "commandResult", handle: 1, requestId: "r", reply: { call } })).toBe(false);
    expect(notices.filter((n) => n.type === "commandResult").map(pending)).toEqual([false, true]);
  });
});

describe("fromRegister()", () => {
  const register = {
    agentId: "echo",
    instanceId: "",
    pool: "",
    capacity: 0,
    audioFormat: undefined,
    labels: {},
    answerOnAccept: false,
    heartbeat: false,
    noAudio: false,
  };

  it("fills in the defaults", () => {
    expect(fromRegister(register)).toEqual({
      ...register,
      pool: "default",
      capacity: 1,
      audioFormat: { encoding: "S16LE", sampleRateHz: 0 },
    });
    expect(
      fromRegister({ ...register, audioFormat: { encoding: 3, sampleRateHertz: 0 } }).audioFormat,
    ).toEqual({
      encoding: "ALAW",
      sampleRateHz: 8000,
    });
  });

  it.each([
    ["agent_id", { agentId: "" }],
    ["agent_id", { agentId: "a b" }],
    ["agent_id", { agentId: "a".repeat(65) }],
    ["instance_id", { instanceId: "not-a-uuid" }],
    ["pool", { pool: "a/b" }],
    ["capacity", { capacity: -1 }],
    ["capacity", { capacity: 10_001 }],
    ["audio_format.encoding", { audioFormat: { encoding: 9, sampleRateHertz: 0 } }],
    ["audio_format.sample_rate_hertz", { audioFormat: { encoding: 1, sampleRateHertz: 44100 } }],
    ["audio_format.sample_rate_hertz", { audioFormat: { encoding: 2, sampleRateHertz: 16000 } }],
    ["labels", { labels: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, ""])) }],
  ])("refuses a wrong %s", (field, change) => {
    expect(() => fromRegister({ ...register, ...change })).toThrow(
      expect.objectContaining({ reason: "INVALID_FIELD", metadata: expect.objectContaining({ field }) }),
    );
  });
});

describe("contexts and filters", () => {
  it("takes a context back as it was written, without what is the store's", () => {
    const given = context({
      status: "CALLBACK_WANTED",
      escalationReason: "OUT_OF_SCOPE",
      summary: "wants a call",
      summarySource: "RULES",
      consent: { disclosedTime: new Date(3_000), transcript: true },
      outcome: "later",
    });
    const input = fromPbContext(toPbContext(given, true));
    expect(input).toEqual({
      callId: "c-1",
      sessionId: "s-1",
      caller: "+15550100",
      callee: "+15550101",
      locale: "en",
      status: "CALLBACK_WANTED",
      escalationReason: "OUT_OF_SCOPE",
      summary: "wants a call",
      summarySource: "RULES",
      turns: given.turns,
      data: given.data,
      consent: { disclosedTime: new Date(3_000), transcript: true },
      outcome: "later",
    });
  });

  it("leaves out what is not set", () => {
    const empty = toPbContext(
      context({ sessionId: "", caller: "", callee: "", locale: "", turns: [] }),
      true,
    );
    expect(fromPbContext({ ...empty, status: 0, data: undefined })).toEqual({ callId: "c-1" });
  });

  it.each([
    ["context.call_id", { callId: "a b" }],
    ["context.status", { status: 77 }],
    ["context.summary", { summary: "x".repeat(2001) }],
    ["context.outcome", { outcome: "x".repeat(501) }],
    ["context.locale", { locale: "en_US" }],
    ["context.data", { data: { big: "x".repeat(70_000) } }],
    ["turns.role", { turns: [{ ...toPbContext(context(), true).turns[0]!, role: 0 }] }],
    ["turns.id", { turns: [{ ...toPbContext(context(), true).turns[0]!, id: "" }] }],
  ])("refuses a wrong %s", (field, change) => {
    expect(() => fromPbContext({ ...toPbContext(context(), true), ...change })).toThrow(
      expect.objectContaining({ metadata: expect.objectContaining({ field }) }),
    );
  });

  it("marks turns as left out only where there are any", () => {
    expect(toPbContext(context(), false)).toMatchObject({ turns: [], turnCount: 1, truncated: true });
    expect(toPbContext(context({ turns: [], turnCount: 0 }), false).truncated).toBe(false);
  });

  it("checks masks and filters", () => {
    expect(fromMask(["data", "summary", "data"])).toEqual(["data", "summary"]);
    expect(() => fromMask(["turns"])).toThrow("update_mask");
    expect(fromPbFilter(undefined)).toEqual({ callIds: [], pools: [], states: [] });
    expect(fromPbFilter({ callIds: ["c"], pools: ["p"], states: [1, 4] }).states).toEqual([
      "PENDING",
      "DISCONNECTED",
    ]);
    expect(() => fromPbFilter({ callIds: [], pools: [], states: [0] })).toThrow("filter.states");
    expect(() => fromPbFilter({ callIds: Array(101).fill("c"), pools: [], states: [] })).toThrow(
      "at most 100",
    );
  });
});
