import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeGateway, until } from "../testing/fake-gateway.js";
import { type AgentOptions, agent, type Worker, type WorkerStatus } from "./index.js";

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
