import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assigned, FakeGateway, type FakeStream, fakeCall, until } from "../testing/fake-gateway.js";
import { type AgentOptions, agent, type Call, type Worker } from "./index.js";

const RESUME_REATTACHED = 2;
const RESUME_MOVED = 3;

let gateway: FakeGateway;
let worker: Worker | undefined;
let calls: Call[];
let errors: unknown[];
/** What the first item of each stream was. */
let firsts: string[];

beforeEach(async () => {
  gateway = new FakeGateway();
  calls = [];
  errors = [];
  firsts = [];
  gateway.onFirst = (stream, item) => {
    firsts.push(item.$case);
    if (item.$case !== "join") return "as usual";
    stream.send({ $case: "registered", value: gateway.registered });
    return undefined;
  };
  await gateway.start();
});

afterEach(async () => {
  await worker?.close();
  worker = undefined;
  gateway.stop();
});

async function start(options: Partial<AgentOptions>): Promise<FakeStream> {
  worker = agent(
    {
      endpoint: gateway.endpoint,
      agentId: "test",
      capacity: 10,
      heartbeat: false,
      whenHandlerReturns: "keep",
      onError: (error) => errors.push(error),
      onStatus: () => {},
      ...options,
    },
    (call) => void calls.push(call),
  );
  await worker.start();
  return gateway.stream(0);
}

/** Two calls on the first stream and one on a second. */
async function twoStreams(options: Partial<AgentOptions> = {}): Promise<[FakeStream, FakeStream]> {
  const first = await start({ maxStreams: 2, callsPerStream: 2, ...options });
  await first.assign("call-1", 1);
  await first.assign("call-2", 2);
  const second = await gateway.stream(1);
  await second.assign("call-3", 3);
  await until(() => calls.length === 3);
  return [first, second];
}

describe("several streams", () => {
  it("are opened by need, up to the bound, by Join with the token of the session", async () => {
    const [first, second] = await twoStreams();
    expect(second.all("join")).toEqual([{ sessionToken: "token-1" }]);
    for (const [n, handle] of [
      [4, 4],
      [5, 5],
    ] as const)
      await second.assign(`call-${n}`, handle);
    await until(() => calls.length === 5);
    await calls[4]!.play(Buffer.alloc(640, 5));
    await calls[0]!.play(Buffer.alloc(640, 1));
    await second.until(() => second.audio(5).length === 640);
    await first.until(() => first.audio(1).length === 640);
    expect([first.audio(5).length, second.audio(1).length]).toEqual([0, 0]);
    expect(firsts).toEqual(["register", "join"]);
  });

  it("are not opened when one is enough", async () => {
    const first = await start({ callsPerStream: 3 });
    await first.assign("call-1", 1);
    await first.assign("call-2", 2);
    await until(() => calls.length === 2);
    expect(await worker!.calls[0]!.play(Buffer.alloc(640))).toBe("SENT");
    expect(firsts).toEqual(["register"]);
  });

  it("go on without one that broke: its calls come to another, the others see nothing of it", async () => {
    const [first, second] = await twoStreams();
    const attached: string[] = [];
    for (const call of calls) call.on("attached", (is) => attached.push(`${call.id} ${is}`));
    second.fail(status.UNAVAILABLE, "GOING_AWAY");
    await until(() => attached.length === 1);
    first.send(assigned(fakeCall("call-3"), 7, 1, "", RESUME_MOVED));
    await until(() => attached.length === 2);
    expect(attached).toEqual(["call-3 false", "call-3 true"]);
    await calls[2]!.play(Buffer.alloc(640, 3));
    await first.until(() => first.audio(7).length === 640);
    const answer = calls[2]!.setMode("SPY");
    const command = await first.next("command");
    first.result(command.requestId, 7);
    await answer;
    expect(firsts).toEqual(["register", "join"]);
  });

  it("ask for calls back that the gateway does not move", async () => {
    const [, second] = await twoStreams();
    second.fail(status.UNAVAILABLE, "GOING_AWAY");
    const third = await gateway.stream(2);
    const { calls: wanted } = await third.next("reattach");
    expect(wanted.map(({ callId }) => callId)).toEqual(["call-3"]);
    third.send({ $case: "registered", value: gateway.registered });
    third.send(assigned(fakeCall("call-3"), 9, 1, "", RESUME_REATTACHED));
    await calls[2]!.play(Buffer.alloc(640, 3));
    await third.until(() => third.audio(9).length === 640);
    expect(errors).toEqual([]);
  });

  it("come back with all calls on one when all broke", async () => {
    const [first, second] = await twoStreams();
    first.fail(status.UNAVAILABLE, "GOING_AWAY");
    second.fail(status.UNAVAILABLE, "GOING_AWAY");
    const third = await gateway.stream(2);
    const { calls: wanted } = await third.next("reattach");
    expect(wanted.map(({ callId }) => callId).sort()).toEqual(["call-1", "call-2", "call-3"]);
  });

  it("that are refused cost no call", async () => {
    gateway.onFirst = (stream, item) => {
      firsts.push(item.$case);
      if (item.$case !== "join") return "as usual";
      stream.fail(status.RESOURCE_EXHAUSTED, "LIMIT_REACHED");
      return undefined;
    };
    const first = await start({ callsPerStream: 1 });
    await first.assign("call-1", 1);
    await until(() => firsts.length === 2);
    await first.assign("call-2", 2);
    await until(() => calls.length === 2);
    expect(calls.map(({ signal }) => signal.aborted)).toEqual([false, false]);
    await calls[0]!.play(Buffer.alloc(640));
    await first.until(() => first.audio(1).length === 640);
    // The next attempt waits: a call soon after makes none.
    expect(firsts).toEqual(["register", "join"]);
  });

  it("end with the worker: Bye on the first, all closed", async () => {
    const [first, second] = await twoStreams();
    await worker!.close();
    expect(first.all("bye")).toHaveLength(1);
    await until(() => first.closed && second.closed);
    expect(await calls[2]!.ended).toEqual({ cause: "CLOSED" });
  });

  it.each([
    ["maxStreams", 0],
    ["maxStreams", 17],
    ["callsPerStream", 0],
    ["callsPerStream", 1001],
  ] as const)("%s %i is refused", (field, value) => {
    expect(() => agent({ agentId: "test", [field]: value }, () => {})).toThrow(
      expect.objectContaining({ reason: "INVALID_FIELD", metadata: expect.objectContaining({ field }) }),
    );
  });

  it.each([
    ["maxStreams", 1],
    ["maxStreams", 16],
    ["callsPerStream", 1],
    ["callsPerStream", 1000],
  ] as const)("%s %i is allowed", (field, value) => {
    expect(() => agent({ agentId: "test", [field]: value }, () => {})).not.toThrow();
  });
});
