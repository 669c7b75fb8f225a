import { ErrorReason } from "@callweave/proto";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeGateway, serviceError, until } from "../testing/fake-gateway.js";
import { oneCall } from "../testing/one-call.js";
import type { Call, Worker } from "./index.js";

let gateway: FakeGateway;
let worker: Worker | undefined;

beforeEach(() => {
  gateway = new FakeGateway();
});

afterEach(async () => {
  await worker?.close();
  worker = undefined;
  gateway.stop();
});

async function start() {
  if (gateway.endpoint.endsWith(":0")) await gateway.start();
  const setup = await oneCall(gateway);
  worker = setup.worker;
  return setup;
}

const refused = {
  code: status.FAILED_PRECONDITION,
  reason: ErrorReason.CALLEE_UNANSWERED,
  message: "nobody picked up",
  metadata: { call_id: "c-1", ring_time_seconds: "20" },
};

function done(requestId: string, more: object = {}) {
  const value = { verb: "ConnectCall", requestId, error: undefined, escalation: undefined, ...more };
  return { $case: "commandDone" as const, value };
}

describe("commands", () => {
  it("resolve with the result, long ones when they are done", async () => {
    const { stream, call } = await start();
    const answering = call.answer({ requestId: "r-1" });
    expect((await stream.next("command")).verb).toEqual({
      $case: "answer",
      value: { callId: "c-1", requestId: "r-1" },
    });
    stream.result("r-1", 1);
    await answering;

    const connecting = call.connect({ ringTimeSeconds: 20, requestId: "r-2" });
    const connect = await stream.next("command");
    expect(connect.verb?.value).toMatchObject({ ringDuration: { seconds: 20 }, after: undefined });
    let connected = false;
    void connecting.then(() => {
      connected = true;
    });
    stream.result("r-2", 1, { pending: true });
    stream.event("c-1", 1, { $case: "ringing", value: { ringTimeSeconds: 20 } });
    await until(() => call.info !== undefined && stream.items.length > 0);
    expect(connected).toBe(false);
    stream.event("c-1", 2, { $case: "connected", value: {} });
    expect(call.info.pending).toBeUndefined();
    const started = { verb: "ConnectCall", requestId: "r-2", bodyHash: "", actor: "agent:test" };
    stream.event("c-1", 3, { $case: "commandStarted", value: started });
    await until(() => call.info.pending?.requestId === "r-2");
    stream.event("c-1", 4, done("r-2"));
    await connecting;
    expect(call.info.pending).toBeUndefined();
    expect(call.state).toBe("CONNECTED");
    expect(call.mode).toBe("BARGE");
  });

  it("reject with the typed error, at once or when they are done", async () => {
    const { stream, call } = await start();
    const first = call.connect({ requestId: "r-1" });
    stream.result((await stream.next("command")).requestId, 1, { error: refused });
    await expect(first).rejects.toMatchObject({
      reason: "CALLEE_UNANSWERED",
      code: "FAILED_PRECONDITION",
      callId: "c-1",
      metadata: { ring_time_seconds: "20" },
    });
    const second = call.connect({ requestId: "r-2" });
    stream.result("r-2", 1, { pending: true });
    stream.event("c-1", 1, done("r-2", { error: refused }));
    await expect(second).rejects.toMatchObject({ reason: "CALLEE_UNANSWERED" });
  });

  it("check what can be checked here", async () => {
    const { call } = await start();
    await expect(call.connect({ ringTimeSeconds: 0 })).rejects.toMatchObject({ reason: "INVALID_FIELD" });
    await expect(call.close({ after: { mark: "" } })).rejects.toMatchObject({ reason: "INVALID_FIELD" });
    await expect(call.mark("x".repeat(101))).rejects.toMatchObject({ reason: "INVALID_FIELD" });
  });

  it("write every option of an escalation", async () => {
    const { stream, call } = await start();
    call.escalate({
      reason: "FRUSTRATED",
      summary: "s",
      summarySource: "RULES",
      routingHint: "billing",
      data: { invoice: 7, open: [true, null] },
      target: { pool: "human", waitMs: 1_500, thenCallee: { ringTimeSeconds: 30 } },
      after: { mark: "bye" },
      afterDeadlineMs: 2_500,
      onInterrupt: "CANCEL",
      confirm: "SPOKEN_YES",
      confirmTimeoutMs: 20_000,
      then: "STAY_SILENT",
      whileRinging: "AGENT",
      onContextFailure: "STAY",
      saveTimeoutMs: 1_000,
    });
    expect((await stream.next("command")).verb?.value).toMatchObject({
      reason: 2,
      summary: "s",
      summarySource: 2,
      routingHint: "billing",
      data: { invoice: 7, open: [true, null] },
      target: {
        $case: "pool",
        value: {
          pool: "human",
          wait: { seconds: 1, nanos: 500_000_000 },
          thenOriginalCallee: { ringDuration: { seconds: 30 } },
        },
      },
      after: { condition: 3, mark: "bye", deadline: { seconds: 2, nanos: 500_000_000 }, onInterrupt: 1 },
      confirm: 3,
      confirmTimeout: { seconds: 20 },
      then: 2,
      whileRinging: 2,
      onContextFailure: 2,
      saveTimeout: { seconds: 1 },
    });
  });

  it("resolve an escalation with its outcome, also when nobody was there", async () => {
    const { stream, call } = await start();
    const escalating = call.escalate({ reason: "ASKED_FOR_HUMAN", requestId: "e-1" });
    stream.result((await stream.next("command")).requestId, 1, { pending: true });
    stream.event("c-1", 1, done("e-1", { error: refused, escalation: { outcome: 2, durability: 1 } }));
    expect(await escalating).toEqual({ outcome: "UNANSWERED", durability: "STORE" });
  });

  it("count as done when the seat goes just as they wanted", async () => {
    const { stream, call } = await start();
    const escalating = call.escalate({ reason: "ASKED_FOR_HUMAN" });
    const leaving = call.close();
    const answering = call.answer();
    await stream.until(() => stream.all("command").length === 3);
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 3 } });
    expect(await escalating).toEqual({ outcome: "CONNECTED" });
    await leaving;
    await expect(answering).rejects.toMatchObject({ reason: "CALL_OVER", metadata: { cause: "CALL_ENDED" } });
  });

  it("are cancelled by an AbortSignal: here while they wait here, else by CancelCommand", async () => {
    const { stream, call } = await start();
    const abort = new AbortController();
    const connecting = call.connect({ requestId: "r-1", signal: abort.signal });
    await stream.next("command");
    stream.result("r-1", 1, { pending: true });
    abort.abort();
    const cancel = await stream.next("command");
    expect(cancel.verb).toEqual({ $case: "cancel", value: { callId: "c-1", requestId: "r-1" } });
    stream.result(cancel.requestId, 1);
    const error = {
      code: status.CANCELLED,
      reason: ErrorReason.COMMAND_CANCELLED,
      message: "cancelled",
      metadata: { call_id: "c-1", cause: "CANCELLED" },
    };
    stream.event("c-1", 1, done("r-1", { error }));
    await expect(connecting).rejects.toMatchObject({ reason: "COMMAND_CANCELLED" });

    call.play(Buffer.alloc(10_000 * 32));
    const late = new AbortController();
    const closing = call.close({ after: "drained", endCall: true, signal: late.signal });
    late.abort();
    await expect(closing).rejects.toMatchObject({
      reason: "COMMAND_CANCELLED",
      metadata: { cause: "ABORTED" },
    });
    await expect(call.answer({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      reason: "COMMAND_CANCELLED",
    });
    expect(stream.all("command")).toHaveLength(2);
  });
});

