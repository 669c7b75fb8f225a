import { CallEvent, CallState, ErrorReason } from "@callweave/proto";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assigned, FakeGateway, fakeCall, until } from "../testing/fake-gateway.js";
import {
  type AgentOptions,
  agent,
  type Call,
  type CallHandler,
  type Worker,
  type WorkerStatus,
} from "./index.js";

let gateway: FakeGateway;
let workers: Worker[];
let errors: unknown[];

beforeEach(async () => {
  gateway = new FakeGateway();
  await gateway.start();
  workers = [];
  errors = [];
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  gateway.stop();
});

function makeAgent(handler: CallHandler, options: Partial<AgentOptions> = {}): Worker {
  const worker = agent(
    {
      endpoint: gateway.endpoint,
      agentId: "test",
      capacity: 10,
      heartbeat: false,
      onError: (error) => errors.push(error),
      onStatus: () => {},
      ...options,
    },
    handler,
  );
  workers.push(worker);
  return worker;
}

/** An agent with one call that it keeps. */
async function oneCall(options: Partial<AgentOptions> = {}, call: Parameters<typeof fakeCall>[1] = {}) {
  let resolve!: (call: Call) => void;
  const taken = new Promise<Call>((r) => {
    resolve = r;
  });
  const worker = makeAgent(async (taken) => {
    resolve(taken);
    await taken.ended;
  }, options);
  await worker.start();
  const stream = await gateway.stream(0);
  await stream.assign("c-1", 1, call);
  return { worker, stream, call: await taken };
}

