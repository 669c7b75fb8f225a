import { type Bus, type BusBucket, BusError, type BusSubscription, encodeToken } from "../bus/bus.js";
import type { Clock } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import { isObject } from "../util/tagged-json.js";
import type { Roster } from "./roster.js";

/** Which gateway has a call. */
export interface OwnedCall {
  readonly tenant: string;
  readonly callId: string;
  readonly connector: string;
  readonly sessionId: string;
  readonly gatewayId: string;
  readonly incarnation: string;
  /** Counts the owners of the call, from 1. */
  readonly ownerEpoch: number;
}

interface Known {
  readonly call: OwnedCall;
  readonly revision: number;
}

/** What ownership needs and tells. */
export interface OwnershipDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly roster: Pick<Roster, "peer" | "isTwinAlive">;
  readonly self: { readonly gatewayId: string; readonly incarnation: string };
  readonly replicas: number;
  /** A newer owner has one of our calls: its sockets are to be closed without a command. */
  readonly onFenced: (call: OwnedCall) => void;
}

const DAY_MS = 86_400_000;

/**
 * The registry of calls: who has which, as every gateway sees it. The provider's claim decides who has a call; this tells
 * the others, and tells a gateway that was cut off that a newer owner has its call.
 */
export class Ownership {
  private readonly known = new Map<string, Known>();
  private readonly bySession = new Map<string, string>();
  private readonly own = new Map<string, OwnedCall>();
  private readonly busy = new Set<string>();
  private bucket: BusBucket | undefined;
  private watching: BusSubscription | undefined;
  private readyListeners: (() => void)[] = [];
  private allRead = false;
  private stopped = false;

  constructor(private readonly deps: OwnershipDeps) {}

  start(): void {
    void this.open();
  }

  stop(): void {
    this.stopped = true;
    this.watching?.stop();
  }

  /** True once all records were read. */
  get isReady(): boolean {
    return this.allRead;
  }

