import { type AgentOptions, agent, type Call, type Worker } from "../src/index.js";
import type { FakeGateway, FakeStream, fakeCall } from "./fake-gateway.js";

/** An agent with one call, handle 1, that it keeps until the call ends. Close the worker in the end. */
export async function oneCall(
  gateway: FakeGateway,
  options: Partial<AgentOptions> = {},
  call: Parameters<typeof fakeCall>[1] = {},
): Promise<{ worker: Worker; stream: FakeStream; call: Call; errors: unknown[] }> {
  const errors: unknown[] = [];
  let resolve!: (call: Call) => void;
  const taken = new Promise<Call>((r) => {
    resolve = r;
  });
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
    async (taken) => {
      resolve(taken);
      await taken.ended;
    },
  );
  await worker.start();
  const stream = await gateway.stream(gateway.streams.length - 1);
  await stream.assign("c-1", 1, call);
  return { worker, stream, call: await taken, errors };
}