describe("agent", () => {
  it("registers with its options and the bearer token", async () => {
    const worker = makeAgent(() => {}, {
      token: async () => "secret",
      pool: "sales",
      capacity: 3,
      labels: { language: "en" },
      audioFormat: { sampleRateHertz: 8_000, encoding: "MULAW" },
    });
    await worker.start();
    const register = await (await gateway.stream(0)).next("register");
    expect(register).toMatchObject({
      agentId: "test",
      pool: "sales",
      capacity: 3,
      labels: { language: "en" },
      audioFormat: { encoding: 2, sampleRateHertz: 8_000 },
      answerOnAccept: true,
      heartbeat: false,
      instanceId: worker.instanceId,
    });
    expect(gateway.metadata?.get("authorization")).toEqual(["Bearer secret"]);
  });

  it("gives the handler the call of the offer", async () => {
    const { call } = await oneCall();
    expect(call).toMatchObject({
      id: "c-1",
      caller: "+15550100",
      callee: "+15550199",
      locale: "en",
      pool: "default",
      attempt: 1,
      epoch: 1,
      state: "ANSWERED",
      sampleRateHertz: 16_000,
    });
  });

  it("runs the handler when the call is answered, with the event, or when answering failed", async () => {
    const seen: string[] = [];
    const worker = makeAgent(async (call) => {
      seen.push(`${call.id} ${call.state}`);
      call.on("event", (event) => seen.push(event.type));
      await call.ended;
    });
    await worker.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1, { state: CallState.PENDING });
    await stream.assign("c-2", 2, { state: CallState.PENDING });
    await until(() => worker.calls.length === 2);
    expect(seen).toEqual([]);
    stream.event("c-1", 1, { $case: "answered", value: {} });
    await until(() => seen.length === 2);
    expect(seen.splice(0)).toEqual(["c-1 ANSWERED", "answered"]);
    const value = { verb: "AnswerCall", requestId: "", error: undefined, escalation: undefined };
    stream.event("c-2", 1, { $case: "commandDone", value });
    await until(() => seen.length > 0);
    expect(seen).toEqual(["c-2 PENDING"]);
  });

  it("sends heartbeats with its load", async () => {
    await oneCall({ heartbeat: true, capacity: 4 });
    const stream = await gateway.stream(0);
    await stream.until(() => stream.all("heartbeat").some((h) => h.load === 0.25));
  });

  it("declines offers beyond its capacity and those that accept refuses", async () => {
    const { stream, worker } = await oneCall({ capacity: 1 });
    stream.assign("c-2", 2).catch(() => {});
    expect((await stream.next("decline")).reason).toBe("at capacity");
    expect(worker.calls.map((call) => call.id)).toEqual(["c-1"]);

    const picky = makeAgent(() => {}, { accept: async (offer) => (offer.attempt === 1 ? "not me" : true) });
    await picky.start();
    const second = await gateway.stream(1);
    second.assign("c-3", 1).catch(() => {});
    expect((await second.next("decline")).reason).toBe("not me");
  });

  it("ends the call behind its audio when the handler returns", async () => {
    makeAgent((call) => void call.play(Buffer.alloc(6_400, 1)));
    await workers[0]!.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1);
    const command = await stream.next("command");
    expect(command.verb?.$case).toBe("disconnect");
    expect(stream.audio(1).length).toBe(6_400);
    stream.result(command.requestId, 1);
  });

  it("leaves a connected call to the parties when the handler returns", async () => {
    makeAgent(() => {});
    await workers[0]!.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1, { state: CallState.CONNECTED });
    expect((await stream.next("command")).verb?.$case).toBe("close");
  });

  it("gives the seat back and tells the error when the handler throws", async () => {
    makeAgent(() => {
      throw new Error("bug");
    });
    await workers[0]!.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1);
    expect((await stream.next("command")).verb?.$case).toBe("release");
    expect(errors).toEqual([new Error("bug")]);
  });

  it("does not count what the handler throws after the end of the call", async () => {
    const worker = makeAgent(async (call) => {
      for await (const _ of call.audio());
      await call.play(Buffer.alloc(320));
    });
    await worker.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1);
    await until(() => worker.calls.length === 1);
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } });
    await until(() => worker.calls.length === 0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toEqual([]);
  });

  it("rejects run() when the gateway refuses it for good", async () => {
    gateway.onFirst = (stream) => stream.fail(status.NOT_FOUND, "POOL_NOT_FOUND", { pool: "sales" });
    const worker = makeAgent(() => {}, { pool: "sales" });
    await expect(worker.run()).rejects.toMatchObject({
      reason: "POOL_NOT_FOUND",
      code: "NOT_FOUND",
      metadata: { pool: "sales" },
    });
  });

  it("waits for a gateway that is not there yet", async () => {
    gateway.stop();
    const seen: WorkerStatus[] = [];
    const worker = makeAgent(() => {}, { onStatus: (s) => seen.push(s) });
    const started = worker.start();
    await until(() => seen.some((s) => s.type === "disconnected"));
    await gateway.start();
    await started;
    expect(seen.at(-1)).toEqual({ type: "connected", gatewayId: "gw-1" });
  });

  it("goes on to the next endpoint when one cannot be reached", async () => {
    const dead = new FakeGateway();
    await dead.start();
    const { endpoint } = dead;
    dead.stop();
    const worker = makeAgent(() => {}, { endpoints: [endpoint, gateway.endpoint] });
    await worker.start();
    await (await gateway.stream(0)).next("register");
  });

  it("ends for good when another process has taken its instance", async () => {
    const { worker, stream, call } = await oneCall();
    const running = worker.run();
    stream.fail(status.ABORTED, "SUPERSEDED", { instance_id: worker.instanceId });
    await expect(running).rejects.toMatchObject({ reason: "SUPERSEDED" });
    expect(await call.ended).toEqual({ cause: "LOST" });
    await expect(worker.start()).rejects.toMatchObject({ reason: "CLOSED" });
  });

  it("gives up on a stream that a gateway does not answer and tries again", async () => {
    gateway.onFirst = () => {
      gateway.onFirst = undefined;
    };
    const worker = makeAgent(() => {}, { connectTimeoutMs: 100 });
    await worker.start();
    expect(gateway.streams.length).toBe(2);
  });

  it("drains: no more offers, waits for the call, says Bye", async () => {
    const { worker, stream } = await oneCall();
    const abort = new AbortController();
    const running = worker.run(abort.signal);
    abort.abort();
    await stream.next("drain");
    expect(stream.all("bye")).toEqual([]);
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } });
    await stream.next("bye");
    await running;
    await stream.until(() => stream.closed);
  });

  it("gives calls back when draining takes too long", async () => {
    const { worker, stream, call } = await oneCall();
    await worker.drain(50);
    await stream.next("bye");
    expect(await call.ended).toEqual({ cause: "CLOSED" });
  });

  it("registers anew when the gateway goes away and keeps its calls on the old stream", async () => {
    const { worker, stream, call } = await oneCall();
    stream.send({ $case: "goAway", value: { deadline: { seconds: 60, nanos: 0 } } });
    const second = await gateway.stream(1);
    const [before, after] = [await stream.next("register"), await second.next("register")];
    expect(after.instanceId).not.toBe(before.instanceId);
    await call.play(Buffer.alloc(320, 7));
    await stream.until(() => stream.audio(1).length === 320);
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } });
    await stream.next("bye");
    await second.assign("c-2", 1);
    await until(() => worker.calls.some((c) => c.id === "c-2"));
  });
});

