import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeGateway, until } from "../testing/fake-gateway.js";
import { type AgentOptions, agent, connect, type Worker, type WorkerStatus } from "./index.js";

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

function makeAgent(options: Partial<AgentOptions>): Worker {
  const worker = agent(
    {
      endpoint: gateway.endpoint,
      agentId: "test",
      heartbeat: false,
      onError: (error) => errors.push(error),
      onStatus: () => {},
      ...options,
    },
    async (call) => {
      await call.ended;
    },
  );
  workers.push(worker);
  return worker;
}

describe("accept()", () => {
  it("declines and tells the error when it throws at once, and keeps no place", async () => {
    let broken = true;
    const worker = makeAgent({
      capacity: 1,
      accept: () => {
        if (broken) throw new Error("accept");
        return true;
      },
    });
    await worker.start();
    const stream = await gateway.stream(0);
    stream.assign("c-1", 1).catch(() => {});
    expect((await stream.next("decline")).reason).toBe("the agent failed to decide");
    expect(errors).toEqual([new Error("accept")]);
    broken = false;
    await stream.assign("c-2", 2);
    await until(() => worker.calls.some((call) => call.id === "c-2"));
  });

  it("declines when it rejects", async () => {
    const worker = makeAgent({ accept: () => Promise.reject(new Error("accept")) });
    await worker.start();
    const stream = await gateway.stream(0);
    stream.assign("c-1", 1).catch(() => {});
    expect((await stream.next("decline")).reason).toBe("the agent failed to decide");
    expect(errors).toEqual([new Error("accept")]);
  });

  it("declines when it answers nothing", async () => {
    const worker = makeAgent({ accept: (() => undefined) as unknown as () => boolean });
    await worker.start();
    const stream = await gateway.stream(0);
    stream.assign("c-1", 1).catch(() => {});
    expect((await stream.next("decline")).reason).toBe("declined");
  });

  it("counts the place before its answer is there", async () => {
    let decide!: (answer: boolean) => void;
    const worker = makeAgent({
      capacity: 1,
      accept: () =>
        new Promise((resolve) => {
          decide = resolve;
        }),
    });
    await worker.start();
    const stream = await gateway.stream(0);
    const first = stream.assign("c-1", 1);
    await until(() => decide !== undefined);
    stream.assign("c-2", 2).catch(() => {});
    expect((await stream.next("decline")).reason).toBe("at capacity");
    decide(true);
    await first;
    await until(() => worker.calls.some((call) => call.id === "c-1"));
  });
});

describe("load()", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("load");
      },
      new Error("load"),
    ],
    ["answers NaN", () => Number.NaN, expect.objectContaining({ reason: "INVALID_FIELD" })],
    [
      "answers Infinity",
      () => Number.POSITIVE_INFINITY,
      expect.objectContaining({ reason: "INVALID_FIELD" }),
    ],
    [
      "answers a text",
      () => "0.5" as unknown as number,
      expect.objectContaining({ reason: "INVALID_FIELD" }),
    ],
  ])("that %s is told once, and calls by capacity are sent", async (_, load: () => number, error) => {
    gateway.registered.heartbeatInterval = { seconds: 0, nanos: 20_000_000 };
    const worker = makeAgent({ heartbeat: true, capacity: 4, load });
    await worker.start();
    const stream = await gateway.stream(0);
    await stream.assign("c-1", 1);
    await stream.until(() => stream.all("heartbeat").some((beat) => beat.load === 0.25));
    const count = stream.all("heartbeat").length;
    await stream.until(() => stream.all("heartbeat").length > count + 2);
    expect(stream.all("heartbeat").every((beat) => beat.load === 0 || beat.load === 0.25)).toBe(true);
    expect(errors).toEqual([error]);
  });

  it.each([
    [-1, 0],
    [2, 1],
    [0.5, 0.5],
  ])("of %d is sent as %d", async (load, sent) => {
    const worker = makeAgent({ heartbeat: true, load: () => load });
    await worker.start();
    expect((await (await gateway.stream(0)).next("heartbeat")).load).toBe(sent);
    expect(errors).toEqual([]);
  });
});

describe("token()", () => {
  const never = () => new Promise<string>(() => {});

  it("that never settles costs an attempt of connectTimeoutMs, not the agent", async () => {
    let asked = 0;
    const seen: WorkerStatus[] = [];
    const worker = makeAgent({
      connectTimeoutMs: 100,
      token: () => (++asked === 1 ? never() : "secret"),
      onStatus: (status) => seen.push(status),
    });
    await worker.start();
    expect(seen[0]).toMatchObject({
      type: "disconnected",
      error: {
        reason: "TRANSPORT",
        code: "DEADLINE_EXCEEDED",
        message: "the token function does not answer",
      },
    });
    expect(gateway.metadata?.get("authorization")).toEqual(["Bearer secret"]);
  });

  it("that never settles fails a request after requestTimeoutMs, or at its signal", async () => {
    const hasty = connect({ endpoint: gateway.endpoint, token: never, requestTimeoutMs: 50 });
    await expect(hasty.calls.get("c-1")).rejects.toMatchObject({
      reason: "TRANSPORT",
      code: "DEADLINE_EXCEEDED",
      message: "the token function did not answer within 50 ms",
    });
    await expect(hasty.calls.watch({ resumeTimeoutMs: 0 }).next()).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    hasty.close();
    const patient = connect({ endpoint: gateway.endpoint, token: never, requestTimeoutMs: 600_000 });
    const abort = new AbortController();
    const asking = patient.calls.answer("c-1", { signal: abort.signal });
    const watching = patient.calls.watch({ signal: abort.signal }).next();
    abort.abort();
    await expect(asking).rejects.toMatchObject({ name: "CallweaveError" });
    expect(await watching).toEqual({ done: true, value: undefined });
    patient.close();
  });

  it("that throws at once fails the request with what it threw", async () => {
    const client = connect({
      endpoint: gateway.endpoint,
      token: () => {
        throw new Error("no token");
      },
    });
    await expect(client.calls.get("c-1")).rejects.toMatchObject({ message: "no token" });
    client.close();
  });
});
