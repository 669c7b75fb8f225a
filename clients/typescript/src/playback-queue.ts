import { queueFull } from "./errors.js";
import type { PlaybackPosition } from "./types.js";

/** What waits behind the audio of its call. */
export type PlaybackItem =
  | { readonly kind: "audio"; readonly pcm: Buffer; readonly ms: number; readonly done?: () => void }
  /** A mark or a command: sent when all audio before it was sent. */
  | { readonly kind: "marker"; readonly id: string };

/** What is to be written now. */
export type PlaybackStep =
  | { readonly kind: "audio"; readonly pcm: Buffer }
  | { readonly kind: "marker"; readonly id: string };

/** Bounds and paces of a playback queue. All in milliseconds. */
export interface PlaybackLimits {
  /** How much may wait here. */
  readonly maxQueuedMs: number;
  /** How far beyond what was heard audio is sent. */
  readonly sendAheadMs: number;
  /** How much may be sent beyond what the gateway last confirmed as heard. */
  readonly maxUnconfirmedMs: number;
  /** The longest audio item. */
  readonly maxItemMs: number;
}

/** How long after the last PLAYBACK_FULL the refused audio is sent again, if no progress is told before. Milliseconds. */
export const RETRY_AFTER_FULL_MS = 500;

/** With progress: after this long, since what is still on its way is refused as well. Milliseconds. */
const RETRY_AFTER_PROGRESS_MS = 200;

/** How long after the last write a report may still be older than that write. Milliseconds. */
const SETTLE_MS = 1_000;

/**
 * The audio, marks and waiting commands of one call, in order, and how much of it may be sent when: `sendAheadMs` beyond
 * what was heard, judged by the own clock, corrected by the progress that the gateway tells. Knows no socket and no timer.
 *
 * Audio that was sent is kept until it is confirmed as heard, so that what a gateway refused (PLAYBACK_FULL) or cut
 * (a lost stream) can be sent again.
 */
export class PlaybackQueue {
  private items: PlaybackItem[] = [];
  private waitingMs = 0;
  /** Sent and not confirmed, oldest first. */
  private sent: PlaybackItem[] = [];
  private sentMs = 0;
  /** On the gateway's clock of heard audio: where the newest sent audio ends. */
  private endPositionMs = 0;
  /** On the own clock: when all that was sent is heard. */
  private heardAtMs = 0;
  private lastSendMs = Number.NEGATIVE_INFINITY;
  private refused = 0;
  private refusedAtMs = 0;
  private progressSinceRefused = false;
  private clearing = 0;

  constructor(
    private readonly limits: PlaybackLimits,
    private readonly bytesPerMs: number,
    private readonly now: () => number,
  ) {}

  /** Audio waits here, in milliseconds. */
  get queuedMs(): number {
    return this.waitingMs;
  }

  /** Sent and, by the own clock, not yet heard, in milliseconds. */
  get aheadMs(): number {
    return Math.max(0, this.heardAtMs - this.now());
  }

  /** Whether anything waits. */
  get empty(): boolean {
    return this.items.length === 0 && this.refused === 0;
  }

  /** Free room, in milliseconds. */
  get roomMs(): number {
    return Math.max(0, this.limits.maxQueuedMs - this.waitingMs);
  }

  /** Length of samples in milliseconds. */
  msOf(bytes: number): number {
    return bytes / this.bytesPerMs;
  }

  /** Appends audio; `done` is called when its last piece was given to the stream. Throws QUEUE_FULL, taking nothing. */
  pushAudio(pcm: Buffer, done?: () => void): void {
    const ms = this.msOf(pcm.length);
    if (this.waitingMs + ms > this.limits.maxQueuedMs) {
      throw queueFull("the playback queue of the call", `${this.limits.maxQueuedMs} ms`);
    }
    const pieceBytes = Math.max(2, Math.floor(this.limits.maxItemMs * this.bytesPerMs) & ~1);
    for (let at = 0; at < pcm.length; at += pieceBytes) {
      const piece = pcm.subarray(at, at + pieceBytes);
      const last = at + pieceBytes >= pcm.length;
      this.items.push({
        kind: "audio",
        pcm: piece,
        ms: this.msOf(piece.length),
        done: last ? done : undefined,
      });
    }
    this.waitingMs += ms;
  }

