import type { OpsSources } from "./ops-sources.js";

/** Where the process stands. */
export type Phase = "starting" | "serving" | "stopped";

/** One thing that was looked at. */
export interface ReadinessCheck {
  readonly name: string;
  /** degraded: calls go on, something is missing. failed: no new calls should come. */
  readonly status: "ok" | "degraded" | "failed";
  readonly detail: string;
}

/** What /readyz answers. */
export interface Readiness {
  /** ready and degraded answer 200, not_ready 503. */
  readonly status: "ready" | "degraded" | "not_ready";
  readonly checks: readonly ReadinessCheck[];
}

/** p99 of the event loop's delay, ms, from which on the gateway calls itself degraded. */
const LATE_MS = 100;

/**
 * Looks at everything. Only what keeps calls from being served makes it not ready: starting, draining, no connector
 * signed in. A bus or a store that is away only degrades, since calls go on without them.
 */
export function readiness(phase: Phase, sources: OpsSources, loopP99Ms: number): Readiness {
  const checks = [
    servingCheck(phase, sources),
    ...connectorChecks(sources),
    ...(sources.bus
      ? [check("bus", sources.bus.connected, "connected", "away: calls go on, events wait")]
      : []),
    ...contextStoreCheck(sources),
    ...(sources.eventStore
      ? [check("event_store", sources.eventStore.connected, "stores events", "away: events are not durable")]
      : []),
    check(
      "event_loop",
      loopP99Ms < LATE_MS,
      `p99 ${Math.round(loopP99Ms)} ms`,
      `p99 ${Math.round(loopP99Ms)} ms: overloaded`,
    ),
  ];
  const worst = checks.some((c) => c.status === "failed")
    ? "not_ready"
    : checks.some((c) => c.status === "degraded")
      ? "degraded"
      : "ready";
  return { status: worst, checks };
}

function check(name: string, good: boolean, ok: string, bad: string): ReadinessCheck {
  return { name, status: good ? "ok" : "degraded", detail: good ? ok : bad };
}

function servingCheck(phase: Phase, { gateway }: OpsSources): ReadinessCheck {
  const name = "serving";
  if (phase !== "serving") return { name, status: "failed", detail: phase };
  if (gateway?.draining) return { name, status: "failed", detail: "draining" };
  return { name, status: "ok", detail: "serving" };
}

function connectorChecks({ gateway }: OpsSources): ReadinessCheck[] {
  const connectors = gateway?.connectors() ?? [];
  if (connectors.length === 0) {
    return [{ name: "connectors", status: "ok", detail: "none configured" }];
  }
  const ready = connectors.filter((connector) => connector.ready).length;
  const away = connectors.filter((connector) => !connector.ready).map((connector) => connector.name);
  const detail = `${ready} of ${connectors.length} signed in${away.length > 0 ? `; away: ${away.join(", ")}` : ""}`;
  const status = ready === 0 ? "failed" : away.length > 0 ? "degraded" : "ok";
  return [{ name: "connectors", status, detail }];
}

function contextStoreCheck({ contextStore }: OpsSources): ReadinessCheck[] {
  if (!contextStore) return [];
  const spools = contextStore.spools?.() ?? [];
  const entries = spools.reduce((sum, spool) => sum + spool.entries, 0);
  const waiting = entries > 0 ? `; ${entries} writes wait` : "";
  // The last of them has nowhere to pass its writes on to.
  if (spools.at(-1)?.full) {
    return [
      { name: "context_store", status: "degraded", detail: `spool full: writes are refused${waiting}` },
    ];
  }
  return [
    check(
      "context_store",
      contextStore.connected,
      `stores contexts${waiting}`,
      `away: contexts are kept elsewhere${waiting}`,
    ),
  ];
}
