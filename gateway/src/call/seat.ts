import type { Clock, Timer } from "../util/clock.js";
import type { StoredEvent } from "./call-events.js";
import type { EndReason, PlaybackSnapshot, SeatCause, SeatSnapshot, SeatState } from "./call-state.js";
import type { WaitEnd } from "./playback.js";

/** The agent in the seat, as the call sees it. Implemented by dispatch. None of these throws. */
export interface SeatHolder {
  readonly agentId: string;
  readonly instanceId: string;
  /** Caller audio, s16le at the rate of the call. Never written to again: it may be kept. */
  audio(position: number, pcm: Uint8Array): void;
  /** The provider sent nothing for this long. */
  gap(from: number, durationMs: number): void;
  event(event: StoredEvent): void;
  markReached(name: string, end: WaitEnd): void;
  note(text: string, author: string): void;
  playback(position: PlaybackSnapshot): void;
  /** The seat is not its own any more; last. */
  unassigned(cause: SeatCause, endReason?: EndReason): void;
}

/**
 * The one seat of a call. Whoever takes it names the epoch it believes to be current; that compare-and-set is the only
 * way in, for offers, reattach and transfer alike.
 */
export class Seat {
  private current: SeatHolder | undefined;
  private epochNow = 0;
  private attempts = 0;
  private openOffers = 0;
  private suspended: { readonly until: Date; readonly timer: Timer } | undefined;

  constructor(private readonly clock: Clock) {}

  /** The holder, also while suspended. */
  get holder(): SeatHolder | undefined {
    return this.current;
  }

  /** The holder that can speak now. */
  get activeHolder(): SeatHolder | undefined {
    return this.suspended ? undefined : this.current;
  }

  get epoch(): number {
    return this.epochNow;
  }

  get state(): SeatState {
    if (this.current) return this.suspended ? "SUSPENDED" : "HELD";
    return this.openOffers > 0 ? "OFFERED" : "VACANT";
  }

  /** The numbers of an earlier owner of the call go on; nobody holds it. Only before anybody took it. */
  restore(epoch: number, attempts: number): void {
    this.epochNow = epoch;
    this.attempts = attempts;
  }

  /** Counts an offer; answers its attempt number. */
  offered(): number {
    this.openOffers++;
    this.attempts++;
    return this.attempts;
  }

  /** An offer is answered or gone. */
  offerEnded(): void {
    this.openOffers = Math.max(0, this.openOffers - 1);
  }

  /** A new holder, if the epoch still is the expected one. The old holder is answered for the caller to tell. */
  take(expectedEpoch: number, holder: SeatHolder): { old?: SeatHolder } | undefined {
    if (expectedEpoch !== this.epochNow) return undefined;
    const old = this.current;
    this.endSuspension();
    this.current = holder;
    this.epochNow++;
    return old ? { old } : {};
  }

  /** The same session comes back, on the same epoch. */
  resume(epoch: number, holder: SeatHolder): boolean {
    if (epoch !== this.epochNow || !this.current || this.current.instanceId !== holder.instanceId)
      return false;
    this.endSuspension();
    this.current = holder;
    return true;
  }

  /** The holder's stream is gone; reserved for `graceMs`, then `expired`. */
  suspend(holder: SeatHolder, graceMs: number, expired: () => void): boolean {
    if (this.current !== holder || this.suspended) return false;
    const timer = this.clock.after(graceMs, expired);
    this.suspended = { until: new Date(this.clock.wallNow().getTime() + graceMs), timer };
    return true;
  }

  /** Nobody holds it any more; answers who did. */
  vacate(): SeatHolder | undefined {
    const old = this.current;
    this.endSuspension();
    this.current = undefined;
    return old;
  }

  snapshot(): SeatSnapshot {
    return {
      state: this.state,
      agentId: this.current?.agentId ?? "",
      instanceId: this.current?.instanceId ?? "",
      epoch: this.epochNow,
      attempt: this.attempts,
      ...(this.suspended ? { suspendExpireTime: this.suspended.until } : {}),
    };
  }

  private endSuspension(): void {
    this.suspended?.timer.cancel();
    this.suspended = undefined;
  }
}
