import type { PlaybackSource } from "../telephony/telephony.js";
import type { Clock, Timer } from "../util/clock.js";
import { ByteQueue } from "./byte-queue.js";
import { CallError } from "./call-error.js";
import type { PlaybackSnapshot } from "./call-state.js";

/** Hold audio, s16le mono at the rate of the call; endless. */
export interface HoldSource {
  read(target: Uint8Array, offset: number, maxBytes: number): number;
}

/** Options of a call's playback. */
export interface PlaybackOptions {
  /** 8000, 16000 or 24000. */
  readonly sampleRateHz: number;
  /** How much the ring holds; an item that does not fit is refused whole. Default 30,000. */
  readonly maxQueuedMs: number;
  /** What is added to the clock's estimate before playback counts as drained. Default 200. */
  readonly drainMarginMs: number;
  /** How far ahead of the ear hold audio, and agent audio while the callee rings, is given out. Default 120. */
  readonly pacedLeadMs: number;
  /** Marks that may wait. Default 1,000. */
  readonly maxMarks: number;
  /** How long a tail shorter than the provider's preferred frame waits for more audio before it is sent alone. Default 40. */
  readonly tailWaitMs: number;
}

/** Defaults of PlaybackOptions, except the rate. */
export const PLAYBACK_DEFAULTS: Omit<PlaybackOptions, "sampleRateHz"> = {
  maxQueuedMs: 30_000,
  drainMarginMs: 200,
  pacedLeadMs: 120,
  maxMarks: 1_000,
  tailWaitMs: 40,
};

/** How a wait for playback ended. */
export type WaitEnd = "PLAYED" | "CLEARED";

/** Who hears what the provider is given of the agent's audio. */
export interface SentListener {
  /** Whether anybody does: nothing is told otherwise. */
  readonly agentTapped: boolean;
  /** `pcm` is s16le at the rate of the call, never written to again. */
  said(pcm: Uint8Array): void;
}

/** What the outlet lets through. */
export type Outlet =
  /** The agent's audio, as the provider asks for it. */
  | "AGENT"
  /** The agent's audio, but only `pacedLeadMs` ahead, so that little of it is at the provider at pick-up. */
  | "AGENT_PACED"
  /** Hold audio; the agent's audio waits in the ring. */
  | "HOLD"
  /** Hold audio only while the ring is empty: the agent was lost but its words are finished first. */
  | "AGENT_THEN_HOLD"
  /** Nothing. */
  | "SILENT";

interface Waiter {
  readonly atBytes: number;
  readonly marginMs: number;
  readonly done: (end: WaitEnd) => void;
}

/**
 * The agent's audio on its way to the provider: a bounded ring drained by the provider's credit, and an estimate of
 * what was heard.
 *
 * The provider tells what it takes, never what it plays; so the clock is `end = max(end, now) + duration(sent)` and
 * `heard = sent − max(0, end − now)`. All positions are bytes of s16le at the rate of the call.
 */
export class Playback implements PlaybackSource {
  private readonly ring = new ByteQueue();
  private readonly bytesPerMs: number;
  /** Agent bytes accepted (less those cleared before they were sent) and given to the provider. */
  private acceptedBytes = 0;
  private sentBytes = 0;
  /** Given to the provider, but dropped there before it was heard. */
  private unheardMs = 0;
  /** When the provider will have played all it took, and all agent audio it took. Monotonic ms. */
  private endMs = 0;
  private agentEndMs = 0;
  private outlet: Outlet = "AGENT";
  private waiters: Waiter[] = [];
  private waitTimer: Timer | undefined;
  private waitDueMs = 0;
  private kickTimer: Timer | undefined;
  private tailTimer: Timer | undefined;
  private lastEnqueueMs = 0;
  private closed = false;
  /** Told what the provider is given of the agent's audio, while somebody hears it. */
  listener: SentListener | undefined;

  constructor(
    private readonly options: PlaybackOptions,
    private readonly clock: Clock,
    private readonly hold: HoldSource,
    private readonly ready: () => void,
  ) {
    this.bytesPerMs = (options.sampleRateHz * 2) / 1000;
  }

