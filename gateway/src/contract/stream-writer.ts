import { AudioGapReason, encodeMessage, GatewayItem, type ServeResponse } from "@callweave/proto";
import { CallError } from "../call/call-error.js";
import { LinkedQueue } from "../util/linked-queue.js";
import { AudioItem } from "./audio-wire.js";
import { toDuration, toUint } from "./convert.js";
import type { StreamLimits } from "./limits.js";

/** Where the messages of a stream go. */
export interface WriterSink {
  /** Sends a message; `done` is called once it has left, or with an error when it never will. */
  write(message: ServeResponse, done: (error?: Error | null) => void): void;
  /** Ends the stream after what was written: OK, or with a status. */
  finish(error?: CallError): void;
}

/** What an audio item adds to its samples on the wire, at most. */
const AUDIO_OVERHEAD_BYTES = 48;
/** A gap, at most. */
const GAP_BYTES = 64;
/** Tag and length of an item. */
const ITEM_OVERHEAD_BYTES = 6;

/** The audio that waits for one handle. */
class HandleQueue {
  readonly items = new LinkedQueue<AudioItem>();
  /** Behind it in the list of handles that have something to send. */
  next: HandleQueue | undefined = undefined;
  queuedSamples = 0;
  sequence = 0;
  /** Position of the first sample dropped and not yet told; -1: none. */
  gapFrom = -1;
  /** In the list of handles that have something to send. */
  active = false;
  ended = false;

  constructor(
    readonly handle: number,
    readonly sampleRateHz: number,
    readonly maxSamples: number,
  ) {}

  push(item: AudioItem): void {
    this.items.push(item);
    this.queuedSamples += item.samples;
  }

  /** The oldest; only while there is one. */
  shift(): AudioItem {
    const item = this.items.shift() as AudioItem;
    this.queuedSamples -= item.samples;
    return item;
  }
}

/**
 * The sending side of a Serve stream. It clocks itself: the first item arms setImmediate, at most one message is on
 * its way, and what waits meanwhile goes into the next one, control before audio, the handles in turn. Memory is
 * bounded: control beyond its limit ends the stream with STREAM_QUEUE_FULL, audio beyond its limit loses the oldest of
 * its handle, told by an AudioGap before the next audio. No timer and no promise per item.
 */
export class StreamWriter {
  /** Audio dropped for a slow reader, in ms. */
  droppedAudioMs = 0;
  /** Messages written. */
  messages = 0;
  /** Items written. */
  itemsWritten = 0;

  private control: (GatewayItem | undefined)[] = [];
  private controlSizes: number[] = [];
  private controlHead = 0;
  private controlBytes = 0;
  private readonly handles = new Map<number, HandleQueue>();
  /** Handles with audio, in turn; entries of ended handles are passed over. */
  private readonly active = new LinkedQueue<HandleQueue>();
  private armed = false;
  private inFlight = false;
  private state: "open" | "ending" | "closed" = "open";
  private endError: CallError | undefined;

  /**
   * `onOverflow` is told, once, when the control queue is full; the stream then ends by itself. `schedule` runs a
   * function soon, never at once: setImmediate.
   */
  constructor(
    private readonly sink: WriterSink,
    private readonly limits: StreamLimits,
    private readonly onOverflow: () => void,
    private readonly schedule: (fn: () => void) => void = setImmediate,
  ) {}

  /** Control items that wait. */
  get waitingControlItems(): number {
    return this.control.length - this.controlHead;
  }

  /** Audio that waits for a handle, in ms. */
  waitingAudioMs(handle: number): number {
    const queue = this.handles.get(handle);
    return queue ? (queue.queuedSamples * 1000) / queue.sampleRateHz : 0;
  }

  /** Queues a control item. Throws when it cannot be encoded; nothing is queued then. */
  sendControl(item: GatewayItem): void {
    if (this.state !== "open") return;
    // Encoded here for its size, and so that a bad item fails alone instead of the message it would be in.
    const size = encodeMessage(GatewayItem, item).length + ITEM_OVERHEAD_BYTES;
    if (this.isFull(size) && !this.inFlight) this.flush();
    if (this.isFull(size)) {
      this.overflow();
      return;
    }
    this.control.push(item);
    this.controlSizes.push(size);
    this.controlBytes += size;
    this.arm();
  }

  /** Audio of the handle may come from now on. `sampleRateHz` is the rate of the call. */
  openHandle(handle: number, sampleRateHz: number): void {
    const maxSamples = (this.limits.maxAudioMs * sampleRateHz) / 1000;
    this.handles.set(handle, new HandleQueue(handle, sampleRateHz, maxSamples));
  }

  /** Queues audio; ignored for a handle that is not open. `pcm` is kept. */
  sendAudio(handle: number, position: number, samples: number, pcm: Uint8Array): void {
    const queue = this.handles.get(handle);
    if (!queue || this.state !== "open") return;
    queue.push(new AudioItem(handle, ++queue.sequence, toUint(position), pcm, samples));
    while (queue.queuedSamples > queue.maxSamples && queue.items.size > 1) this.dropOldest(queue);
    if (!queue.active) {
      queue.active = true;
      this.active.push(queue);
    }
    this.arm();
  }

