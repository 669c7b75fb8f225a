import { type Bus, type BusBucket, type BusSubscription, encodeToken } from "../bus/bus.js";
import type { Clock, Timer } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import { isObject, parseTagged, stringifyTagged } from "../util/tagged-json.js";

/** Free places of agents that are connected to a gateway directly. */
export interface PoolPlaces {
  readonly tenant: string;
  readonly name: string;
  readonly freePlaces: number;
}

/** What a gateway tells the others about itself, several times a second. */
export interface Beat {
  readonly gatewayId: string;
  /** A UUID per process: the same id with another incarnation is a gateway that was restarted. */
  readonly incarnation: string;
  readonly version: string;
  readonly callCount: number;
  readonly maxCalls: number;
  readonly draining: boolean;
  readonly connectors: readonly { readonly name: string; readonly ready: boolean }[];
  readonly pools: readonly PoolPlaces[];
  readonly startTime: Date;
}

/** Another gateway that lives. */
export type Peer = Beat;

/** Which other gateways live. */
export interface Roster {
  peers(): readonly Peer[];
  peer(gatewayId: string): Peer | undefined;
  /**
   * True while a process with this gateway's own id and another incarnation shows itself: the one before a restart, for one
   * lease, or a second one that must not be.
   */
  isTwinAlive(incarnation: string): boolean;
  /** Told of each peer that comes; answers how to stop. */
  onJoin(listener: (peer: Peer) => void): () => void;
  /** Told when a peer's lease ran out, when it said goodbye, or when its id comes with another incarnation. */
  onLeave(listener: (peer: Peer) => void): () => void;
}

/** Options of the roster. */
export interface RosterOptions {
  /** How often a gateway shows that it lives. Default 500. */
  readonly beatIntervalMs: number;
  /** Silent for this long it counts as dead. Default 2,000. */
  readonly leaseMs: number;
  readonly replicas: number;
}

const MAX_TWINS = 100;
/** While the bus is there and takes no beats, the bucket is opened anew this often: a server that lost it gets it again. */
const REOPEN_MS = 5_000;

interface Seen {
  beat: Beat;
  atMs: number;
}

/**
 * The gateways on one bus, by their beats in a bucket. Without the bus nobody is declared dead: what cannot be seen is not
 * judged, and when the bus is back everybody has a whole lease to show up. The same goes for a bus that is there but does
 * not take this gateway's own beats, as a cluster of servers that has lost its leader.
 */
export class BusRoster implements Roster {
  private readonly seen = new Map<string, Seen>();
  /** Processes with our id: when each was seen last. */
  private readonly twins = new Map<string, number>();
  /** The newest beat of each key. */
  private readonly newest = new Map<string, number>();
  private readonly joins = new Set<(peer: Peer) => void>();
  private readonly leaves = new Set<(peer: Peer) => void>();
  private bucket: BusBucket | undefined;
  private watching: BusSubscription | undefined;
  private timer: Timer | undefined;
  private stopStatus: (() => void) | undefined;
  private stopped = false;
  /** When the bus took our beat last. */
  private toldMs: number;
  /** It has not for so long that nobody can be judged. */
  private unheard = false;
  private opening = false;
  private openedMs = 0;

  constructor(
    private readonly bus: Bus,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly options: RosterOptions,
    private readonly beat: () => Beat,
  ) {
    this.toldMs = clock.nowMs();
  }

  /** Opens the bucket (as soon as the bus is there) and begins to beat. */
  start(): void {
    this.stopStatus = this.bus.onStatus((connected) => {
      if (!connected) return;
      this.wholeLease();
      void this.tell();
    });
    void this.open();
    this.plan();
  }

