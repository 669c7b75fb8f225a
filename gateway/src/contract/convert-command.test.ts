import {
  ConnectCallRequest,
  DisconnectCallRequest,
  EscalateCallRequest,
  SendNoteRequest,
  SetAgentModeRequest,
  TransferCallRequest,
} from "@callweave/proto";
import { describe, expect, it } from "vitest";
import {
  connectCommand,
  disconnectCommand,
  escalateCommand,
  noteCommand,
  setAgentModeCommand,
  streamCommand,
  transferCommand,
  waitMs,
} from "./convert-command.js";

const s = (seconds: number, nanos = 0) => ({ seconds, nanos });
const connect = (change: object) => connectCommand(ConnectCallRequest.fromPartial(change));
const escalate = (change: object) =>
  escalateCommand(EscalateCallRequest.fromPartial({ reason: 1, ...change }));
const transfer = (change: object) => transferCommand(TransferCallRequest.fromPartial(change));
const refusal = (field: string) =>
  expect.objectContaining({ reason: "INVALID_FIELD", metadata: expect.objectContaining({ field }) });

describe("commands", () => {
  it("fill in the defaults of the contract", () => {
    expect(connect({})).toEqual({ verb: "ConnectCall", ringTimeSeconds: 60 });
    expect(connect({ after: { condition: 1 } })).toEqual({ verb: "ConnectCall", ringTimeSeconds: 60 });
    expect(connect({ ringDuration: s(120), after: { condition: 2, deadline: s(0, 100_000_000) } })).toEqual({
      verb: "ConnectCall",
      ringTimeSeconds: 120,
      after: { condition: "PLAYBACK_DRAINED", deadlineMs: 100, onInterrupt: "CANCEL" },
    });
    expect(
      disconnectCommand(
        DisconnectCallRequest.fromPartial({ after: { condition: 3, mark: "bye", onInterrupt: 2 } }),
      ),
    ).toEqual({
      verb: "DisconnectCall",
      after: { condition: "MARK", mark: "bye", onInterrupt: "PROCEED" },
    });
    expect(transfer({ to: { $case: "pool", value: "human" } })).toMatchObject({ offerDurationMs: 30_000 });
    expect(waitMs(undefined)).toBe(0);
    expect(waitMs(s(150))).toBe(150_000);
  });

  it("fill in the defaults of an escalation", () => {
    expect(escalate({})).toEqual({
      verb: "EscalateCall",
      reason: "ASKED_FOR_HUMAN",
      summary: "",
      summarySource: "MODEL",
      routingHint: "",
      data: {},
      target: { callee: { ringTimeSeconds: 60 } },
      after: { condition: "PLAYBACK_DRAINED", onInterrupt: "PROCEED" },
      confirm: "NONE",
      confirmTimeoutMs: 20_000,
      then: "LEAVE",
      whileRinging: "HOLD_AUDIO",
      onContextFailure: "CONNECT_ANYWAY",
      saveTimeoutMs: 1_500,
    });
    expect(escalate({ after: {} }).after).toEqual({ condition: "NOW" });
    expect(escalate({ after: { condition: 2 } }).after).toMatchObject({ onInterrupt: "PROCEED" });
    expect(
      escalate({
        target: { $case: "pool", value: { pool: "human", thenOriginalCallee: { ringDuration: s(5) } } },
      }).target,
    ).toEqual({ pool: { pool: "human", waitMs: 30_000, thenOriginalCallee: { ringTimeSeconds: 5 } } });
  });

  it.each([
    ["ring_duration", () => connect({ ringDuration: s(0) })],
    ["ring_duration", () => connect({ ringDuration: s(121) })],
    ["ring_duration", () => connect({ ringDuration: s(5, 1) })],
    ["ring_duration", () => connect({ ringDuration: s(-1) })],
    ["after.condition", () => connect({ after: { condition: 99 } })],
    ["after.mark", () => connect({ after: { condition: 3 } })],
    ["after.mark", () => connect({ after: { condition: 2, mark: "x" } })],
    ["after.deadline", () => connect({ after: { condition: 2, deadline: s(0, 99_000_000) } })],
    ["after.deadline", () => connect({ after: { condition: 2, deadline: s(121) } })],
    ["after.on_interrupt", () => connect({ after: { condition: 2, onInterrupt: 7 } })],
    ["wait", () => waitMs(s(151))],
    ["wait", () => waitMs(s(-1))],
    ["wait", () => waitMs(s(1, -5))],
    ["mode", () => setAgentModeCommand(SetAgentModeRequest.fromPartial({}))],
    ["mode", () => setAgentModeCommand(SetAgentModeRequest.fromPartial({ mode: 4 as number }))],
    ["to", () => transfer({})],
    ["pool", () => transfer({ to: { $case: "pool", value: "" } })],
    ["instance_id", () => transfer({ to: { $case: "instanceId", value: "x" } })],
    ["offer_duration", () => transfer({ to: { $case: "pool", value: "p" }, offerDuration: s(601) })],
    ["text", () => noteCommand(SendNoteRequest.fromPartial({}))],
    ["text", () => noteCommand(SendNoteRequest.fromPartial({ text: "x".repeat(2001) }))],
    ["reason", () => escalate({ reason: 0 })],
    ["reason", () => escalate({ reason: -1 })],
    ["summary", () => escalate({ summary: "x".repeat(2001) })],
    ["routing_hint", () => escalate({ routingHint: "x".repeat(101) })],
    ["data", () => escalate({ data: { x: "y".repeat(70_000) } })],
    ["pool.pool", () => escalate({ target: { $case: "pool", value: {} } })],
    ["pool.wait", () => escalate({ target: { $case: "pool", value: { pool: "p", wait: s(0) } } })],
    [
      "original_callee.ring_duration",
      () => escalate({ target: { $case: "originalCallee", value: { ringDuration: s(121) } } }),
    ],
    ["confirm", () => escalate({ confirm: 9 })],
    ["confirm_timeout", () => escalate({ confirmTimeout: s(0) })],
    ["then", () => escalate({ then: 9 })],
    ["save_timeout", () => escalate({ saveTimeout: s(11) })],
  ])("refuse a wrong %s", (field, make) => {
    expect(make).toThrow(refusal(field));
  });

  it("count characters, not UTF-16 units", () => {
    expect(escalate({ summary: "\u{1F600}".repeat(2000) }).summary.length).toBe(4000);
    expect(() => escalate({ summary: "\u{1F600}".repeat(2001) })).toThrow(refusal("summary"));
  });

  it("of a stream ignore wait and the request_id inside, except for the target of a cancel", () => {
    expect(
      streamCommand({
        $case: "connect",
        value: ConnectCallRequest.fromPartial({ requestId: "x", wait: s(999) }),
      }),
    ).toEqual({ verb: "ConnectCall", ringTimeSeconds: 60 });
    expect(streamCommand({ $case: "cancel", value: { callId: "", requestId: "r-1" } })).toEqual({
      verb: "CancelCommand",
      targetRequestId: "r-1",
    });
  });
});
