import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { OpsConfig } from "../config/config-types.js";
import { silentLogger } from "../util/logger.js";
import { contextStoreSource } from "./context-store-source.js";
import { LoopWatch } from "./event-loop.js";
import { METRICS } from "./metric-catalogue.js";
import { Ops } from "./ops.js";
import type { GatewaySource, OpsSources } from "./ops-sources.js";
import { readiness } from "./readiness.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const CONFIG: OpsConfig = {
  enabled: true,
  host: "127.0.0.1",
  port: 0,
  maxConnections: 64,
  tenantLabels: false,
  metrics: true,
};

function gatewayOf(changes: Partial<GatewaySource> = {}): GatewaySource {
  return {
    draining: false,
    maxCalls: 2_000,
    connectors: () => [{ name: "main", ready: true, counters: { signIns: 2 } }],
    callStates: () => ["ANSWERED", "ANSWERED", "CONNECTED"],
    pools: () => [
      {
        tenant: "a",
        name: "default",
        sessions: 1,
        places: 10,
        freePlaces: 7,
        waiting: 1,
        refused: [["PLAYBACK_FULL", 3]],
      },
      { tenant: "b", name: "default", sessions: 2, places: 4, freePlaces: 4, waiting: 0, refused: [] },
    ],
    ...changes,
  };
}

async function ops(config: Partial<OpsConfig> = {}): Promise<Ops> {
  const made = new Ops({
    config: { ...CONFIG, ...config },
    version: "0.0.0",
    gatewayId: "gateway-test",
    logger: silentLogger,
  });
  stops.push(() => made.stop());
  return made.start();
}

const at = (made: Ops, path: string) => `http://127.0.0.1:${made.port}${path}`;

