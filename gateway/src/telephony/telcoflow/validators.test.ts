import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseControlFrame, parseMediaFrame, parseSession, parseSessionList } from "./validators.js";

const call = {
  type: "call.in",
  sessionId: "s-1",
  callId: "c-1",
  orgUuid: "o",
  from: "+15550101",
  to: "+15550100",
  url: "wss://media.example.com/v1/call",
  token: "a.b.c",
};

function control(frame: unknown) {
  return parseControlFrame(JSON.stringify(frame));
}

function media(frame: unknown) {
  return parseMediaFrame(JSON.stringify(frame));
}

describe("parseControlFrame", () => {
  it("reads a call", () => {
    expect(control({ ...call, somethingNew: [1, 2] })).toEqual({
      ok: true,
      message: {
        type: "call.in",
        sessionId: "s-1",
        callId: "c-1",
        from: "+15550101",
        to: "+15550100",
        mediaUrl: "wss://media.example.com/v1/call",
        mediaToken: "a.b.c",
      },
    });
  });

  it("reads a withheld number as empty", () => {
    expect(control({ ...call, from: null })).toMatchObject({ ok: true, message: { from: "" } });
  });

  it("reads a refusal with the holder of the session", () => {
    const frame = {
      type: "response",
      reqId: "r-1",
      ok: false,
      errorCode: "SESSION_BUSY",
      errorContent: { boundSmWsId: "w-2" },
    };
    expect(control(frame)).toEqual({
      ok: true,
      message: {
        type: "response",
        requestId: "r-1",
        ok: false,
        content: undefined,
        errorCode: "SESSION_BUSY",
        boundConnectionId: "w-2",
      },
    });
  });

  it.each([
    ["notJson", "", '{"type":'],
    ["notJson", "", ""],
    ["notObject", "", "[]"],
    ["notObject", "", "null"],
    ["notObject", "", "7"],
    ["invalidField", "type", "{}"],
    ["invalidField", "type", '{"type": 7}'],
    ["unknownType", "session.sneezed", '{"type":"session.sneezed"}'],
    ["unknownType", "constructor", '{"type":"constructor"}'],
    ["unknownType", "__proto__", '{"type":"__proto__"}'],
    ["invalidField", "call.in: callId", JSON.stringify({ ...call, callId: undefined })],
    ["invalidField", "call.in: callId", JSON.stringify({ ...call, callId: "" })],
    ["invalidField", "call.in: callId", JSON.stringify({ ...call, callId: "a\r\nb" })],
    ["invalidField", "call.in: sessionId", JSON.stringify({ ...call, sessionId: "x".repeat(257) })],
    ["invalidField", "call.in: token", JSON.stringify({ ...call, token: "a\r\nHost: b" })],
    ["invalidField", "session.notify: sessionId", '{"type":"session.notify","sessionId":{}}'],
    ["invalidField", "response: reqId", '{"type":"response","ok":true}'],
  ])("counts %s %s", (problem, detail, frame) => {
    expect(parseControlFrame(frame)).toEqual({ ok: false, problem, detail });
  });

  it("takes nothing from a prototype (fault 44)", () => {
    expect(parseControlFrame('{"__proto__":{"type":"setup.done"}}')).toMatchObject({
      problem: "invalidField",
    });
  });
});

describe("parseMediaFrame", () => {
  it("reads a request for audio, numbers as text too, with defaults", () => {
    const frame = {
      type: "buffer_request",
      data: { requested_bytes: "3200", prefer_audio_frame_bytes: null },
    };
    expect(media(frame)).toEqual({
      ok: true,
      message: { type: "buffer_request", requestedBytes: 3200, preferFrameBytes: 0, channel: 0 },
    });
  });

  it("reads events it knows and those it does not", () => {
    expect(media({ type: "call_event", data: { event: "call.terminated" } })).toMatchObject({ ok: true });
    expect(media({ type: "call_event", data: { event: "call.error", error_code: "X" } })).toEqual({
      ok: true,
      message: { type: "call_event", event: "call.error", errorCode: "X" },
    });
    expect(media({ type: "call_event", data: { event: "toString" } })).toMatchObject({
      message: { event: "other" },
    });
  });

  it.each([
    [{ type: "buffer_request" }, "buffer_request: data"],
    [{ type: "buffer_request", data: {} }, "buffer_request: requested_bytes"],
    [{ type: "buffer_request", data: { requested_bytes: -960 } }, "buffer_request: requested_bytes"],
    [{ type: "buffer_request", data: { requested_bytes: "many" } }, "buffer_request: requested_bytes"],
    [{ type: "buffer_request", data: { requested_bytes: 960, channelId: {} } }, "buffer_request: channelId"],
    [{ type: "command_response", data: { command_id: "c" } }, "command_response: success"],
    [{ type: "command_response", data: { success: true } }, "command_response: command_id"],
    [{ type: "call_event", data: {} }, "call_event: event"],
  ])("counts %j", (frame, detail) => {
    expect(media(frame)).toEqual({ ok: false, problem: "invalidField", detail });
  });

  it("survives deep nesting", () => {
    const deep = `{"type":"call_event","data":${'{"a":'.repeat(2000)}1${"}".repeat(2000)}}`;
    expect(parseMediaFrame(deep)).toMatchObject({ ok: false });
  });
});

describe("parsers of anything", () => {
  const types = fc.constantFrom(
    ...["setup.done", "response", "session.notify", "call.in", "session.closed", "wa.msg.in"],
    ...["buffer_request", "command_response", "call_event"],
  );
  const names = fc.constantFrom(
    ...["reqId", "sessionId", "callId", "url", "token", "data", "event", "command_id", "success"],
    ...["requested_bytes", "prefer_audio_frame_bytes", "channelId", "error_code", "errorContent", "ok"],
  );
  const fields = fc.dictionary(names, fc.oneof(fc.jsonValue(), fc.dictionary(names, fc.jsonValue())));

  it("never throw and never give a number that is not finite", () => {
    fc.assert(
      fc.property(types, fields, (type, rest) => {
        const text = JSON.stringify({ ...rest, type });
        for (const parsed of [parseControlFrame(text), parseMediaFrame(text)]) {
          if (!parsed.ok || parsed.message.type !== "buffer_request") continue;
          expect(parsed.message.requestedBytes).toBeGreaterThan(0);
          expect(parsed.message.requestedBytes).toBeLessThan(2 ** 31);
          expect(Number.isInteger(parsed.message.channel)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("never throw on text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseControlFrame(text);
        parseMediaFrame(text);
      }),
    );
  });

  it("never throw on values of the REST list", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        parseSession(value);
        parseSessionList(value);
        parseSessionList({ items: [value] });
      }),
    );
  });
});

describe("parseSessionList", () => {
  it("leaves out what it cannot read", () => {
    const list = parseSessionList({ items: [{ id: "s-1", channel: "TELCO" }, { channel: "TELCO" }, 7] });
    expect(list?.map((session) => session.id)).toEqual(["s-1"]);
  });

  it("knows what is no list", () => {
    for (const value of [null, [], {}, { items: {} }, "items"])
      expect(parseSessionList(value)).toBeUndefined();
  });
});
