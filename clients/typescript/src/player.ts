import type { MarkEnd, PlayEnd, PlaySource } from "./call.js";
import { toBuffer } from "./convert.js";
import { type CallweaveError, callOver, invalidField, queueFull } from "./errors.js";
import type { PlaybackQueue, PlaybackStep } from "./playback-queue.js";
import type { PlaybackPosition } from "./types.js";

interface WaitingMark {
  readonly name: string;
  sent: boolean;
  resolve(end: MarkEnd): void;
}

/** Something that has to wait until an iterable was played to its end. */
interface Deferred {
  run(): void;
  /** `clear()` met it. Answers the command that goes ahead, if it is one that does. */
  clear(): string | undefined;
}

/** What the player needs of its call. */
export interface PlayerPort {
  readonly callId: string;
  /** There may be something to send. */
  kick(): void;
  /** A command met by `clear()` while it waited: true when it goes ahead. */
  interruptCommand(requestId: string): boolean;
}

/** What a marker stands for. */
export type Marker =
  | { readonly kind: "mark"; readonly name: string }
  | { readonly kind: "command"; readonly requestId: string };

/** The audio that the agent says in one call: buffers and iterables in order, marks and waiting commands among them. */
export class Player {
  private readonly marks = new Map<string, WaitingMark>();
  private nextId = 0;
  private generation = 0;
  /** Ends the wait for the iterable that is being played. */
  private stopWaiting: () => void = () => {};
  private streaming = false;
  private deferred: Deferred[] = [];
  private aheadWhenLostMs = 0;
  private deferredMs = 0;
  private roomWaiters: (() => void)[] = [];
  private readonly rejects = new Set<(error: CallweaveError) => void>();
  private over: CallweaveError | undefined;

  constructor(
    readonly queue: PlaybackQueue,
    private readonly port: PlayerPort,
    private readonly limits: {
      readonly maxQueuedMs: number;
      readonly prefetchMs: number;
      /** Marks that may wait; full: `mark` rejects with QUEUE_FULL. */
      readonly maxMarks: number;
    },
  ) {}

  /** Plays; see Call.play. */
  play(source: PlaySource): Promise<PlayEnd> {
    return source instanceof Uint8Array ? this.playBuffer(source) : this.playIterable(source);
  }

  /** Sets a mark behind the audio until now. */
  mark(name: string | undefined): Promise<MarkEnd> {
    if (this.over) return Promise.reject(this.over);
    const id = `m${this.nextId++}`;
    const label = name ?? `~${id}`;
    if (label.length < 1 || label.length > 100) {
      return Promise.reject(invalidField("mark", "1 to 100 characters", label));
    }
    const { maxMarks } = this.limits;
    if (this.marks.size >= maxMarks) {
      return Promise.reject(queueFull("the list of waiting marks", `${maxMarks} marks`, this.port.callId));
    }
    return new Promise((resolve) => {
      this.marks.set(id, { name: label, sent: false, resolve });
      this.inOrder({
        run: () => {
          this.queue.pushMarker(id);
          this.port.kick();
        },
        clear: () => this.endMark(id, "CLEARED"),
      });
    });
  }

  /** Puts a command behind the audio until now. */
  command(requestId: string): void {
    this.inOrder({
      run: () => {
        this.queue.pushMarker(`c${requestId}`);
        this.port.kick();
      },
      clear: () => (this.port.interruptCommand(requestId) ? requestId : undefined),
    });
  }

  /** What a step of the queue stands for; undefined when nobody waits for it any more. */
  marker(step: PlaybackStep & { kind: "marker" }): Marker | undefined {
    if (step.id.startsWith("c")) return { kind: "command", requestId: step.id.slice(1) };
    const mark = this.marks.get(step.id);
    if (!mark) return undefined;
    mark.sent = true;
    return { kind: "mark", name: mark.name };
  }