  /** Drops the queued audio of a handle and forgets it. */
  endHandle(handle: number): void {
    const queue = this.handles.get(handle);
    if (!queue) return;
    queue.ended = true;
    this.handles.delete(handle);
  }

  /** Ends the stream once what is queued has been written. Nothing more is taken. */
  end(error?: CallError): void {
    if (this.state !== "open") return;
    this.state = "ending";
    this.endError = error;
    this.arm();
  }

  /** The stream is gone: drops everything. */
  close(): void {
    this.state = "closed";
    this.dropAll();
  }

  private isFull(size: number): boolean {
    if (this.waitingControlItems >= this.limits.maxControlItems) return true;
    // An item larger than the whole queue is still let through when nothing waits.
    return this.controlBytes > 0 && this.controlBytes + size > this.limits.maxControlBytes;
  }

  private overflow(): void {
    const { maxControlItems, maxControlBytes } = this.limits;
    this.dropAll();
    this.end(
      new CallError("STREAM_QUEUE_FULL", "the reader is too slow; reattach, events are sent again", {
        max_items: String(maxControlItems),
        max_bytes: String(maxControlBytes),
      }),
    );
    this.onOverflow();
  }

  private dropAll(): void {
    this.control = [];
    this.controlSizes = [];
    this.controlHead = 0;
    this.controlBytes = 0;
    this.active.clear();
    this.handles.clear();
  }

  private dropOldest(queue: HandleQueue): void {
    const dropped = queue.shift();
    if (queue.gapFrom < 0) queue.gapFrom = dropped.position;
    this.droppedAudioMs += (dropped.samples * 1000) / queue.sampleRateHz;
  }

  private arm(): void {
    if (this.armed || this.inFlight) return;
    this.armed = true;
    this.schedule(this.onTurn);
  }

  private readonly onTurn = (): void => {
    this.armed = false;
    this.flush();
  };

  private readonly onWritten = (error?: Error | null): void => {
    this.inFlight = false;
    if (error) this.close();
    else this.flush();
  };

  private flush(): void {
    if (this.inFlight || this.state === "closed") return;
    const items = this.collect();
    if (items.length > 0) {
      this.inFlight = true;
      this.messages++;
      this.itemsWritten += items.length;
      this.sink.write({ items }, this.onWritten);
    } else if (this.state === "ending") {
      this.state = "closed";
      this.sink.finish(this.endError);
    }
  }

  /** The next message: what waits, up to the caps. */
  private collect(): GatewayItem[] {
    const { maxItems, maxMessageBytes } = this.limits;
    const items: GatewayItem[] = [];
    let bytes = 0;
    while (this.controlHead < this.control.length && items.length < maxItems) {
      const size = this.controlSizes[this.controlHead] as number;
      if (items.length > 0 && bytes + size > maxMessageBytes) return items;
      items.push(this.control[this.controlHead] as GatewayItem);
      this.control[this.controlHead++] = undefined;
      this.controlBytes -= size;
      bytes += size;
    }
    if (this.controlHead < this.control.length) return items;
    if (this.controlHead > 0) {
      this.control = [];
      this.controlSizes = [];
      this.controlHead = 0;
    }
    return this.collectAudio(items, bytes);
  }

  private collectAudio(items: GatewayItem[], startBytes: number): GatewayItem[] {
    const { maxItems, maxMessageBytes } = this.limits;
    let bytes = startBytes;
    // A handle that has more goes to the end of the list.
    for (let queue = this.active.first; queue && items.length < maxItems; queue = this.active.first) {
      if (queue.ended) {
        this.active.shift();
        continue;
      }
      const next = queue.items.first as AudioItem;
      const gap = queue.gapFrom >= 0;
      const size = next.pcm.length + AUDIO_OVERHEAD_BYTES + (gap ? GAP_BYTES : 0);
      if (items.length > 0 && (bytes + size > maxMessageBytes || (gap && items.length + 2 > maxItems))) break;
      if (gap) items.push(takeGap(queue, next));
      items.push(queue.shift());
      bytes += size;
      this.active.shift();
      if (queue.items.size > 0) this.active.push(queue);
      else queue.active = false;
    }
    return items;
  }
}

/** The gap that ends where `next` begins. */
function takeGap(queue: HandleQueue, next: AudioItem): GatewayItem {
  const from = queue.gapFrom;
  queue.gapFrom = -1;
  return {
    item: {
      $case: "audioGap",
      value: {
        handle: queue.handle,
        from,
        duration: toDuration(((next.position - from) * 1000) / queue.sampleRateHz),
        reason: AudioGapReason.SLOW_RECEIVER,
      },
    },
  };
}