describe("reattach", () => {
  it("comes back with epoch and last event, on a new handle", async () => {
    const { stream, call } = await oneCall();
    stream.event("c-1", 1, { $case: "answered", value: {} });
    await until(() => call.info !== undefined && stream.items.length > 0);
    const attached: boolean[] = [];
    call.on("attached", (value) => attached.push(value));
    const seen = new Promise<void>((resolve) => call.on("event", (e) => e.sequence === 2 && resolve()));
    stream.event("c-1", 2, { $case: "ringing", value: { ringTimeSeconds: 60 } });
    await seen;
    gateway.onFirst = (s) => s.send(assigned(fakeCall("c-1"), 5, 1, "", 2));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    const second = await gateway.stream(1);
    expect(await second.next("reattach")).toEqual({
      sessionToken: "token-1",
      calls: [{ callId: "c-1", epoch: 1, lastEventSequence: 2 }],
    });
    await until(() => attached.length === 2);
    expect(attached).toEqual([false, true]);
    // An event that came before is not told again.
    const sequences: number[] = [];
    call.on("event", (e) => sequences.push(e.sequence));
    second.event("c-1", 2, { $case: "answered", value: {} });
    second.event("c-1", 3, { $case: "answered", value: {} });
    await until(() => sequences.length > 0);
    expect(sequences).toEqual([3]);
    await call.play(Buffer.alloc(320, 3));
    await second.until(() => second.audio(5).equals(Buffer.alloc(320, 3)));
  });

  it("sends commands without an answer again, with the same request id", async () => {
    const { stream, call } = await oneCall();
    const connected = call.connect({ ringTimeSeconds: 20 });
    const first = await stream.next("command");
    gateway.onFirst = (s) => s.send(assigned(fakeCall("c-1"), 2, 1, "", 2));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    const second = await gateway.stream(1);
    const again = await second.next("command");
    expect(again).toEqual({ ...first, handle: 2 });
    second.result(again.requestId, 2, { pending: true });
    second.event("c-1", 1, {
      $case: "commandDone",
      value: { verb: "ConnectCall", requestId: again.requestId, error: undefined, escalation: undefined },
    });
    await connected;
  });

  it("sends audio again that the gateway no longer has", async () => {
    const { stream, call } = await oneCall();
    const pcm = Buffer.from(Array.from({ length: 16_000 }, (_, i) => i & 0xff));
    await call.play(pcm); // 500 ms
    const mark = call.mark("end");
    await stream.next("mark");
    // Heard: nothing; the gateway cut what it had.
    gateway.onFirst = (s) => s.send(assigned(fakeCall("c-1"), 2, 1, "", 2));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    const second = await gateway.stream(1);
    await second.next("mark");
    expect(second.audio(2).equals(pcm)).toBe(true);
    second.send({ $case: "markReached", value: { handle: 2, name: "end", end: 1 } });
    expect(await mark).toBe("PLAYED");
  });

  it("ends marks that were cleared just before the stream was lost", async () => {
    const { stream, call } = await oneCall();
    await call.play(Buffer.alloc(16_000, 1));
    const mark = call.mark("cut");
    await stream.next("mark");
    void call.clear().catch(() => {});
    await stream.next("clearPlayback");
    gateway.onFirst = (s) => s.send(assigned(fakeCall("c-1"), 2, 1, "", 2));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    expect(await mark).toBe("CLEARED");
    const second = await gateway.stream(1);
    const next = call.mark("next");
    await second.next("mark");
    second.send({ $case: "markReached", value: { handle: 2, name: "next", end: 1 } });
    expect(await next).toBe("PLAYED");
  });

  it("ends a call whose seat somebody else has", async () => {
    const { stream, call } = await oneCall();
    gateway.onFirst = (s) =>
      s.send({
        $case: "itemRefused",
        value: {
          handle: 0,
          item: "reattach",
          error: {
            code: status.ABORTED,
            reason: ErrorReason.SEAT_TAKEN,
            message: "taken",
            metadata: { call_id: "c-1", epoch: "1" },
          },
        },
      });
    const playing = call.play(Buffer.alloc(64_000));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    expect(await call.ended).toEqual({ cause: "LOST" });
    expect(call.signal.aborted).toBe(true);
    await expect(playing).rejects.toMatchObject({ reason: "CALL_OVER", callId: "c-1" });
    await expect(call.answer()).rejects.toMatchObject({ reason: "CALL_OVER" });
  });

  it("registers again with the same instance when the session is gone, and gives up calls that nobody took over", async () => {
    const { worker, stream, call } = await oneCall({ reattachTimeoutMs: 300, capacity: 2 });
    gateway.onFirst = (s, first) =>
      first.$case === "reattach" ? s.fail(status.NOT_FOUND, "SESSION_NOT_FOUND") : "as usual";
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    await gateway.stream(1);
    const third = await gateway.stream(2);
    expect((await third.next("register")).instanceId).toBe(worker.instanceId);
    expect(await call.ended).toEqual({ cause: "LOST" });
    await third.assign("c-9", 1);
    await until(() => worker.calls.some((c) => c.id === "c-9"));
  });

  it("goes on with a call that another gateway took over: same call, new epoch, nothing said twice or left out", async () => {
    const { worker, stream, call } = await oneCall();
    stream.event("c-1", 1, { $case: "answered", value: {} });
    const pcm = Buffer.from(Array.from({ length: 16_000 }, (_, i) => i & 0xff));
    await call.play(pcm); // 500 ms, of which nobody heard anything
    await stream.until(() => stream.audio(1).length === pcm.length);
    const mark = call.mark("end");
    const connecting = call.connect({ ringTimeSeconds: 20 });
    const { requestId } = await stream.next("command");
    stream.result(requestId, 1, { pending: true });
    gateway.onFirst = (s, first) =>
      first.$case === "reattach" ? s.fail(status.NOT_FOUND, "SESSION_NOT_FOUND") : "as usual";
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    await gateway.stream(1);
    const third = await gateway.stream(2);
    await third.next("register");
    third.send(assigned(fakeCall("c-1"), 7, 2, "", 4));
    await until(() => call.epoch === 2);
    expect(worker.calls).toEqual([call]);
    await third.next("mark");
    // What the own clock says was heard of the 500 ms before the stream was lost is not said again.
    const again = third.audio(7);
    expect(again.length).toBeGreaterThan(0);
    expect(pcm.subarray(pcm.length - again.length).equals(again)).toBe(true);
    third.send({ $case: "markReached", value: { handle: 7, name: "end", end: 1 } });
    expect(await mark).toBe("PLAYED");
    // The new gateway goes on counting from what was stored; the command's end is unknown there.
    const seen: number[] = [];
    call.on("event", (event) => seen.push(event.sequence));
    third.send({
      $case: "callEvent",
      value: {
        ...CallEvent.fromPartial({ callId: "c-1", sequence: 1, ownerEpoch: 2 }),
        event: {
          $case: "commandDone",
          value: {
            verb: "ConnectCall",
            requestId,
            error: { code: status.UNKNOWN, reason: ErrorReason.OUTCOME_UNKNOWN, message: "?", metadata: {} },
            escalation: undefined,
          },
        },
      },
    });
    await expect(connecting).rejects.toMatchObject({ reason: "OUTCOME_UNKNOWN" });
    expect(seen).toEqual([1]);
  });

  it("ends its calls when the gateway stays away", async () => {
    const { call } = await oneCall({ reattachTimeoutMs: 200 });
    gateway.stop();
    expect(await call.ended).toEqual({ cause: "LOST" });
  });
});
