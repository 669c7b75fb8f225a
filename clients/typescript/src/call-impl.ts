import { randomUUID } from "node:crypto";
import * as p from "@callweave/proto";
import { MarkEnd as MarkEndCode } from "@callweave/proto";
import { AudioQueue } from "./audio-queue.js";
import { BoundedQueue } from "./bounded-queue.js";
import type {
  Call,
  CallEnd,
  CallListeners,
  Cleared,
  MarkEnd,
  PlaybackStatus,
  PlayEnd,
  PlaySource,
} from "./call.js";
import { CallVerbs, quiet } from "./call-verbs.js";
import { Commands } from "./commands.js";
import type { Contexts } from "./contexts.js";
import {
  toAudioFormat,
  toAudioGap,
  toBuffer,
  toCallEvent,
  toCallInfo,
  toEndReason,
  toMs,
  toPlayback,
  toSeatCause,
} from "./convert.js";
import { Emitter } from "./emitter.js";
import { type CallweaveError, callOver, queueFull } from "./errors.js";
import type { PlaybackSource } from "./outbox.js";
import { PlaybackQueue } from "./playback-queue.js";
import { Player } from "./player.js";
import type * as t from "./types.js";
import * as verbs from "./verbs.js";

/** What a call needs of its session. */
export interface CallLink {
  /** Queues a control item on the stream of the call; dropped while there is none. */
  send(item: p.AgentItem): void;
  /** There may be audio to send. */
  kick(): void;
  readonly contexts: Contexts;
  /** A listener threw. */
  onError(error: unknown): void;
}

/** Bounds of a call. */
export interface CallLimits {
  readonly maxAudioQueuedMs: number;
  readonly maxPlaybackQueuedMs: number;
  readonly sendAheadMs: number;
  readonly maxUnconfirmedMs: number;
  readonly maxItemMs: number;
  /** Marks that may wait. */
  readonly maxMarks: number;
  /** Events that may wait for one reader of `events()`. */
  readonly maxEventsQueued: number;
}

/** Items of the stream that are about one call, by its handle. */
export type HandleItem = Extract<
  NonNullable<p.GatewayItem["item"]>,
  { $case: "audio" | "audioGap" | "markReached" | "playback" | "playbackCleared" | "note" }
>;

/** What came with the offer. */
export interface OfferedContext {
  readonly context?: t.CallContext;
  readonly escalationReason?: t.EscalationReason;
}

/** At most one of these waits or runs at a time. */
/** How long the end of a command is waited for after a takeover. Milliseconds. */
const OUTCOME_WAIT_MS = 5_000;

const ENDING = new Set(["ConnectCall", "EscalateCall", "TransferCall", "CloseCall", "DisconnectCall"]);

/** The implementation of Call; the session tells it what came on the stream. */
export class CallImpl extends CallVerbs implements Call, PlaybackSource {
  readonly id: string;
  readonly attempt: number;
  readonly audioFormat: Required<t.AudioFormat>;
  readonly context: t.CallContext | undefined;
  readonly escalationReason: t.EscalationReason | undefined;
  readonly signal: AbortSignal;
  readonly ended: Promise<CallEnd>;

  private current: t.CallInfo;
  private readonly abort = new AbortController();
  private readonly emitter: Emitter<CallListeners>;
  private readonly audioQueue: AudioQueue;
  private readonly player: Player;
  private readonly commands: Commands;
  private readonly eventQueues = new Set<BoundedQueue<t.CallEvent>>();
  private readonly clears: ((cleared: p.PlaybackCleared | undefined) => void)[] = [];
  private resolveEnded!: (end: CallEnd) => void;
  private playedMs = 0;
  private end: CallEnd | undefined;
  private attached = true;
  private lastOwnerEpoch = 0;
  private lastSequence: number;
  private readonly bytesPerMs: number;

