import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Bus, type BusBucket, BusError, encodeToken } from "../bus/bus.js";
import { deliveryId } from "./delivery.js";

/** An event that was read from the log and is not delivered yet. */
export interface Place {
  readonly callId: string;
  /** Of the call. */
  readonly sequence: number;
}

/** How far a webhook is. */
export interface HookState {
  /** Everything up to here was read from the event log. */
  readonly cursor: string;
  /** What of it is still to be delivered, in order. */
  readonly pending: readonly Place[];
}

/** Another gateway delivers this webhook now. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/** Keeps the state of one webhook, and says who may deliver it. */
export interface HookStateStore {
  /** How often an unchanged state has to be saved again, ms, so that the right to deliver stays. */
  readonly renewMs: number;
  /** Waits until this process may deliver. Undefined: it never was. Rejects when the store is away or `signal` aborts. */
  acquire(signal: AbortSignal): Promise<HookState | undefined>;
  /** Durable when it resolves. Rejects with LeaseLost when another one delivers now, and otherwise when the store is away. */
  save(state: HookState): Promise<void>;
  /** Another one may deliver at once. */
  release(): Promise<void>;
}

/** In the state folder, which one process at a time uses. */
export class FileStateStore implements HookStateStore {
  readonly renewMs = Number.POSITIVE_INFINITY;
  private readonly file: string;

  /** `folder` is made when it is not there. */
  constructor(
    private readonly folder: string,
    tenant: string,
    name: string,
  ) {
    this.file = join(folder, `${deliveryId([tenant, name])}.state.json`);
  }

  async acquire(): Promise<HookState | undefined> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    try {
      return JSON.parse(await readFile(this.file, "utf8")) as HookState;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async save(state: HookState): Promise<void> {
    const fresh = `${this.file}.new`;
    const handle = await open(fresh, "w", 0o600);
    try {
      await handle.writeFile(JSON.stringify(state));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, this.file);
  }

  async release(): Promise<void> {}
}

/** Options of a lease. */
export interface LeaseOptions {
  readonly tenant: string;
  readonly name: string;
  /** Of this process, and of no other one. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly replicas: number;
}

interface Entry {
  /** Empty: nobody. */
  readonly holder: string;
  readonly state?: HookState;
}

/**
 * In a bucket of the bus, for several gateways. The entry is state and lease in one: whoever delivers writes it again and
 * again, each time on the revision before, and who finds another revision there has lost it. An entry that nobody wrote
 * for a lease may be taken; no clock is compared.
 */
export class BucketStateStore implements HookStateStore {
  private readonly key: string;
  private bucket: BusBucket | undefined;
  private revision = 0;
  private last: HookState | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly options: LeaseOptions,
  ) {
    this.key = `${encodeToken(options.tenant)}.${encodeToken(options.name)}`;
  }

  get renewMs(): number {
    return this.options.leaseMs / 3;
  }

  async acquire(signal: AbortSignal): Promise<HookState | undefined> {
    const { holder, leaseMs, replicas } = this.options;
    this.bucket ??= await this.bus.bucket({
      name: "callweave_webhooks",
      ttlMs: 0,
      maxBytes: 0,
      replicas,
      storage: "file",
    });
    let seen = { revision: -1, atMs: 0 };
    for (;;) {
      signal.throwIfAborted();
      const entry = await this.bucket.get(this.key);
      const nowMs = performance.now();
      if (entry?.revision !== seen.revision) seen = { revision: entry?.revision ?? -1, atMs: nowMs };
      const held: Entry = entry ? parse(entry.value) : { holder: "" };
      if (held.holder === "" || held.holder === holder || nowMs - seen.atMs >= leaseMs) {
        const value = encode({ ...held, holder });
        try {
          this.revision = entry
            ? await this.bucket.update(this.key, value, entry.revision)
            : await this.bucket.create(this.key, value);
          return held.state;
        } catch (error) {
          if (!(error instanceof BusError) || error.kind !== "conflict") throw error;
          continue;
        }
      }
      await pause(leaseMs / 5, undefined, { signal, ref: false });
    }
  }

  async save(state: HookState): Promise<void> {
    await this.write({ holder: this.options.holder, state });
    this.last = state;
  }

  async release(): Promise<void> {
    const state = this.last;
    this.last = undefined;
    if (state) await this.write({ holder: "", state });
  }

  private async write(entry: Entry): Promise<void> {
    if (!this.bucket) throw new LeaseLost("the lease was never held");
    try {
      this.revision = await this.bucket.update(this.key, encode(entry), this.revision);
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== "conflict") throw error;
      this.last = undefined;
      throw new LeaseLost("another gateway delivers this webhook", { cause: error });
    }
  }
}

function encode(entry: Entry): Buffer {
  return Buffer.from(JSON.stringify(entry));
}

function parse(bytes: Uint8Array): Entry {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as Entry;
}
