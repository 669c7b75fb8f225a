import type { CallRegistry } from "../call/call-registry.js";
import type { Dispatcher } from "../dispatch/dispatcher.js";
import type { Pool, Pools } from "../dispatch/pool.js";
import type { Connector } from "../telephony/telephony.js";
import type { AdmissionSource } from "./admission.js";
import type { GatewaySource, PoolView } from "./ops-sources.js";

/** The parts of a gateway that metrics and readiness look at. */
export interface GatewayInsides {
  readonly isDraining: () => boolean;
  readonly maxCalls: number;
  readonly admission: AdmissionSource | undefined;
  /** Calls that were not claimed because so many were up. */
  readonly leftAtMaxCalls: () => number;
  readonly connectors: readonly Connector[];
  readonly registry: CallRegistry;
  readonly pools: Pools;
  readonly dispatcher: Dispatcher;
}

/** Looks into a gateway; everything is read when it is asked for. */
export function gatewaySource(insides: GatewayInsides): GatewaySource {
  const { connectors, registry, pools, dispatcher } = insides;
  return {
    get draining() {
      return insides.isDraining();
    },
    maxCalls: insides.maxCalls,
    get shedding() {
      return insides.admission?.shedding ?? false;
    },
    get callsLeft() {
      return { overloaded: insides.admission?.left ?? 0, maxCalls: insides.leftAtMaxCalls() };
    },
    connectors: () =>
      connectors.map((connector) => ({
        name: connector.name,
        ready: connector.ready,
        ...countersOf(connector),
      })),
    *callStates() {
      for (const call of registry.all()) yield call.lifecycle.state;
    },
    *pools() {
      for (const pool of pools.all()) yield poolView(pool, dispatcher.waiting(pool));
    },
  };
}

function poolView(pool: Pool, waiting: number): PoolView {
  let sessions = 0;
  let places = 0;
  let freePlaces = 0;
  for (const session of pool.sessions) {
    if (session.connected) sessions++;
    if (!session.takesOffers) continue;
    places += session.registration.capacity;
    freePlaces += Math.max(0, session.freePlaces);
  }
  const { tenant, name } = pool.options;
  return { tenant, name, sessions, places, freePlaces, waiting, refused: pool.refusedItems };
}

/** Adapters may count; the port of telephony does not ask for it. */
function countersOf(connector: Connector): { counters?: Readonly<Record<string, number>> } {
  const { counters } = connector as { counters?: unknown };
  if (typeof counters !== "object" || counters === null) return {};
  const numbers = Object.entries(counters).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  return { counters: Object.fromEntries(numbers) };
}
