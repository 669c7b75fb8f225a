import { CallEvent, CallState, type ListenCallRequest, type WatchCallsRequest } from "@callweave/proto";
import { type ServerWritableStream, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeGateway, fakeCall, serviceError } from "../testing/fake-gateway.js";
import { type CallweaveClient, connect } from "./index.js";

let gateway: FakeGateway;
let client: CallweaveClient;

beforeEach(() => {
  gateway = new FakeGateway();
});

afterEach(() => {
  client.close();
  gateway.stop();
});

async function start(calls: NonNullable<Parameters<FakeGateway["start"]>[0]>["calls"]): Promise<void> {
  await gateway.start({ calls });
  client = connect({ endpoint: gateway.endpoint, token: "secret" });
}

function event(sequence: number): CallEvent {
  return {
    ...CallEvent.fromPartial({ callId: "c-1", sequence, cursor: `at-${sequence}`, durable: true }),
    event: { $case: "answered", value: {} },
  };
}

describe("calls", () => {
  it("gets and lists calls", async () => {
    await start({
      getCall: (request, callback) => {
        expect(request.metadata.get("authorization")).toEqual(["Bearer secret"]);
        callback(null, { call: fakeCall(request.request.callId) });
      },
      listCalls: (request, callback) => {
        expect(request.request).toMatchObject({
          filter: { pools: ["a"], states: [CallState.PENDING] },
          pageSize: 2,
        });
        callback(null, {
          calls: [fakeCall("c-1")],
          nextPageToken: "next",
          cursor: "here",
          unreachableGateways: [],
        });
      },
    });
    expect(await client.calls.get("c-7")).toMatchObject({ callId: "c-7", state: "ANSWERED" });
    const list = await client.calls.list({ pools: ["a"], states: ["PENDING"], pageSize: 2 });
    expect(list).toMatchObject({ calls: [{ callId: "c-1" }], nextPageToken: "next", cursor: "here" });
  });

  it("gives verbs with a request id and reads their result", async () => {
    const ids: string[] = [];
    await start({
      connectCall: (request, callback) => {
        ids.push(request.request.requestId);
        expect(request.request.wait).toEqual({ seconds: 2, nanos: 0 });
        const pending = { requestId: request.request.requestId, verb: "ConnectCall" };
        callback(null, { call: fakeCall("c-1"), pending });
      },
      escalateCall: (_, callback) =>
        callback(null, {
          call: fakeCall("c-1"),
          pending: undefined,
          result: { outcome: 1, durability: 1 },
        }),
      sendNote: (request, callback) => callback(null, { delivered: request.request.text === "hi" }),
    });
    const result = await client.calls.connect("c-1", { waitMs: 2_000 });
    expect(result).toMatchObject({ pending: true, requestId: ids[0] });
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(await client.calls.escalate("c-1", { reason: "EMERGENCY" })).toMatchObject({
      pending: false,
      escalation: { outcome: "CONNECTED", durability: "STORE" },
    });
    expect(await client.calls.sendNote("c-1", "hi")).toBe(true);
  });

  it("rejects with the typed error, at the deadline and at the signal", async () => {
    await start({
      getCall: (request, callback) => {
        if (request.request.callId === "silent") return;
        callback(serviceError(status.NOT_FOUND, "CALL_NOT_FOUND", { call_id: request.request.callId }));
      },
      answerCall: () => {},
    });
    await expect(client.calls.get("c-1")).rejects.toMatchObject({ reason: "CALL_NOT_FOUND", callId: "c-1" });
    const hasty = connect({ endpoint: gateway.endpoint, requestTimeoutMs: 50 });
    await expect(hasty.calls.get("silent")).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    hasty.close();
    const abort = new AbortController();
    const answering = client.calls.answer("c-1", { signal: abort.signal });
    setImmediate(() => abort.abort());
    await expect(answering).rejects.toMatchObject({ name: "CallweaveError" });
    client.close();
    await expect(client.calls.get("c-1")).rejects.toMatchObject({ reason: "CLOSED" });
  });
});