  /** Something was sent: there may be room. */
  onSent(): void {
    if (this.roomWaiters.length === 0 || this.queue.queuedMs > this.limits.prefetchMs) return;
    const waiters = this.roomWaiters;
    this.roomWaiters = [];
    for (const wake of waiters) wake();
  }

  onMarkReached(name: string, end: MarkEnd): void {
    for (const [id, mark] of this.marks) {
      if (mark.name !== name || !mark.sent) continue;
      if (end === "PLAYED") this.queue.onMarkPlayed(id);
      this.endMark(id, end);
      this.port.kick();
      return;
    }
  }

  /** The gateway refused a mark; the oldest that it has. */
  onMarkRefused(): void {
    for (const [id, mark] of this.marks) {
      if (!mark.sent) continue;
      this.endMark(id, "CLEARED");
      return;
    }
  }

  /** Interrupt. Answers what was dropped here and the commands that go ahead, to be sent after the ClearPlayback. */
  clear(): { droppedMs: number; proceed: string[] } {
    this.generation++;
    this.stopWaiting();
    const { droppedMs, markers } = this.queue.clear();
    const proceed: string[] = [];
    for (const id of markers) {
      if (!id.startsWith("c")) this.endMark(id, "CLEARED");
      else if (this.port.interruptCommand(id.slice(1))) proceed.push(id.slice(1));
    }
    const deferredMs = this.deferredMs;
    const deferred = this.deferred;
    this.deferred = [];
    this.deferredMs = 0;
    this.streaming = false;
    for (const entry of deferred) {
      const command = entry.clear();
      if (command !== undefined) proceed.push(command);
    }
    this.onSent();
    return { droppedMs: droppedMs + deferredMs, proceed };
  }

  /** The stream is lost: from here on nobody hears what is still ahead, if the gateway is dead. */
  onDetached(): void {
    this.aheadWhenLostMs = this.queue.aheadMs;
  }

  /** The call is on another stream; `takenOver`: at another gateway. Answers the commands to be sent again in their place. */
  onReattached(position: PlaybackPosition, takenOver = false): string[] {
    const { passed, again } = takenOver
      ? this.queue.onTakenOver(position, this.aheadWhenLostMs)
      : this.queue.onReattached(position);
    for (const id of passed) this.endMark(id, "PLAYED");
    for (const id of again) {
      const mark = this.marks.get(id);
      if (mark) mark.sent = false;
    }
    // Sent and dropped before the stream was lost: their answer was lost with it.
    for (const [id, mark] of [...this.marks]) {
      if (mark.sent && !this.queue.hasSent(id)) this.endMark(id, "CLEARED");
    }
    return again.filter((id) => id.startsWith("c")).map((id) => id.slice(1));
  }

  /** The agent does not have the call any more. */
  end(cause: string): void {
    this.over = callOver(this.port.callId, cause);
    this.generation++;
    this.stopWaiting();
    for (const reject of [...this.rejects]) reject(this.over);
    this.rejects.clear();
    for (const id of [...this.marks.keys()]) this.endMark(id, "CLEARED");
    this.queue.clear();
    this.deferred = [];
    for (const wake of this.roomWaiters) wake();
    this.roomWaiters = [];
  }

  private playBuffer(source: Uint8Array): Promise<PlayEnd> {
    if (this.over) return Promise.reject(this.over);
    const pcm = toBuffer(source);
    const ms = this.queue.msOf(pcm.length);
    if (this.queue.queuedMs + this.deferredMs + ms > this.limits.maxQueuedMs) {
      const max = `${this.limits.maxQueuedMs} ms`;
      return Promise.reject(queueFull("the playback queue of the call", max, this.port.callId));
    }
    if (pcm.length === 0) return Promise.resolve("SENT");
    if (!this.streaming) return this.playNow(pcm);
    return this.track((settle, reject) => {
      const generation = this.generation;
      this.deferredMs += ms;
      let counted = true;
      this.inOrder({
        run: () => {
          if (counted) this.deferredMs = Math.max(0, this.deferredMs - ms);
          counted = false;
          try {
            this.queue.pushAudio(pcm, () => settle(generation === this.generation ? "SENT" : "CLEARED"));
          } catch (error) {
            reject(error as CallweaveError);
          }
          this.port.kick();
        },
        clear: () => {
          settle("CLEARED");
          return undefined;
        },
      });
    });
  }