  /** Appends a mark or command. */
  pushMarker(id: string): void {
    this.items.push({ kind: "marker", id });
  }

  /** Takes a marker out again; false when it is not here any more. */
  removeMarker(id: string): boolean {
    const at = this.items.findIndex((item) => item.kind === "marker" && item.id === id);
    if (at < 0) return false;
    this.items.splice(at, 1);
    return true;
  }

  /** The next thing to send now; undefined when nothing may be sent yet. */
  next(): PlaybackStep | undefined {
    if (this.refused > 0) {
      const waitMs = this.progressSinceRefused ? RETRY_AFTER_PROGRESS_MS : RETRY_AFTER_FULL_MS;
      if (this.now() - this.refusedAtMs < waitMs) return undefined;
      this.takeBackRefused();
    }
    const item = this.items[0];
    if (!item) return undefined;
    if (item.kind === "audio") {
      if (this.aheadMs >= this.limits.sendAheadMs) return undefined;
      if (this.sentMs + item.ms > this.limits.maxUnconfirmedMs && this.sentMs > 0) return undefined;
    }
    this.items.shift();
    this.sent.push(item);
    if (item.kind === "marker") return { kind: "marker", id: item.id };
    const now = this.now();
    this.waitingMs = Math.max(0, this.waitingMs - item.ms);
    this.sentMs += item.ms;
    this.endPositionMs += item.ms;
    this.heardAtMs = Math.max(this.heardAtMs, now) + item.ms;
    this.lastSendMs = now;
    item.done?.();
    return { kind: "audio", pcm: item.pcm };
  }

  /** The gateway told how far it is. */
  onProgress(position: PlaybackPosition): void {
    if (this.clearing > 0) return;
    const now = this.now();
    const atGatewayMs = position.queuedMs + position.unheardAtProviderMs;
    if (this.refused > 0) {
      this.progressSinceRefused = true;
      return;
    }
    if (atGatewayMs === 0 && now - this.lastSendMs > SETTLE_MS) {
      // Nothing is on its way and nothing is there: whatever the clocks say, all of it is over.
      this.confirmAll();
      this.endPositionMs = position.playedMs;
      this.heardAtMs = now;
      return;
    }
    const remainingMs = Math.min(this.sentMs, Math.max(0, this.endPositionMs - position.playedMs));
    this.heardAtMs = now + remainingMs;
    this.confirmDownTo(remainingMs);
  }

  /** A mark was heard: so was all audio before it. */
  onMarkPlayed(id: string): void {
    const at = this.sent.findIndex((item) => item.kind === "marker" && item.id === id);
    if (at < 0) return;
    for (const item of this.sent.splice(0, at + 1)) {
      if (item.kind === "audio") this.sentMs = Math.max(0, this.sentMs - item.ms);
    }
    this.heardAtMs = Math.min(this.heardAtMs, this.now() + this.sentMs);
  }

  /** An audio item was refused because the gateway's ring is full. Nothing is sent until there is progress. */
  onFull(): void {
    this.refused++;
    this.refusedAtMs = this.now();
    this.progressSinceRefused = false;
  }

  /** Whether a marker was sent and is neither passed nor dropped, as far as is known here. */
  hasSent(id: string): boolean {
    return this.sent.some((item) => item.kind === "marker" && item.id === id);
  }

  /** Empties the queue. Answers what was dropped here and which markers waited here, in order. */
  clear(): { droppedMs: number; markers: string[] } {
    const droppedMs = this.waitingMs;
    const markers = this.items.flatMap((item) => (item.kind === "marker" ? [item.id] : []));
    const items = this.items;
    const now = this.now();
    this.endPositionMs -= Math.max(0, this.heardAtMs - now);
    this.heardAtMs = now;
    this.items = [];
    this.waitingMs = 0;
    this.confirmAll();
    this.refused = 0;
    this.clearing++;
    for (const item of items) if (item.kind === "audio") item.done?.();
    return { droppedMs, markers };
  }

  /** The gateway answered the clear: how much was heard until then. */
  onCleared(playedMs: number): void {
    this.clearing = Math.max(0, this.clearing - 1);
    if (this.clearing === 0) this.endPositionMs = playedMs + this.sentMs;
  }