  constructor(
    assigned: p.Assigned,
    offered: OfferedContext,
    private readonly link: CallLink,
    private readonly limits: CallLimits,
  ) {
    super(link.contexts);
    this.current = toCallInfo(assigned.call);
    this.id = this.current.callId;
    this.attempt = assigned.attempt;
    this.epoch = assigned.epoch;
    this.handle = assigned.handle;
    this.lastSequence = this.current.lastEventSequence;
    this.audioFormat = toAudioFormat(assigned.audioFormat, this.current.sampleRateHertz);
    this.context = offered.context;
    this.escalationReason = offered.escalationReason;
    this.signal = this.abort.signal;
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.emitter = new Emitter((error) => link.onError(error));
    this.audioQueue = new AudioQueue(limits.maxAudioQueuedMs);
    this.commands = new Commands(this.id);
    this.bytesPerMs =
      (this.audioFormat.sampleRateHertz * (this.audioFormat.encoding === "S16LE" ? 2 : 1)) / 1000;
    const queue = new PlaybackQueue(
      {
        maxQueuedMs: limits.maxPlaybackQueuedMs,
        sendAheadMs: limits.sendAheadMs,
        maxUnconfirmedMs: limits.maxUnconfirmedMs,
        maxItemMs: limits.maxItemMs,
      },
      this.bytesPerMs,
      () => performance.now(),
    );
    queue.startAt(this.current.playback);
    this.playedMs = this.current.playback.playedMs;
    this.player = new Player(
      queue,
      {
        callId: this.id,
        kick: () => link.kick(),
        interruptCommand: (requestId) => this.commands.onInterrupt(requestId),
      },
      {
        maxQueuedMs: limits.maxPlaybackQueuedMs,
        prefetchMs: limits.sendAheadMs,
        maxMarks: limits.maxMarks,
      },
    );
  }

  epoch: number;
  /** Of the call on the stream it is on now. */
  handle: number;

  get info(): t.CallInfo {
    return this.current;
  }
  get caller(): string {
    return this.current.caller;
  }
  get callee(): string {
    return this.current.callee;
  }
  get locale(): string {
    return this.current.locale;
  }
  get pool(): string {
    return this.current.pool;
  }
  get state(): t.CallState {
    return this.current.state;
  }
  get mode(): t.AgentMode | undefined {
    return this.current.agentMode;
  }
  get sampleRateHertz(): number {
    return this.audioFormat.sampleRateHertz;
  }
  get playback(): PlaybackStatus {
    const { queuedMs, aheadMs } = this.player.queue;
    return { queuedMs, aheadMs, playedMs: this.playedMs };
  }
  /** The newest event seen, for Reattach. */
  get lastEventSequence(): number {
    return this.lastSequence;
  }
  /** Whether the agent does not have it any more. */
  get isOver(): boolean {
    return this.end !== undefined;
  }

  audio(): AsyncIterable<t.AudioChunk> {
    return this.audioQueue;
  }

  play(audio: PlaySource): Promise<PlayEnd> {
    return quiet(this.player.play(audio));
  }

  mark(name?: string): Promise<MarkEnd> {
    return quiet(this.player.mark(name));
  }

  drained(): Promise<MarkEnd> {
    return this.mark();
  }

  clear(): Promise<Cleared> {
    if (this.end) return this.overError();
    const { droppedMs, proceed } = this.player.clear();
    return quiet(
      new Promise((resolve) => {
        const finish = (cleared: p.PlaybackCleared | undefined) =>
          resolve({
            droppedMs: droppedMs + toMs(cleared?.droppedLocal),
            estimatedUnheardMs: toMs(cleared?.estimatedUnheardAtProvider),
            playedMs: toMs(cleared?.played),
          });
        // Without a stream the gateway has cut the playback itself.
        if (!this.attached) finish(undefined);
        else {
          this.clears.push(finish);
          this.link.send({ item: { $case: "clearPlayback", value: { handle: this.handle } } });
        }
        for (const requestId of proceed) this.sendCommand(requestId);
      }),
    );
  }

  on<K extends keyof CallListeners>(name: K, listener: CallListeners[K]): () => void {
    return this.emitter.on(name, listener);
  }

  events(): AsyncIterable<t.CallEvent> {
    const { maxEventsQueued } = this.limits;
    const queue: BoundedQueue<t.CallEvent> = new BoundedQueue(
      maxEventsQueued,
      () => queueFull("the queue of events()", `${maxEventsQueued} events`, this.id),
      () => this.eventQueues.delete(queue),
    );
    if (this.end) queue.end();
    else this.eventQueues.add(queue);
    return queue;
  }

  // What the session tells.

  get hasPlayback(): boolean {
    return !this.player.queue.empty;
  }

