import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assigned, FakeGateway, fakeCall, until } from "../testing/fake-gateway.js";
import { oneCall } from "../testing/one-call.js";
import type { AgentOptions, Worker } from "./index.js";

let gateway: FakeGateway;
let worker: Worker | undefined;

beforeEach(async () => {
  gateway = new FakeGateway();
  await gateway.start();
});

afterEach(async () => {
  await worker?.close();
  worker = undefined;
  gateway.stop();
});

async function start(options: Partial<AgentOptions>) {
  const setup = await oneCall(gateway, options);
  worker = setup.worker;
  return setup;
}

describe("maxMarks", () => {
  it("is how many marks may wait; one more is refused, and there is room again when one was reached", async () => {
    const { stream, call } = await start({ maxMarks: 2 });
    const first = call.mark("one");
    call.mark("two");
    await expect(call.mark("three")).rejects.toMatchObject({
      reason: "QUEUE_FULL",
      callId: "c-1",
      metadata: { max: "2 marks" },
    });
    await stream.until(() => stream.all("mark").length === 2);
    stream.send({ $case: "markReached", value: { handle: 1, name: "one", end: 1 } });
    expect(await first).toBe("PLAYED");
    call.mark("three");
    await stream.until(() => stream.all("mark").at(-1)?.name === "three");
  });
});

describe("maxEventsQueued", () => {
  async function read(maxEventsQueued: number, count: number) {
    const { stream, call } = await start({ maxEventsQueued });
    const reader = call.events();
    const seen = new Promise<void>((resolve) =>
      call.on("event", (event) => event.sequence === count && resolve()),
    );
    for (let i = 1; i <= count; i++) stream.event("c-1", i, { $case: "answered", value: {} });
    await seen;
    stream.send({ $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } });
    await call.ended;
    const sequences: number[] = [];
    const error = await (async () => {
      for await (const event of reader) sequences.push(event.sequence);
      return undefined;
    })().catch((thrown: unknown) => thrown);
    return { sequences, error };
  }

  it("is how many events may wait for a reader", async () => {
    expect(await read(3, 3)).toEqual({ sequences: [1, 2, 3], error: undefined });
  });

  it("exceeded: the reader gets what waits and then the error", async () => {
    const { sequences, error } = await read(3, 4);
    expect(sequences).toEqual([1, 2, 3]);
    expect(error).toMatchObject({ reason: "QUEUE_FULL", callId: "c-1", metadata: { max: "3 events" } });
  });
});

describe("a Reattach", () => {
  it("leaves out a call that does not fit the message of the gateway, and tells it", async () => {
    gateway.registered.limits = { maxItems: 256, maxMessageBytes: 200, maxPlayback: undefined };
    const { stream, call, errors, worker } = await start({});
    const long = "x".repeat(150);
    await stream.assign(long, 2);
    await until(() => worker.calls.length === 2);
    const lost = worker.calls.find((other) => other.id === long)!;
    gateway.onFirst = (s) => s.send(assigned(fakeCall("c-1"), 5, 1, "", 2));
    stream.fail(status.UNAVAILABLE, "GOING_AWAY");
    const { calls } = await (await gateway.stream(1)).next("reattach");
    expect(calls.map(({ callId }) => callId)).toEqual(["c-1"]);
    expect(await lost.ended).toEqual({ cause: "LOST" });
    expect(errors).toEqual([expect.objectContaining({ code: "RESOURCE_EXHAUSTED", callId: long })]);
    expect(call.signal.aborted).toBe(false);
  });
});