  /**
   * Takes a whole item (even bytes) or refuses it whole with PLAYBACK_FULL. What the provider takes at once is given to it as it
   * is, the rest is copied: the item's memory is the caller's again when this returns.
   */
  enqueue(pcm: Uint8Array): void {
    if (this.closed || pcm.length === 0) return;
    const queuedMs = this.ring.length / this.bytesPerMs;
    const itemMs = pcm.length / this.bytesPerMs;
    if (queuedMs + itemMs > this.options.maxQueuedMs) {
      throw new CallError(
        "PLAYBACK_FULL",
        `the playback ring has no room for ${Math.round(itemMs)} ms: ${Math.round(queuedMs)} of ${this.options.maxQueuedMs} ms are queued`,
        {
          refused_ms: String(Math.round(itemMs)),
          queued_ms: String(Math.round(queuedMs)),
          max_ms: String(this.options.maxQueuedMs),
        },
      );
    }
    this.acceptedBytes += pcm.length;
    this.lastEnqueueMs = this.clock.nowMs();
    this.ring.lend(pcm);
    try {
      this.ready();
    } finally {
      this.ring.settle();
    }
    if (this.ring.length > 0) this.offerTailLater();
  }

  available(): number {
    if (this.closed || this.outlet === "SILENT") return 0;
    if (this.outlet === "AGENT") return this.ring.length;
    const room = this.pacedRoom();
    if (room === 0) this.kickLater();
    return this.takesHold() ? room : Math.min(room, this.ring.length);
  }

  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const bytes = Math.min(maxBytes & ~1, this.available());
    if (bytes <= 0) return 0;
    const fromHold = this.takesHold();
    const n = fromHold ? this.hold.read(target, offset, bytes) : this.ring.read(target, offset, bytes);
    const now = this.clock.nowMs();
    this.endMs = Math.max(this.endMs, now) + n / this.bytesPerMs;
    if (!fromHold) {
      this.sentBytes += n;
      this.agentEndMs = this.endMs;
      // A copy: the leg uses its memory again.
      if (this.listener?.agentTapped) this.listener.said(new Uint8Array(target.subarray(offset, offset + n)));
      this.schedule();
    }
    if (this.outlet !== "AGENT") this.kickLater();
    return n;
  }

  flushTail(): boolean {
    return this.waiters.length > 0 || this.outlet !== "AGENT" || this.tailWaitLeftMs() <= 0;
  }

  /** Says what goes out from now on. */
  setOutlet(outlet: Outlet): void {
    if (this.closed || this.outlet === outlet) return;
    this.outlet = outlet;
    this.kickTimer?.cancel();
    this.kickTimer = undefined;
    this.schedule();
    this.ready();
  }

  /** What goes out now. */
  get currentOutlet(): Outlet {
    return this.outlet;
  }

  /**
   * Calls `done` once all audio accepted so far was heard by the clock, plus the drain margin when `margin` is set;
   * with CLEARED when that audio was dropped. Throws LIMIT_REACHED beyond `maxMarks`.
   */
  whenPlayed(margin: boolean, done: (end: WaitEnd) => void): { cancel(): void } {
    if (this.closed) {
      done("CLEARED");
      return { cancel: () => {} };
    }
    if (this.waiters.length >= this.options.maxMarks) {
      throw new CallError("LIMIT_REACHED", `at most ${this.options.maxMarks} marks wait per call`, {
        limit: "max_marks",
        max: String(this.options.maxMarks),
      });
    }
    const waiter: Waiter = {
      atBytes: this.acceptedBytes,
      marginMs: margin ? this.options.drainMarginMs : 0,
      done,
    };
    this.waiters.push(waiter);
    this.schedule();
    this.ready();
    return {
      cancel: () => {
        this.waiters = this.waiters.filter((w) => w !== waiter);
      },
    };
  }

  /** Drops everything the agent said that was not heard. The caller also interrupts the provider. */
  clear(): { droppedLocalMs: number; unheardAtProviderMs: number; playedMs: number } {
    const droppedLocalMs = this.ring.clear() / this.bytesPerMs;
    const unheardAtProviderMs = this.unheardAtProvider();
    this.acceptedBytes = this.sentBytes;
    this.unheardMs += unheardAtProviderMs;
    const now = this.clock.nowMs();
    this.endMs = Math.min(this.endMs, now);
    this.agentEndMs = Math.min(this.agentEndMs, now);
    this.waitTimer?.cancel();
    this.waitTimer = undefined;
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter.done("CLEARED");
    return { droppedLocalMs, unheardAtProviderMs, playedMs: this.playedMs() };
  }

  /** Where playback is. */
  snapshot(): PlaybackSnapshot {
    return {
      queuedMs: this.ring.length / this.bytesPerMs,
      unheardAtProviderMs: this.unheardAtProvider(),
      playedMs: this.playedMs(),
    };
  }

  /** How long until all that is queued was heard, at best. */
  remainingMs(): number {
    return this.ring.length / this.bytesPerMs + this.unheardAtProvider();
  }

  /** The call is over: waits end as CLEARED, timers are gone, nothing goes out any more. */
  close(): void {
    if (this.closed) return;
    this.clear();
    this.closed = true;
    this.kickTimer?.cancel();
    this.tailTimer?.cancel();
  }

  private takesHold(): boolean {
    return this.outlet === "HOLD" || (this.outlet === "AGENT_THEN_HOLD" && this.ring.length === 0);
  }

  private pacedRoom(): number {
    const ahead = this.endMs - this.clock.nowMs();
    const roomMs = this.options.pacedLeadMs - Math.max(0, ahead);
    // Less than 20 ms is not worth a frame.
    return roomMs < 20 ? 0 : Math.floor(roomMs * this.options.sampleRateHz * 0.001) * 2;
  }

  /** Paced audio has to be offered again when there is room for it, even if the provider asked long ago. */
  private kickLater(): void {
    if (this.kickTimer || this.closed) return;
    const ahead = Math.max(0, this.endMs - this.clock.nowMs());
    this.kickTimer = this.clock.after(Math.max(20, ahead - this.options.pacedLeadMs / 2), () => {
      this.kickTimer = undefined;
      this.ready();
      if (this.outlet !== "AGENT" && this.outlet !== "SILENT") this.kickLater();
    });
  }

  private tailWaitLeftMs(): number {
    return this.lastEnqueueMs + this.options.tailWaitMs - this.clock.nowMs();
  }

  /** The end of what was said has to go out though nothing follows it and nobody waits for it. */
  private offerTailLater(): void {
    this.tailTimer ??= this.clock.after(Math.max(1, this.tailWaitLeftMs()), () => {
      this.tailTimer = undefined;
      if (this.closed || this.ring.length === 0) return;
      if (this.tailWaitLeftMs() > 0) this.offerTailLater();
      else this.ready();
    });
  }

  private unheardAtProvider(): number {
    const sentMs = this.sentBytes / this.bytesPerMs - this.unheardMs;
    return Math.max(0, Math.min(sentMs, this.agentEndMs - this.clock.nowMs()));
  }

  private playedMs(): number {
    return this.sentBytes / this.bytesPerMs - this.unheardMs - this.unheardAtProvider();
  }

  /** One timer for the first waiter whose audio has all been sent. What is due later is looked at when it fires. */
  private schedule(): void {
    if (this.waiters.length === 0 || this.closed) return;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const waiter of this.waiters) dueMs = Math.min(dueMs, this.dueMs(waiter));
    if (dueMs === Number.POSITIVE_INFINITY) return;
    if (this.waitTimer && this.waitDueMs <= dueMs) return;
    this.waitTimer?.cancel();
    this.waitDueMs = dueMs;
    this.waitTimer = this.clock.after(Math.max(0, dueMs - this.clock.nowMs()), () => {
      this.waitTimer = undefined;
      const now = this.clock.nowMs() + 0.5;
      const due = this.waiters.filter((w) => this.dueMs(w) <= now);
      this.waiters = this.waiters.filter((w) => !due.includes(w));
      for (const waiter of due) waiter.done("PLAYED");
      this.schedule();
    });
  }

  private dueMs(waiter: Waiter): number {
    if (this.sentBytes < waiter.atBytes) return Number.POSITIVE_INFINITY;
    return this.agentEndMs - (this.sentBytes - waiter.atBytes) / this.bytesPerMs + waiter.marginMs;
  }
}