  nextItem(): p.AgentItem | undefined {
    for (;;) {
      const step = this.player.queue.next();
      this.player.onSent();
      if (!step) return undefined;
      const handle = this.handle;
      if (step.kind === "audio") return { item: { $case: "audio", value: { handle, pcm: step.pcm } } };
      const marker = this.player.marker(step);
      if (marker?.kind === "mark") return { item: { $case: "mark", value: { handle, name: marker.name } } };
      const command = marker && this.commands.toSend(marker.requestId, handle);
      if (command) return { item: { $case: "command", value: command } };
    }
  }

  /** Something about the call that carries its handle. */
  onItem(item: HandleItem): void {
    switch (item.$case) {
      case "audio":
        this.onAudio(item.value);
        break;
      case "audioGap":
        this.audioQueue.pushGap(toAudioGap(item.value, this.current.sampleRateHertz));
        break;
      case "markReached":
        this.player.onMarkReached(
          item.value.name,
          item.value.end === MarkEndCode.CLEARED ? "CLEARED" : "PLAYED",
        );
        break;
      case "playback":
        this.onProgress(item.value.position);
        break;
      case "playbackCleared":
        this.onCleared(item.value);
        break;
      case "note":
        this.emitter.emit("note", { text: item.value.text, author: item.value.author });
        break;
    }
  }

  onResult(result: p.CommandResult): void {
    if (result.call) this.update(result.call);
    this.commands.onResult(result);
  }

  onEvent(wire: p.CallEvent): void {
    // Numbers that a dead gateway told and did not store come again, from its successor.
    const newOwner = wire.ownerEpoch > this.lastOwnerEpoch;
    if (wire.sequence <= this.lastSequence && !newOwner) return;
    this.lastSequence = wire.sequence;
    this.lastOwnerEpoch = Math.max(this.lastOwnerEpoch, wire.ownerEpoch);
    const event = toCallEvent(wire);
    switch (event.type) {
      case "answered":
        this.set({ state: "ANSWERED" });
        break;
      case "connected":
        this.set({ state: "CONNECTED", agentMode: this.current.agentMode ?? "BARGE" });
        break;
      case "modeSet":
        this.set({ agentMode: event.mode });
        break;
      case "seatChanged":
        this.set({ seat: event.seat });
        break;
      case "commandStarted":
        if (ENDING.has(event.verb)) this.set({ pending: { requestId: event.requestId, verb: event.verb } });
        break;
      case "commandDone":
        if (this.current.pending?.requestId === event.requestId) this.set({ pending: undefined });
        break;
      case "ended":
        this.set({ state: "DISCONNECTED", endReason: event.reason });
        break;
    }
    this.emitter.emit("event", event);
    for (const queue of this.eventQueues) queue.push(event);
    if (event.type === "commandDone") this.commands.onDone(event);
  }

  /**
   * Commands that the dead gateway had answered as pending: its successor tells how they ended. If it knows nothing of
   * one, because even its start was not stored, nobody does.
   */
  private expectOutcomes(): void {
    const pending = this.commands.pending();
    if (pending.length === 0) return;
    const timer = setTimeout(() => {
      for (const requestId of pending) this.commands.unknown(requestId);
    }, OUTCOME_WAIT_MS);
    timer.unref();
  }

  onRefused(item: string, error: CallweaveError): void {
    if (error.reason === "PLAYBACK_FULL") {
      this.player.queue.onFull();
      this.link.kick();
    } else if (error.reason === "STALE_HANDLE") this.over({ cause: "LOST" });
    else if (item === "mark") this.player.onMarkRefused();
    else if (item === "clear_playback") this.clears.shift()?.(undefined);
    else this.link.onError(error);
  }

  /** The stream broke; the seat is reserved for a moment. */
  onDetached(): void {
    if (!this.attached || this.end) return;
    this.attached = false;
    this.player.onDetached();
    for (const finish of this.clears.splice(0)) finish(undefined);
    this.emitter.emit("attached", false);
  }

  /** The call is on a new stream: what was lost on the way is sent again. */
  onReattached(assigned: p.Assigned): void {
    this.handle = assigned.handle;
    this.epoch = assigned.epoch;
    this.attached = true;
    const takenOver = assigned.resume === p.AssignedResume.TAKEN_OVER;
    const requeued = new Set(this.player.onReattached(toPlayback(assigned.call?.playback), takenOver));
    if (takenOver) this.expectOutcomes();
    if (assigned.call) this.update(assigned.call, true);
    for (const requestId of this.commands.unanswered()) {
      if (requeued.has(requestId)) this.commands.requeue(requestId);
      else this.sendCommand(requestId);
    }
    this.emitter.emit("attached", true);
    this.link.kick();
  }