  /** Nothing is before it, as it is for every frame of an echo: no more is made for it than one promise. */
  private playNow(pcm: Buffer): Promise<PlayEnd> {
    const { generation, rejects } = this;
    return new Promise((resolve, reject) => {
      this.queue.pushAudio(pcm, () => {
        rejects.delete(reject);
        resolve(generation === this.generation ? "SENT" : "CLEARED");
      });
      rejects.add(reject);
      this.port.kick();
    });
  }

  private playIterable(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<PlayEnd> {
    if (this.over) return Promise.reject(this.over);
    return this.track((settle, reject) => {
      this.inOrder({
        run: () => {
          this.streaming = true;
          const generation = this.generation;
          this.stream(source, generation).then(settle, (error) => {
            if (generation === this.generation) this.nextDeferred();
            reject(this.over ?? error);
          });
        },
        clear: () => {
          settle("CLEARED");
          return undefined;
        },
      });
    });
  }

  private async stream(
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    generation: number,
  ): Promise<PlayEnd> {
    const iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    let sent: Promise<PlayEnd> = Promise.resolve("SENT");
    try {
      while (generation === this.generation) {
        const step = await this.orInterrupt(Promise.resolve(iterator.next()));
        if (!step || step.done || generation !== this.generation) break;
        const pcm = toBuffer(step.value);
        while (generation === this.generation && !this.fits(pcm)) {
          await new Promise<void>((resolve) => {
            this.roomWaiters.push(resolve);
          });
        }
        if (generation !== this.generation) break;
        if (pcm.length === 0) continue;
        sent = new Promise((resolve) => {
          this.queue.pushAudio(pcm, () => resolve(generation === this.generation ? "SENT" : "CLEARED"));
        });
        this.port.kick();
      }
    } finally {
      // An iterator that hangs in next() also hangs in return(): nobody waits for it.
      Promise.resolve(iterator.return?.()).catch(() => {});
    }
    if (generation !== this.generation) return "CLEARED";
    this.nextDeferred();
    return sent;
  }

  /** A little is kept ready here, so that the stream never waits for the iterable; a large chunk goes in alone. */
  private fits(pcm: Buffer): boolean {
    if (this.queue.queuedMs > this.limits.prefetchMs) return false;
    if (this.queue.msOf(pcm.length) <= this.queue.roomMs) return true;
    if (this.queue.queuedMs === 0)
      throw queueFull("the playback queue of the call", `${this.limits.maxQueuedMs} ms`);
    return false;
  }

  private inOrder(entry: Deferred): void {
    if (this.streaming) this.deferred.push(entry);
    else entry.run();
  }

  private nextDeferred(): void {
    this.streaming = false;
    while (!this.streaming) {
      const entry = this.deferred.shift();
      if (!entry) return;
      entry.run();
    }
  }

  /** Waits, but not beyond an interrupt: then undefined. */
  private orInterrupt<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.stopWaiting = () => resolve(undefined);
      promise.then(resolve, reject);
    });
  }

  private endMark(id: string, end: MarkEnd): undefined {
    const mark = this.marks.get(id);
    this.marks.delete(id);
    mark?.resolve(end);
    return undefined;
  }

  private track(
    start: (settle: (end: PlayEnd) => void, reject: (error: CallweaveError) => void) => void,
  ): Promise<PlayEnd> {
    return new Promise((resolve, reject) => {
      const fail = (error: CallweaveError) => {
        this.rejects.delete(fail);
        reject(error);
      };
      this.rejects.add(fail);
      start((end) => {
        this.rejects.delete(fail);
        resolve(end);
      }, fail);
    });
  }
}