describe("watch()", () => {
  it("tells history, live once, and resumes from the last cursor after a broken stream", async () => {
    const requests: WatchCallsRequest[] = [];
    await start({
      watchCalls: (call: ServerWritableStream<WatchCallsRequest, unknown>) => {
        requests.push(call.request);
        call.on("error", () => {});
        if (requests.length === 1) {
          call.write({ item: { $case: "event", value: event(1) } });
          call.write({ item: { $case: "live", value: { cursor: "at-1" } } });
          call.write({ item: { $case: "event", value: event(2) } });
          setTimeout(() => call.emit("error", serviceError(status.UNAVAILABLE, "GOING_AWAY")), 20);
        } else {
          call.write({ item: { $case: "live", value: { cursor: "at-2" } } });
          call.write({ item: { $case: "event", value: event(3) } });
        }
      },
    });
    const seen: unknown[] = [];
    for await (const item of client.calls.watch({ cursor: "at-0", filter: { pools: ["a"] } })) {
      seen.push(item.type === "event" ? item.event.sequence : item.type);
      if (seen.length === 4) break;
    }
    expect(seen).toEqual([1, "live", 2, 3]);
    expect(requests.map((r) => r.cursor)).toEqual(["at-0", "at-2"]);
    expect(requests[1]?.filter?.pools).toEqual(["a"]);
  });

  it("throws when the cursor is too old, ends at the signal", async () => {
    await start({
      watchCalls: (call: ServerWritableStream<WatchCallsRequest, unknown>) => {
        call.on("error", () => {});
        if (call.request.cursor === "old") {
          call.emit("error", serviceError(status.OUT_OF_RANGE, "CURSOR_EXPIRED", { oldest: "at-9" }));
        } else call.write({ item: { $case: "live", value: { cursor: "x" } } });
      },
    });
    await expect(client.calls.watch({ cursor: "old" }).next()).rejects.toMatchObject({
      reason: "CURSOR_EXPIRED",
      metadata: { oldest: "at-9" },
    });
    const abort = new AbortController();
    for await (const item of client.calls.watch({ signal: abort.signal })) {
      expect(item).toEqual({ type: "live", cursor: "x" });
      abort.abort();
    }
  });
});

describe("listen()", () => {
  it("hears audio and gaps with positions until the call is over", async () => {
    const requests: ListenCallRequest[] = [];
    await start({
      getCall: (_, callback) => callback(null, { call: fakeCall("c-1", { sampleRateHertz: 24_000 }) }),
      listenCall: (call: ServerWritableStream<ListenCallRequest, unknown>) => {
        requests.push(call.request);
        call.write({ item: { $case: "started", value: { encoding: 2, sampleRateHertz: 8_000 } } });
        const pcm = Buffer.alloc(160, 3);
        call.write({ item: { $case: "audio", value: { handle: 0, sequence: 1, position: 24_000, pcm } } });
        const duration = { seconds: 1, nanos: 0 };
        call.write({ item: { $case: "gap", value: { handle: 0, from: 48_000, duration, reason: 1 } } });
        call.write({ item: { $case: "ended", value: 3 } });
        call.end();
      },
    });
    const listening = client.calls.listen("c-1", { source: "AGENT", format: { encoding: "MULAW" } });
    const chunks = [];
    for await (const chunk of listening) chunks.push(chunk);
    expect(requests).toMatchObject([{ source: 2, format: { encoding: 2, sampleRateHertz: 0 } }]);
    expect(chunks).toMatchObject([
      { positionSamples: 24_000, atMs: 1_000 },
      { gapMs: 1_000, reason: "SLOW_RECEIVER", atMs: 2_000 },
    ]);
    expect(listening.format).toEqual({ encoding: "MULAW", sampleRateHertz: 8_000 });
    expect(listening.endReason).toBe("LEFT_TO_PARTIES");
  });
});