  onUnassigned(unassigned: p.Unassigned): void {
    const endReason = toEndReason(unassigned.endReason);
    this.over({ cause: toSeatCause(unassigned.cause), ...(endReason ? { endReason } : {}) });
  }

  /** The agent does not have the call any more. */
  over(end: CallEnd): void {
    if (this.end) return;
    this.end = end;
    if (end.cause === "CALL_ENDED") this.set({ state: "DISCONNECTED", endReason: end.endReason });
    for (const finish of this.clears.splice(0)) finish(undefined);
    this.player.end(end.cause);
    this.commands.onOver(end.cause, end.endReason);
    this.audioQueue.end();
    for (const queue of this.eventQueues) queue.end();
    this.abort.abort(callOver(this.id, end.cause));
    this.emitter.emit("ended", end);
    this.resolveEnded(end);
  }

  private onAudio(audio: p.CallAudio): void {
    const pcm = toBuffer(audio.pcm);
    const rate = this.current.sampleRateHertz || this.sampleRateHertz;
    const atMs = (audio.position * 1000) / rate;
    this.audioQueue.push({ pcm, positionSamples: audio.position, atMs }, pcm.length / this.bytesPerMs);
  }

  private onProgress(position: p.PlaybackPosition | undefined): void {
    const progress = toPlayback(position);
    this.playedMs = progress.playedMs;
    this.player.queue.onProgress(progress);
    this.link.kick();
    this.emitter.emit("playback", this.playback);
  }

  private onCleared(cleared: p.PlaybackCleared): void {
    this.playedMs = toMs(cleared.played);
    this.player.queue.onCleared(this.playedMs);
    this.clears.shift()?.(cleared);
    this.link.kick();
  }

  private update(call: p.Call, force = false): void {
    const info = toCallInfo(call);
    if (!force && info.lastEventSequence < this.lastSequence) return;
    const { state, agentMode } = this.current;
    this.current = info;
    if (info.state !== state) this.emitter.emit("state", info.state);
    if (info.agentMode && info.agentMode !== agentMode) this.emitter.emit("mode", info.agentMode);
  }

  private set(change: Partial<t.CallInfo>): void {
    const before = this.current;
    this.current = { ...before, ...change };
    if (this.current.state !== before.state) this.emitter.emit("state", this.current.state);
    const mode = this.current.agentMode;
    if (mode && mode !== before.agentMode) this.emitter.emit("mode", mode);
  }

  protected async run(
    options: verbs.VerbOptions,
    makeVerb: (requestId: string) => verbs.CommandVerb,
  ): Promise<t.EscalationResult | undefined> {
    if (this.end) throw callOver(this.id, this.end.cause);
    const requestId = options.requestId ?? randomUUID();
    const verb = makeVerb(requestId);
    const { signal } = options;
    const waits = verbs.waitsForPlayback(verb);
    const done = this.commands.add(requestId, verb, waits);
    const abort = () => this.abortCommand(requestId);
    if (signal?.aborted) this.commands.cancelLocally(requestId, "ABORTED");
    else {
      signal?.addEventListener("abort", abort, { once: true });
      if (waits) this.player.command(requestId);
      else this.sendCommand(requestId);
    }
    try {
      return await done;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  private sendCommand(requestId: string): void {
    const command = this.commands.toSend(requestId, this.handle);
    // Without a stream it is sent after the reattachment, with all that had no answer.
    if (command && this.attached) this.link.send({ item: { $case: "command", value: command } });
  }

  private abortCommand(requestId: string): void {
    if (this.commands.isQueued(requestId)) {
      this.player.queue.removeMarker(`c${requestId}`);
      this.commands.cancelLocally(requestId, "ABORTED");
    } else if (this.commands.has(requestId)) {
      // The command itself tells how it ended; that there is nothing to cancel any more is no error.
      this.cancel(requestId).catch(() => {});
    }
  }

  private overError(): Promise<never> {
    return quiet(Promise.reject(callOver(this.id, this.end?.cause ?? "LOST")));
  }
}