  /** Says goodbye and ends. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    this.stopStatus?.();
    this.watching?.stop();
    const { bucket } = this;
    if (bucket && this.bus.connected) {
      await bucket.delete(encodeToken(this.beat().gatewayId)).catch(() => {});
    }
  }

  peers(): readonly Peer[] {
    return [...this.seen.values()].map(({ beat }) => beat);
  }

  peer(gatewayId: string): Peer | undefined {
    return this.seen.get(gatewayId)?.beat;
  }

  isTwinAlive(incarnation: string): boolean {
    const atMs = this.twins.get(incarnation);
    return atMs !== undefined && this.clock.nowMs() - atMs < this.options.leaseMs;
  }

  onJoin(listener: (peer: Peer) => void): () => void {
    this.joins.add(listener);
    return () => this.joins.delete(listener);
  }

  onLeave(listener: (peer: Peer) => void): () => void {
    this.leaves.add(listener);
    return () => this.leaves.delete(listener);
  }

  private async open(): Promise<void> {
    this.opening = true;
    try {
      const bucket = await this.bus.bucket({
        name: "callweave_gateways",
        ttlMs: Math.max(10_000, this.options.leaseMs * 5),
        maxBytes: 0,
        replicas: this.options.replicas,
        storage: "file",
      });
      if (this.stopped) return;
      this.opening = false;
      this.openedMs = this.clock.nowMs();
      this.bucket = bucket;
      this.watching?.stop();
      this.watching = bucket.watch((entry) => this.heard(entry.key, entry.value, entry.revision));
      await this.tell();
    } catch (error) {
      if (this.stopped) return;
      this.logger.error({ err: String(error) }, "the bucket of gateways could not be opened; trying again");
      this.clock.after(1_000, () => void this.open());
    }
  }

  private plan(): void {
    const dueMs = this.clock.nowMs() + this.options.beatIntervalMs;
    this.timer = this.clock.after(this.options.beatIntervalMs, () => {
      void this.tell();
      // After a stall of this process the beats of others still wait in the socket: look again the next time.
      if (this.clock.nowMs() - dueMs < this.options.beatIntervalMs) this.judge();
      this.plan();
    });
  }

  private async tell(): Promise<void> {
    if (!this.bucket || !this.bus.connected || this.stopped) return;
    const beat = this.beat();
    const bytes = Buffer.from(stringifyTagged(beat));
    await this.bucket.put(encodeToken(beat.gatewayId), bytes).then(
      () => {
        this.toldMs = this.clock.nowMs();
        if (this.unheard) this.wholeLease();
        this.unheard = false;
      },
      (error: unknown) => {
        // The next one comes soon; a bus that is away is told elsewhere.
        if (this.unheard && this.bus.connected) this.openAnew(error);
      },
    );
  }

  private openAnew(error: unknown): void {
    if (this.opening || this.stopped || this.clock.nowMs() - this.openedMs < REOPEN_MS) return;
    this.logger.warn(
      { err: String(error) },
      "the bus takes no signs of life: the bucket of gateways is opened anew",
    );
    void this.open();
  }

  /** Everybody has the time of a lease to show up again. */
  private wholeLease(): void {
    const now = this.clock.nowMs();
    for (const one of this.seen.values()) one.atMs = now;
  }

  private heard(key: string, value: Uint8Array | undefined, revision: number): void {
    const own = this.beat();
    // Whenever the watching begins anew, what is there comes again: the last beat of a dead gateway is no sign of life.
    if (value && this.newest.get(key) === revision) return;
    if (value) this.newest.set(key, revision);
    else this.newest.delete(key);
    if (!value) {
      for (const [id, { beat }] of this.seen) if (encodeToken(id) === key) this.gone(beat);
      return;
    }
    const beat = parseBeat(value);
    if (!beat || (beat.gatewayId === own.gatewayId && beat.incarnation === own.incarnation)) return;
    if (beat.gatewayId === own.gatewayId) {
      // Our own id from before a restart; or a second process with our id, which must not be.
      this.twins.set(beat.incarnation, this.clock.nowMs());
      if (this.twins.size > MAX_TWINS) this.twins.delete(this.twins.keys().next().value as string);
      if (beat.startTime > own.startTime)
        this.logger.error({ gateway_id: own.gatewayId }, "another process runs with this gateway's id");
      return;
    }
    const known = this.seen.get(beat.gatewayId);
    if (known && known.beat.incarnation !== beat.incarnation) {
      if (known.beat.startTime > beat.startTime) return;
      this.gone(known.beat);
    }
    const joined = !this.seen.has(beat.gatewayId);
    this.seen.set(beat.gatewayId, { beat, atMs: this.clock.nowMs() });
    if (!joined) return;
    this.logger.info({ peer: beat.gatewayId }, "gateway joined");
    for (const listener of this.joins) listener(beat);
  }

  private judge(): void {
    if (!this.bus.connected) return;
    const now = this.clock.nowMs();
    if (now - this.toldMs > BEATS_UNHEARD * this.options.beatIntervalMs) this.unheard = true;
    if (this.unheard) return;
    const before = now - this.options.leaseMs;
    for (const { beat, atMs } of [...this.seen.values()]) if (atMs < before) this.gone(beat);
  }

  private gone(beat: Beat): void {
    if (!this.seen.delete(beat.gatewayId)) return;
    this.logger.warn({ peer: beat.gatewayId }, "gateway left");
    for (const listener of this.leaves) listener(beat);
  }
}

/** So many of our own beats that the bus did not take say that it takes none of others either. */
const BEATS_UNHEARD = 2;

function parseBeat(value: Uint8Array): Beat | undefined {
  try {
    const beat = parseTagged(Buffer.from(value).toString());
    if (!isObject(beat) || typeof beat.gatewayId !== "string" || typeof beat.incarnation !== "string")
      return undefined;
    return beat as unknown as Beat;
  } catch {
    return undefined;
  }
}
