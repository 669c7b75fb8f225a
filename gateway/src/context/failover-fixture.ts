import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MemoryBus, MemoryBusServer } from "../bus/memory-bus.js";
import { ManualClock } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import { StoredContextService } from "./context-service.js";
import { ContextStoreAway } from "./context-store.js";
import { FailoverContextStore } from "./failover-context-store.js";
import type { SpoolState } from "./failover-options.js";
import { openLocalContextSpool } from "./local-context-spool.js";
import { MemoryContextStore } from "./memory-context-store.js";
import { ReplicatedContextSpool } from "./replicated-context-spool.js";

/** For tests: a gateway's contexts with all that is behind them. */
export interface Gateway {
  readonly contexts: StoredContextService;
  readonly store: FailoverContextStore;
  /** This gateway's way to the database they share. */
  readonly database: Link;
  readonly bus: MemoryBus;
  readonly states: SpoolState[];
  readonly logged: string[];
  readonly folder: string;
}

/** For tests: a way to a shared store that may be cut for one gateway alone. */
export class Link extends MemoryContextStore {
  constructor(private readonly shared: MemoryContextStore) {
    super();
  }
  override async get(...args: Parameters<MemoryContextStore["get"]>) {
    this.check();
    return this.shared.get(...args);
  }
  override async getBySession(...args: Parameters<MemoryContextStore["getBySession"]>) {
    this.check();
    return this.shared.getBySession(...args);
  }
  override async put(...args: Parameters<MemoryContextStore["put"]>) {
    this.check();
    const done = await this.shared.put(...args);
    // The answer may be lost although it was done.
    this.check();
    return done;
  }
  override async remove(...args: Parameters<MemoryContextStore["remove"]>) {
    this.check();
    return this.shared.remove(...args);
  }
  override async query(...args: Parameters<MemoryContextStore["query"]>) {
    this.check();
    return this.shared.query(...args);
  }
  override versionOf(...args: Parameters<MemoryContextStore["versionOf"]>) {
    return this.shared.versionOf(...args);
  }
  /** Told before and after each step; may throw. */
  onStep: () => void = () => {};

  private check(): void {
    this.onStep();
    if (this.failure) throw this.failure;
  }
}

/** For tests: how a gateway is started. */
export interface GatewayOptions {
  readonly withBus?: boolean;
  readonly localBytes?: number;
  readonly busBytes?: number;
  /** The database is away from the start. */
  readonly away?: boolean;
  readonly retentionDays?: number;
}

/** For tests: one database, one bus, any number of gateways, and a clock that stands still. */
export class World {
  readonly clock = new ManualClock();
  readonly shared = new MemoryContextStore();
  private readonly bus = new MemoryBusServer();
  private running: Gateway[] = [];

  private constructor(private readonly root: string) {}

  static async make(): Promise<World> {
    return new World(await mkdtemp(join(tmpdir(), "failover-")));
  }

  /** Starts one; with the name of an earlier one it finds what that had on its disk. */
  async gateway(name: string, options: GatewayOptions = {}): Promise<Gateway> {
    const { withBus = true, localBytes = 2 ** 20, busBytes = 2 ** 20, away = false } = options;
    const { clock } = this;
    const database = new Link(this.shared);
    if (away) database.failure = new ContextStoreAway();
    const folder = join(this.root, name);
    const local = await openLocalContextSpool(folder, localBytes, () => {});
    const bus = this.bus.connect();
    const states: SpoolState[] = [];
    const logged: string[] = [];
    const log = (level: string) => (fields: object, message: string) =>
      logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { debug: () => {}, info: log("info"), warn: log("warn"), error: log("error") };
    const replicated = new ReplicatedContextSpool(bus, {
      maxBytes: busBytes,
      replicas: 1,
      timeoutMs: 400,
      pauseMs: 1000,
      clock,
      onError: (error) => logged.push(String(error)),
    });
    if (withBus) await replicated.ready;
    else await replicated.close();
    const store = new FailoverContextStore(database, withBus ? [replicated, local] : [local], {
      clock,
      logger,
      onSpool: (state) => states.push(state),
    });
    await store.start();
    const { retentionDays = 30 } = options;
    const contexts = new StoredContextService(store, { clock, retentionDays });
    const made: Gateway = { contexts, store, database, bus, states, logged, folder };
    this.running.push(made);
    return made;
  }

  async close(gateway: Gateway): Promise<void> {
    this.running = this.running.filter((one) => one !== gateway);
    await gateway.contexts.close();
  }

  /** Lets time pass until it is true. Fails after 50 s. */
  async until(what: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 500; i++) {
      if (await what()) return;
      await this.pass(100);
    }
    throw new Error("did not come true");
  }

  /** Lets time pass, also for the disk and the bus, which are not on the clock. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async end(): Promise<void> {
    for (const gateway of this.running) await gateway.contexts.close();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** For tests: the database is away for these gateways. */
export function cut(...gateways: readonly Gateway[]): void {
  for (const { database } of gateways) database.failure = new ContextStoreAway();
}

/** For tests: it is back. */
export function mend(...gateways: readonly Gateway[]): void {
  for (const { database } of gateways) database.failure = undefined;
}

/** For tests: nothing waits, as far as the gateway knows. */
export function idle({ store }: Gateway): boolean {
  return store.stats().spools.every((spool) => spool.depth === 0);
}