describe("what happens to a call", () => {
  it("is told to listeners and to events()", async () => {
    const { stream, call, errors } = await start();
    const seen: unknown[] = [];
    call.on("state", (state) => seen.push(state));
    call.on("mode", (mode) => seen.push(mode));
    call.on("note", (note) => seen.push(note));
    call.on("event", () => {
      throw new Error("listener");
    });
    const stop = call.on("event", () => seen.push("stopped"));
    stop();
    const types: string[] = [];
    const reading = (async () => {
      for await (const event of call.events()) types.push(event.type);
    })();
    stream.event("c-1", 1, { $case: "connected", value: {} });
    stream.event("c-1", 2, { $case: "modeSet", value: { mode: 2 } });
    stream.send({ $case: "note", value: { handle: 1, text: "be brief", author: "client:desk" } });
    stream.event("c-1", 3, undefined);
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } });
    await reading;
    expect(types).toEqual(["connected", "modeSet", "unknown"]);
    expect(seen).toEqual([
      "CONNECTED",
      "BARGE",
      "WHISPER",
      { text: "be brief", author: "client:desk" },
      "DISCONNECTED",
    ]);
    expect(errors).toEqual([new Error("listener"), new Error("listener"), new Error("listener")]);
  });

  it("aborts its signal in the end, with the cause", async () => {
    const { stream, call } = await start();
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 5, endReason: 0 } });
    expect(await call.ended).toEqual({ cause: "RELEASED" });
    expect(call.signal.reason).toMatchObject({ reason: "CALL_OVER", callId: "c-1" });
  });

  it("ignores items of handles and kinds it does not know", async () => {
    const { stream, call, errors } = await start();
    stream.send({ $case: "audio", value: { handle: 99, sequence: 1, position: 0, pcm: Buffer.alloc(2) } });
    stream.call.write({ items: [{ item: undefined }] });
    stream.send({ $case: "unassigned", value: { handle: 99, callId: "c-9", cause: 8, endReason: 1 } });
    stream.event("c-1", 1, { $case: "answered", value: {} });
    await new Promise<void>((resolve) => call.on("event", () => resolve()));
    expect(errors).toEqual([]);
  });

  it("has a context", async () => {
    const appended: unknown[] = [];
    await gateway.start({
      contexts: {
        appendTurns: (request, callback) => {
          appended.push(request.request);
          callback(null, { turnCount: 4, durability: 1 });
        },
        updateContext: (request, callback) => {
          expect(request.request.updateMask).toEqual(["routing_hint", "summary"]);
          const metadata = { call_id: "c-1", revision: "3", current_revision: "5" };
          callback(serviceError(status.ABORTED, "REVISION_CONFLICT", metadata));
        },
      },
    });
    const { call }: { call: Call } = await start();
    const answer = await call.appendTurns([{ id: "t-1", role: "AI", text: "Hello." }]);
    expect(answer).toEqual({ turnCount: 4, durability: "STORE" });
    expect(appended).toMatchObject([{ callId: "c-1", turns: [{ id: "t-1", role: 2, text: "Hello." }] }]);
    await expect(
      call.updateContext({ routingHint: "billing", summary: undefined }, { revision: 3 }),
    ).rejects.toMatchObject({ reason: "REVISION_CONFLICT", metadata: { current_revision: "5" } });
  });
});
