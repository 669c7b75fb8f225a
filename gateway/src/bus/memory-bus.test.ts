import { expect, it } from "vitest";
import { describeBus } from "./bus-conformance.js";
import { MemoryBusServer } from "./memory-bus.js";

describeBus("memory", async () => {
  const server = new MemoryBusServer();
  return { client: async () => server.connect(), stop: async () => {} };
});

it("takes a client off the bus and puts it back", async () => {
  const server = new MemoryBusServer();
  const [a, b] = [server.connect(), server.connect()];
  const options = {
    name: "S",
    subjects: ["s.*"],
    maxAgeMs: 0,
    maxBytes: 0,
    discard: "old",
    replicas: 1,
    storage: "memory",
  } as const;
  const stream = await a.stream(options);
  const seen: number[] = [];
  (await b.stream(options)).follow("s.*", 1, (message) => void seen.push(message.sequence));
  const heard: string[] = [];
  b.subscribe("x", (message) => void heard.push(message.subject));
  b.setConnected(false);
  expect(b.publish("x", new Uint8Array())).toBe(false);
  a.publish("x", new Uint8Array());
  await stream.publish("s.1", new Uint8Array(), {});
  const opening = b.stream(options);
  await a.flush();
  expect([seen, heard]).toEqual([[], []]);
  b.setConnected(true);
  await (await opening).publish("s.1", new Uint8Array(), { expectedLast: 1 });
  a.publish("x", new Uint8Array());
  await expect.poll(() => [seen, heard]).toEqual([[1, 2], ["x"]]);
  server.forget("S");
  await stream.publish("s.2", new Uint8Array(), { expectedLast: 0 });
  await expect.poll(() => seen).toEqual([1, 2, 1]);
  await Promise.all([a.close(), b.close()]);
});