  /**
   * The call is on another stream. What the gateway does not have any more is put back to the front, to be sent again;
   * answers the markers that are confirmed as passed and those that are to be sent again.
   */
  onReattached(position: PlaybackPosition): { passed: string[]; again: string[] } {
    this.clearing = 0;
    this.refused = 0;
    const atGatewayMs = Math.min(this.sentMs, position.queuedMs + position.unheardAtProviderMs);
    const remainingMs = Math.min(this.sentMs, Math.max(0, this.endPositionMs - position.playedMs));
    const passed = this.confirmDownTo(remainingMs);
    let lostMs = remainingMs - atGatewayMs;
    const again: string[] = [];
    const back: PlaybackItem[] = [];
    while (this.sent.length > 0) {
      const item = this.sent[this.sent.length - 1]!;
      if (item.kind === "audio" && lostMs <= 0) break;
      this.sent.pop();
      if (item.kind === "marker") {
        again.unshift(item.id);
        back.unshift(item);
        continue;
      }
      const keepMs = Math.max(0, item.ms - lostMs);
      lostMs -= item.ms;
      back.unshift(keepMs > 0 ? this.tail(item.pcm, keepMs) : { kind: "audio", pcm: item.pcm, ms: item.ms });
      this.sentMs = Math.max(0, this.sentMs - item.ms);
    }
    this.putBack(back);
    this.endPositionMs = position.playedMs + atGatewayMs;
    this.heardAtMs = this.now() + atGatewayMs;
    return { passed, again };
  }

  /**
   * Another gateway has the call now, and nothing of what was sent. What was not heard yet by the own clock, `aheadMs` when
   * the stream was lost, is put back to the front, to be sent again; answers as `onReattached`.
   */
  onTakenOver(position: PlaybackPosition, aheadMs: number): { passed: string[]; again: string[] } {
    this.endPositionMs = position.playedMs + Math.min(this.sentMs, aheadMs);
    return this.onReattached({ ...position, queuedMs: 0, unheardAtProviderMs: 0 });
  }

  /** A new stream or epoch begins here: the gateway's clock stands there. */
  startAt(position: PlaybackPosition): void {
    const atGatewayMs = position.queuedMs + position.unheardAtProviderMs;
    this.endPositionMs = position.playedMs + atGatewayMs;
    this.heardAtMs = this.now() + atGatewayMs;
  }

  /** The last `refused` audio items that were sent were not taken: back to the front, in order. */
  private takeBackRefused(): void {
    const back: PlaybackItem[] = [];
    while (this.refused > 0 && this.sent.length > 0) {
      const item = this.sent.pop()!;
      // Markers among them were taken by the gateway: they stay sent, though they come early now.
      if (item.kind === "marker") continue;
      back.unshift({ kind: "audio", pcm: item.pcm, ms: item.ms });
      this.refused--;
      this.sentMs = Math.max(0, this.sentMs - item.ms);
      this.endPositionMs -= item.ms;
      this.heardAtMs -= item.ms;
    }
    this.refused = 0;
    this.putBack(back);
  }

  private putBack(items: PlaybackItem[]): void {
    for (const item of items) if (item.kind === "audio") this.waitingMs += item.ms;
    this.items.unshift(...items);
  }

  private tail(pcm: Buffer, skipMs: number): PlaybackItem {
    const skip = Math.min(pcm.length, Math.round(skipMs * this.bytesPerMs) & ~1);
    const rest = pcm.subarray(skip);
    return { kind: "audio", pcm: rest, ms: this.msOf(rest.length) };
  }

  /** Forgets the oldest sent audio until at most this much is left; answers the markers passed. */
  private confirmDownTo(remainingMs: number): string[] {
    const passed: string[] = [];
    while (this.sent.length > 0) {
      const item = this.sent[0]!;
      if (item.kind === "marker") passed.push(item.id);
      else if (this.sentMs - item.ms >= remainingMs - 0.5) this.sentMs = Math.max(0, this.sentMs - item.ms);
      else break;
      this.sent.shift();
    }
    return passed;
  }

  private confirmAll(): void {
    this.sent = [];
    this.sentMs = 0;
  }
}
