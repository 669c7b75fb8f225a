import {
  CallContext,
  EscalateCallRequest,
  EscalationReason,
  GetContextRequest,
  Register,
  UpdateContextRequest,
} from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { toPbContext } from "./convert-context.js";
import { protoJson } from "./proto-json.js";
import { context } from "./testing.js";

const text = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

describe("protoJson()", () => {
  it("writes what every protobuf implementation reads", () => {
    const json = protoJson("CallContext", CallContext);
    const bytes = json.encode(toPbContext(context({ status: "ESCALATING", revision: 7 }), true));
    expect(JSON.parse(bytes.toString())).toEqual({
      callId: "c-1",
      sessionId: "s-1",
      caller: "+15550100",
      callee: "+15550101",
      locale: "en",
      status: "CONTEXT_STATUS_ESCALATING",
      turns: [{ id: "t1", role: "TURN_ROLE_CALLER", text: "Hello", time: "2026-01-01T00:00:00Z" }],
      turnCount: 1,
      data: { order: 7, tags: ["a", null, true] },
      revision: "7",
      createTime: "2026-01-01T00:00:00Z",
      updateTime: "2026-01-01T00:00:00Z",
      expireTime: "2026-01-01T00:00:00Z",
    });
    expect(json.decode(bytes)).toEqual(toPbContext(context({ status: "ESCALATING", revision: 7 }), true));
  });

  it("reads durations, masks, maps, oneofs, both spellings of a name, and ignores what it does not know", () => {
    const escalate = protoJson("EscalateCallRequest", EscalateCallRequest).decode(
      text({
        call_id: "c-1",
        reason: "ESCALATION_REASON_FRUSTRATED",
        originalCallee: { ringDuration: "30s", later: { x: 1 } },
        saveTimeout: "1.5s",
        data: { a: [1, { b: null }] },
        unknown: [1],
      }),
    );
    expect(escalate).toMatchObject({
      callId: "c-1",
      reason: EscalationReason.FRUSTRATED,
      target: { $case: "originalCallee", value: { ringDuration: { seconds: 30, nanos: 0 } } },
      saveTimeout: { seconds: 1, nanos: 500_000_000 },
      data: { a: [1, { b: null }] },
    });
    const update = protoJson("UpdateContextRequest", UpdateContextRequest);
    expect(update.decode(text({ updateMask: "summary,routingHint", revision: "3" }))).toMatchObject({
      updateMask: ["summary", "routing_hint"],
      revision: 3,
    });
    const register = protoJson("Register", Register).decode(text({ labels: { language: "en" } }));
    expect(register.labels).toEqual({ language: "en" });
  });

  it("refuses what is no such message", () => {
    const escalate = protoJson("EscalateCallRequest", EscalateCallRequest);
    const get = protoJson("GetContextRequest", GetContextRequest);
    for (const bad of [
      "",
      "{",
      "[]",
      "7",
      "null",
      '"x"',
      '{"callId":7}',
      '{"callId":{}}',
      '{"reason":"ANGRY"}',
    ])
      expect(() => escalate.decode(text(bad)), bad).toThrow();
    expect(() => escalate.decode(text({ saveTimeout: { seconds: 1 } }))).toThrow(/Duration/);
    expect(() => get.decode(text({ callId: "a", sessionId: "b" }))).toThrow();
    expect(() => get.decode(Buffer.from([0xff, 0xfe]))).toThrow();
    expect(() => protoJson("Nothing", GetContextRequest).decode(text("{}"))).toThrow(/no message Nothing/);
  });

  it("takes nothing from __proto__ (fault 44)", () => {
    const get = protoJson("GetContextRequest", GetContextRequest);
    expect(get.decode(text('{"__proto__":{"callId":"x"},"constructor":{}}'))).toEqual({ key: undefined });
  });
});
