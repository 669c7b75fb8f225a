import type { FailoverStats } from "../context/failover-options.js";
import type { ContextStoreSource } from "./ops-sources.js";

/** What metrics and readiness see of contexts in MongoDB; `stats` as openContextStore() answers it. */
export function contextStoreSource(stats: () => FailoverStats): ContextStoreSource {
  return {
    get connected() {
      return !stats().away;
    },
    get replayed() {
      return stats().replayed;
    },
    get conflicts() {
      return stats().conflicts;
    },
    get refused() {
      return stats().refused;
    },
    spools: () =>
      stats().spools.map(({ store, depth, bytes, maxBytes, full, oldestMs }) => ({
        name: store,
        entries: depth,
        bytes,
        maxBytes,
        full,
        oldestMs,
      })),
  };
}
