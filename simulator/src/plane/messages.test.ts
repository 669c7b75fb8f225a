import { describe, expect, it } from "vitest";
import { encodeAudioFrame, parseCallFlow, parseCommand, parseObject } from "./messages.js";
import { TokenMint } from "./token.js";

describe("messages", () => {
  it("takes objects only", () => {
    expect(parseObject('{"type": "x"}')).toEqual({ type: "x" });
    for (const text of ["", "{", "1", '"x"', "null", "[1]", "nul"]) expect(parseObject(text)).toBeUndefined();
  });

  it("reads commands, with their data and a default timeout", () => {
    const data = { command_id: "1", command: "call.connect", timeout_ms: 5000, data: { ringTimeSeconds: 5 } };
    expect(parseCommand({ type: "command", data })).toEqual({
      commandId: "1",
      command: "call.connect",
      timeoutMs: 5000,
      data: { ringTimeSeconds: 5 },
    });
    expect(parseCommand({ type: "command", data: { command_id: "1", command: "x" } })).toMatchObject({
      timeoutMs: 30_000,
      data: {},
    });
    for (const frame of [
      { type: "other", data },
      { type: "command" },
      { type: "command", data: null },
      { type: "command", data: { command_id: 1, command: "x" } },
      { type: "command", data: { command_id: "1" } },
    ])
      expect(parseCommand(frame)).toBeUndefined();
  });

  it("puts the channel before the samples, little endian", () => {
    expect([...encodeAudioFrame(2, Int16Array.from([1, -2]))]).toEqual([2, 1, 0, 0xfe, 0xff]);
  });

  it("checks call flows", () => {
    expect(parseCallFlow({ inboundCall: "MISSED_ONLY", outboundCall: true })).toEqual({
      inboundCall: "MISSED_ONLY",
      outboundCall: true,
      inboundMessage: false,
      outboundMessage: false,
    });
    for (const value of [
      undefined,
      null,
      {},
      { inboundCall: "SOME" },
      { inboundCall: "ALL", outboundCall: 1 },
    ])
      expect(parseCallFlow(value)).toBeUndefined();
  });
});

describe("TokenMint", () => {
  it("accepts its own token for its own call until it expires", () => {
    const mint = new TokenMint();
    const token = mint.issue("call-1", "session-1", 1000, 60);
    expect(token.split(".").length).toBe(3);
    expect(mint.reject(token, "call-1", 1059)).toBeUndefined();
    expect(mint.reject(token, "call-1", 1060)).toBe("token has expired");
    expect(mint.reject(token, "call-2", 1000)).toBe("token is for another call");
    expect(mint.reject("x", "call-1", 1000)).toBe("malformed token");
    expect(mint.reject(`${token}x`, "call-1", 1000)).toBe("invalid signature");
    expect(new TokenMint().reject(token, "call-1", 1000)).toBe("invalid signature");
  });
});