  /** Resolves when all records were read for the first time, at most after `ms`. */
  ready(ms: number): Promise<boolean> {
    if (this.isReady) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.readyListeners.push(() => resolve(true));
      this.deps.clock.after(ms, () => resolve(this.isReady));
    });
  }

  /** Who has it; undefined when nobody is known to. */
  ownerOf(tenant: string, callId: string): OwnedCall | undefined {
    const key = keyOf(tenant, callId);
    return this.own.get(key) ?? this.known.get(key)?.call;
  }

  /** Who has the call of a provider's session. */
  ownerOfSession(connector: string, sessionId: string): OwnedCall | undefined {
    const key = this.bySession.get(`${connector}\n${sessionId}`);
    return key === undefined ? undefined : (this.own.get(key) ?? this.known.get(key)?.call);
  }

  /** True when its gateway lives. */
  isLive(call: OwnedCall): boolean {
    const { self, roster } = this.deps;
    if (call.gatewayId === self.gatewayId)
      return call.incarnation === self.incarnation || roster.isTwinAlive(call.incarnation);
    return roster.peer(call.gatewayId)?.incarnation === call.incarnation;
  }

  /** True when the record says that the call is this gateway's. */
  isConfirmed(tenant: string, callId: string): boolean {
    const key = keyOf(tenant, callId);
    const own = this.own.get(key);
    const known = this.known.get(key);
    return own !== undefined && known !== undefined && same(own, known.call);
  }

  /** Calls whose gateway is dead. */
  orphans(): OwnedCall[] {
    const found: OwnedCall[] = [];
    for (const [key, { call }] of this.known) if (!this.own.has(key) && !this.isLive(call)) found.push(call);
    return found;
  }

  /** This gateway has the call now. */
  taken(call: Omit<OwnedCall, "gatewayId" | "incarnation">): void {
    const owned: OwnedCall = { ...call, ...this.deps.self };
    const key = keyOf(call.tenant, call.callId);
    this.own.set(key, owned);
    this.bySession.set(`${call.connector}\n${call.sessionId}`, key);
    void this.write(key);
  }

  /** The call is over, or not this gateway's any more. */
  released(tenant: string, callId: string): void {
    const key = keyOf(tenant, callId);
    if (!this.own.delete(key)) return;
    void this.write(key);
  }

  /** Forgets a call whose gateway is dead and which nobody could take over; answers whether this gateway was the one to. */
  async writeOff(call: OwnedCall): Promise<boolean> {
    const key = keyOf(call.tenant, call.callId);
    const known = this.known.get(key);
    if (!this.bucket || !known || known.call.incarnation !== call.incarnation) return false;
    try {
      await this.bucket.delete(key, known.revision);
      this.forget(key);
      return true;
    } catch {
      return false;
    }
  }

  private async open(): Promise<void> {
    const { bus, clock, logger, replicas } = this.deps;
    try {
      const bucket = await bus.bucket({
        name: "callweave_calls",
        ttlMs: 7 * DAY_MS,
        maxBytes: 0,
        replicas,
        storage: "file",
      });
      if (this.stopped) return;
      this.bucket = bucket;
      this.watching = bucket.watch(
        (entry) => this.heard(entry.key, entry.value, entry.revision),
        () => {
          this.allRead = true;
          for (const listener of this.readyListeners.splice(0)) listener();
          for (const key of this.own.keys()) void this.write(key);
        },
      );
    } catch (error) {
      if (this.stopped) return;
      logger.error({ err: String(error) }, "the registry of calls could not be opened; trying again");
      clock.after(1_000, () => void this.open());
    }
  }

  private heard(key: string, value: Uint8Array | undefined, revision: number): void {
    const known = this.known.get(key);
    if (known && known.revision > revision) return;
    const call = value && parse(value);
    if (!call) {
      this.forget(key);
      if (this.own.has(key)) void this.write(key);
      return;
    }
    this.known.set(key, { call, revision });
    this.bySession.set(`${call.connector}\n${call.sessionId}`, key);
    this.fenceIfNewer(key, call);
  }

  /** A newer owner than us: what we have of the call is over. */
  private fenceIfNewer(key: string, call: OwnedCall): void {
    const ours = this.own.get(key);
    const { self, logger } = this.deps;
    if (!ours || call.incarnation === self.incarnation || call.ownerEpoch < ours.ownerEpoch) return;
    // The same number twice: both took it over while neither saw the other. The provider's claim went to one of them,
    // and the record to whoever wrote first; the other's sockets are closed by the provider.
    if (call.ownerEpoch === ours.ownerEpoch && !this.isLive(call)) return;
    logger.warn({ call_id: call.callId, owner: call.gatewayId }, "another gateway has this call now");
    this.own.delete(key);
    this.deps.onFenced(ours);
  }

  /** Brings the record of a call in line with what this gateway has; one at a time per call, repeated until it worked. */
  private async write(key: string): Promise<void> {
    if (this.busy.has(key) || this.stopped) return;
    this.busy.add(key);
    try {
      while (!this.stopped && !(await this.attempt(key))) {
        const pauseMs = this.deps.bus.connected ? 200 : 1_000;
        await new Promise<void>((resolve) => this.deps.clock.after(pauseMs, resolve));
      }
    } finally {
      this.busy.delete(key);
    }
  }

  /** True when nothing is left to do. */
  private async attempt(key: string): Promise<boolean> {
    const { bucket } = this;
    // Before everything was read nobody knows whether there is a newer owner.
    if (!bucket || !this.isReady) return true;
    const ours = this.own.get(key);
    const known = this.known.get(key);
    try {
      if (!ours) {
        if (known?.call.incarnation === this.deps.self.incarnation) {
          await bucket.delete(key, known.revision);
          this.forget(key);
        }
        return true;
      }
      if (known && same(known.call, ours)) return true;
      const bytes = Buffer.from(JSON.stringify(ours));
      const revision = known
        ? await bucket.update(key, bytes, known.revision)
        : await bucket.create(key, bytes);
      this.known.set(key, { call: ours, revision });
      return this.own.get(key) === ours;
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== "conflict") return false;
      const entry = await bucket.get(key).catch(() => undefined);
      if (entry) this.heard(key, entry.value, entry.revision);
      else this.known.delete(key);
      return false;
    }
  }

  private forget(key: string): void {
    const known = this.known.get(key);
    this.known.delete(key);
    if (known && !this.own.has(key))
      this.bySession.delete(`${known.call.connector}\n${known.call.sessionId}`);
  }
}

function keyOf(tenant: string, callId: string): string {
  return `${encodeToken(tenant)}.${encodeToken(callId)}`;
}

function same(a: OwnedCall, b: OwnedCall): boolean {
  return a.incarnation === b.incarnation && a.ownerEpoch === b.ownerEpoch && a.sessionId === b.sessionId;
}

function parse(value: Uint8Array): OwnedCall | undefined {
  try {
    const call: unknown = JSON.parse(Buffer.from(value).toString());
    if (!isObject(call) || typeof call.callId !== "string" || typeof call.incarnation !== "string")
      return undefined;
    return call as unknown as OwnedCall;
  } catch {
    return undefined;
  }
}