/** The value of a series; undefined when it is not there. */
function figureOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((l) => l.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe("readiness", () => {
  const look = (sources: OpsSources, phase: "starting" | "serving" = "serving", p99Ms = 0) =>
    readiness(phase, sources, p99Ms);
  const gateway = gatewayOf();

  it.each([
    ["serving", { gateway }, "ready"],
    ["no connector configured", { gateway: gatewayOf({ connectors: () => [] }) }, "ready"],
    ["draining", { gateway: gatewayOf({ draining: true }) }, "not_ready"],
    [
      "no connector signed in",
      { gateway: gatewayOf({ connectors: () => [{ name: "main", ready: false }] }) },
      "not_ready",
    ],
    [
      "one of two connectors signed in",
      {
        gateway: gatewayOf({
          connectors: () => [
            { name: "main", ready: true },
            { name: "second", ready: false },
          ],
        }),
      },
      "degraded",
    ],
    ["the bus away", { gateway, bus: { connected: false } }, "degraded"],
    ["the context store away", { gateway, contextStore: { connected: false } }, "degraded"],
    [
      "the spool full",
      {
        gateway,
        contextStore: {
          connected: false,
          spools: () => [
            { name: "replicated", entries: 0, bytes: 0, maxBytes: 10, full: false, oldestMs: 0 },
            { name: "local", entries: 3, bytes: 10, maxBytes: 10, full: true, oldestMs: 1 },
          ],
        },
      },
      "degraded",
    ],
    ["the event store away", { gateway, eventStore: { connected: false } }, "degraded"],
  ] satisfies [string, OpsSources, string][])("%s", (_name, sources, status) => {
    expect(look(sources).status).toBe(status);
  });

  it("is not ready before it serves, and degraded when the event loop is late", () => {
    expect(look({ gateway }, "starting").status).toBe("not_ready");
    expect(look({ gateway }, "serving", 150).status).toBe("degraded");
  });
});

describe("the port of operations", () => {
  it("lives, is not ready, then ready, and says what was looked at", async () => {
    const made = await ops();
    made.sources.gateway = gatewayOf();
    expect((await fetch(at(made, "/healthz"))).status).toBe(200);
    const before = await fetch(at(made, "/readyz"));
    expect(before.status).toBe(503);
    expect(await before.json()).toMatchObject({
      status: "not_ready",
      checks: { serving: { status: "failed", detail: "starting" }, connectors: { status: "ok" } },
    });
    made.serving();
    const after = await fetch(at(made, "/readyz"));
    expect(after.status).toBe(200);
    expect(await after.json()).toMatchObject({ status: "ready", gateway_id: "gateway-test" });
  });

  it("refuses other methods and paths (fault 42)", async () => {
    const made = await ops();
    expect((await fetch(at(made, "/metrics"), { method: "POST", body: "x" })).status).toBe(405);
    expect((await fetch(at(made, "/"))).status).toBe(404);
    expect((await fetch(at(made, "/__proto__"))).status).toBe(404);
    expect((await fetch(at(made, "/healthz?x=1"), { method: "HEAD" })).status).toBe(200);
  });

  it("is not there when it is switched off", async () => {
    const made = await ops({ enabled: false });
    expect(made.port).toBeUndefined();
    expect(await made.metricsText()).toContain("callweave_build_info");
  });

  it("ends the start when its port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    stops.push(() => taken.close());
    const { port } = taken.address() as { port: number };
    await expect(ops({ port })).rejects.toThrow(`ops: cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
  });

  it("takes another when the port that nobody configured is taken", async () => {
    const { port: _, ...unset } = CONFIG;
    const parts = { version: "0", gatewayId: "g", logger: silentLogger };
    const first = new Ops({ config: unset, ...parts });
    const second = new Ops({ config: unset, ...parts });
    stops.push(
      () => first.stop(),
      () => second.stop(),
    );
    await first.start();
    await second.start();
    expect(second.port).toBeGreaterThan(0);
    expect(second.port).not.toBe(first.port);
  });
});

describe("metrics", () => {
  it("are all there, and nothing else, once every source is", async () => {
    const made = await ops();
    Object.assign(made.sources, {
      gateway: gatewayOf(),
      grpc: {
        connections: 3,
        stats: {
          serveStreams: 1,
          messagesIn: 2,
          itemsIn: 3,
          unknownItems: 4,
          refusedItems: 5,
          queueFull: 6,
          droppedAudioMs: 1_500,
          malformed: 7,
        },
      },
      bus: { connected: true, reconnects: 2, dropped: 1 },
      contextStore: contextStoreSource(() => ({
        away: true,
        spools: [
          {
            store: "local",
            depth: 4,
            bytes: 100,
            maxBytes: 1_000,
            full: false,
            oldestMs: 2_000,
            away: true,
            available: true,
          },
        ],
        spooled: 10,
        replayed: 9,
        merged: 2,
        conflicts: 1,
        refused: 0,
        recent: 3,
      })),
      eventStore: { connected: true, pending: 5, lost: 2 },
      cluster: { gateways: 2, takeovers: 1, fenced: 1 },
      webhooks: {
        views: () => [
          {
            tenant: "acme",
            name: "crm",
            delivered: 8,
            failed: 3,
            dead: 2,
            gone: 1,
            delivering: true,
            deadLetters: 2,
            waiting: 4,
            oldestMs: 1_500,
          },
        ],
      },
    } satisfies OpsSources);
    const text = await made.metricsText();
    const named = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => [match[1], match[2]]);
    expect(named.sort()).toEqual(
      Object.entries(METRICS)
        .map(([name, spec]) => [name, spec.type])
        .sort(),
    );
    for (const [series, value] of [
      ['callweave_calls{state="ANSWERED"}', 2],
      ['callweave_calls{state="PENDING"}', 0],
      ['callweave_connector_ready{connector="main"}', 1],
      ['callweave_connector_events_total{connector="main",event="sign_ins"}', 2],
      ['callweave_pool_places_free{pool="default"}', 11],
      ['callweave_items_refused_total{reason="PLAYBACK_FULL"}', 3],
      ["callweave_audio_dropped_seconds_total", 1.5],
      ["callweave_grpc_connections", 3],
      ['callweave_spool_entries{spool="local"}', 4],
      ['callweave_spool_oldest_seconds{spool="local"}', 2],
      ["callweave_spool_replayed_total", 9],
      ["callweave_context_conflicts_total", 1],
      ["callweave_context_store_up", 0],
      ["callweave_events_lost_total", 2],
      ["callweave_bus_connected", 1],
      ["callweave_gateways", 2],
      ['callweave_webhook_deliveries_total{webhook="acme/crm",result="dead"}', 2],
      ['callweave_webhook_delivering{webhook="acme/crm"}', 1],
      ['callweave_webhook_oldest_seconds{webhook="acme/crm"}', 1.5],
    ] as const) {
      expect(figureOf(text, series), series).toBe(value);
    }
    // Read again: totals of others are set, not added.
    expect(figureOf(await made.metricsText(), "callweave_grpc_items_in_total")).toBe(3);
  });

  it("have no figure for what is not there", async () => {
    const made = await ops();
    made.sources.gateway = gatewayOf();
    const text = await made.metricsText();
    for (const name of ["callweave_bus_connected", "callweave_context_store_up", "callweave_spool_refused"]) {
      expect(figureOf(text, name), name).toBeUndefined();
    }
  });

  it("label pools with their tenant when that is asked for", async () => {
    const made = await ops({ tenantLabels: true });
    made.sources.gateway = gatewayOf();
    const text = await made.metricsText();
    expect(figureOf(text, 'callweave_pool_places_free{pool="default",tenant="a"}')).toBe(7);
  });
});

describe("LoopWatch", () => {
  it("sees a loop that was held up (fault 49)", async () => {
    const watch = new LoopWatch({ windowMs: 100 });
    stops.push(() => watch.stop());
    let worstMs = 0;
    const holdUp = () => {
      const endMs = performance.now() + 300;
      while (performance.now() < endMs) Math.sqrt(2);
    };
    await new Promise<void>((resolve) => {
      watch.onWindow((window) => {
        worstMs = Math.max(worstMs, window.maxMs);
        if (worstMs > 100) resolve();
        // Held up before its first look a histogram sees nothing of it.
        else setTimeout(holdUp, 20);
      });
      setTimeout(holdUp, 20);
    });
    expect(worstMs).toBeGreaterThan(100);
    expect(watch.delay.utilization).toBeGreaterThanOrEqual(0);
  });
});
