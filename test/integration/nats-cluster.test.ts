import { describe, expect, it } from "vitest";
import { type Bus, BusError } from "../../gateway/src/bus/bus.js";
import { connectBus } from "../../gateway/src/bus/nats-bus.js";
import { eventWire } from "../../gateway/src/contract/event-wire.js";
import { stored } from "../../gateway/src/contract/testing.js";
import { JetStreamEventLog } from "../../gateway/src/events/jetstream-event-log.js";
import { freePort, type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { until } from "../harness/until.js";

const available = await natsAvailable();
const CALLS = Array.from({ length: 5 }, (_, i) => `call-${i}`);

/** Three servers that replicate each other. */
async function startCluster(): Promise<NatsTestServer[]> {
  const routes = await Promise.all([0, 1, 2].map(() => freePort()));
  const urls = routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(", ");
  return Promise.all(
    routes.map((port, i) =>
      startNats({
        name: `n${i}`,
        config: `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${urls}] }`,
      }),
    ),
  );
}

describe.skipIf(!available)("a cluster of three", () => {
  it("loses the leader of the stream: no event is missing, none is there twice", async () => {
    const servers = await startCluster();
    const open: { close(): Promise<void> }[] = [];
    try {
      const urls = servers.map((server) => server.url);
      const bus: Bus = await connectBus({ urls, name: "test", pingIntervalMs: 500, requestTimeoutMs: 2000 });
      const log = new JetStreamEventLog(bus, { wire: eventWire("json"), replicas: 3, closeTimeoutMs: 500 });
      open.push(log, bus);
      await log.opened;
      const seen: string[] = [];
      const controller = new AbortController();
      void (async () => {
        for await (const item of log.watch("default", "", { callIds: [], pools: [] }, controller.signal))
          if ("event" in item) seen.push(`${item.event.callId}/${item.event.sequence}`);
      })().catch(() => {});

      let appended = 0;
      const talking = Promise.all(
        CALLS.map(async (callId) => {
          for (let sequence = 1; sequence <= 60; sequence++) {
            const { body, pool, time, position, ownerEpoch } = stored({ type: "holdChanged", holding: true });
            await log.append({ tenant: "default", callId, sequence, ownerEpoch, body, pool, time, position });
            appended++;
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }),
      );
      await until(() => appended >= 50, "50 events");
      const info = await bus.request("$JS.API.STREAM.INFO.CALLWEAVE_EVENTS", Buffer.from("{}"), {
        timeoutMs: 5000,
      });
      const leader = JSON.parse(Buffer.from(info.data).toString("utf8")).cluster.leader as string;
      const lost = servers[Number(leader.slice(1))] as NatsTestServer;
      await lost.kill();
      await talking;
      await until(() => log.pending === 0, "everything to be stored", 40_000);
      await lost.restart();
      const all = async () => {
        const found = await Promise.all(CALLS.map((id) => log.ofCall("default", id, 0)));
        return found.map((events) => events.map((e) => e.sequence));
      };
      const complete = CALLS.map(() => Array.from({ length: 60 }, (_, i) => i + 1));
      let found: number[][] = [];
      await until(
        async () => {
          found = await all().catch((error: unknown) => {
            if (error instanceof BusError) return [];
            throw error;
          });
          return found.length > 0;
        },
        "the stream to be readable",
        30_000,
      );
      expect(found).toEqual(complete);
      await until(() => seen.length >= 300, "the watcher to have all", 30_000);
      expect(
        CALLS.map((id) => seen.filter((s) => s.startsWith(`${id}/`)).map((s) => Number(s.split("/")[1]))),
      ).toEqual(complete);
      expect(log.stats()).toMatchObject({ lost: 0, fenced: 0 });
      controller.abort();
    } finally {
      for (const one of open) await one.close();
      await Promise.all(servers.map((server) => server.stop()));
    }
  }, 150_000);
});
