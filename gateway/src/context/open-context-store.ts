import type { Bus } from "../bus/bus.js";
import { systemClock } from "../util/clock.js";
import type { LmdbRestOptions } from "../util/resting-lmdb.js";
import type { ContextStore } from "./context-store.js";
import { openEmbeddedContextStore } from "./embedded-context-store.js";
import { FailoverContextStore } from "./failover-context-store.js";
import type { FailoverOptions, FailoverStats, SpoolState } from "./failover-options.js";
import { openLocalContextSpool } from "./local-context-spool.js";
import { type MongoContextOptions, MongoContextStore } from "./mongo-context-store.js";
import { ReplicatedContextSpool } from "./replicated-context-spool.js";

/** What waits for the database, and where. */
export interface SpoolOptions {
  /** Bytes of contexts in the gateway's own folder; beyond it writes are refused. Default 256 MiB. */
  readonly maxLocalBytes?: number;
  /** Bytes of contexts on the bus; beyond it they go to the folder. Default 64 MiB. */
  readonly maxReplicatedBytes?: number;
  /** Copies on the bus: 1, 3 or 5. Default 1. */
  readonly replicas?: number;
  /** How long a write to the bus may take, in ms. Default 400. */
  readonly busTimeoutMs?: number;
}

/** How to open the contexts. */
export interface OpenContextStoreOptions {
  /** With: contexts in MongoDB. Without: in the state folder. */
  readonly mongodb?: Omit<MongoContextOptions, "logger" | "clock">;
  /** With: what waits for MongoDB is readable at every gateway. */
  readonly bus?: Bus;
  readonly stateDir: string;
  /** When the file of the embedded store rests. Default: never. */
  readonly rest?: LmdbRestOptions;
  readonly spool?: SpoolOptions & Omit<FailoverOptions, "onSpool" | "logger" | "clock" | "random">;
  readonly onError?: (error: unknown) => void;
  readonly onSpool?: (state: SpoolState) => void;
  readonly logger?: FailoverOptions["logger"];
}

/** Opened contexts. */
export interface OpenedContextStore {
  readonly store: ContextStore;
  /** Figures of MongoDB's outages; undefined for the embedded store. */
  readonly stats?: () => FailoverStats;
}

/** How long the start waits for what waits on the bus. */
const BUS_READY_MS = 2000;

/**
 * Opens the contexts: in MongoDB with spools for the time in which it is away, else in the state folder. Resolves also
 * when MongoDB or the bus are away. Rejects when the folder cannot be written, another process has it, or the address is
 * none (secrets are not quoted).
 */
export async function openContextStore(options: OpenContextStoreOptions): Promise<OpenedContextStore> {
  const { mongodb, bus, stateDir, rest, spool = {}, onError = () => {}, onSpool, logger } = options;
  if (!mongodb) return { store: await openEmbeddedContextStore(stateDir, rest) };
  const log = logger && { logger };
  const database = new MongoContextStore({ ...mongodb, ...log });
  const local = await openLocalContextSpool(stateDir, spool.maxLocalBytes ?? 256 * 2 ** 20, onError).catch(
    async (error: unknown) => {
      await database.close();
      throw error;
    },
  );
  const replicated =
    bus &&
    new ReplicatedContextSpool(bus, {
      maxBytes: spool.maxReplicatedBytes ?? 64 * 2 ** 20,
      replicas: spool.replicas ?? 1,
      timeoutMs: spool.busTimeoutMs ?? 400,
      pauseMs: 1000,
      clock: systemClock,
      onError,
    });
  const store = new FailoverContextStore(database, replicated ? [replicated, local] : [local], {
    ...spool,
    ...log,
    ...(onSpool && { onSpool }),
  });
  database.start();
  if (replicated && bus?.connected) await Promise.race([replicated.ready, after(BUS_READY_MS)]);
  await store.start();
  return { store, stats: () => store.stats() };
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve));
}
