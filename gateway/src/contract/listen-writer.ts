import {
  AudioGapReason,
  type ListenCallResponse,
  type AudioFormat as PbAudioFormat,
  EndReason as PbEndReason,
} from "@callweave/proto";
import type { TapGapReason } from "../call/call-audio.js";
import type { EndReason } from "../call/call-state.js";
import type { Listener } from "../gateway-api.js";
import { LinkedQueue } from "../util/linked-queue.js";
import { AudioItem } from "./audio-wire.js";
import { toDuration, toUint } from "./convert.js";

/** Where the messages of a listener go. */
export interface ListenSink {
  /** Sends a message; `done` once it has left or never will. */
  write(message: ListenCallResponse, done: (error?: Error | null) => void): void;
  /** Ends the stream after what was written. */
  finish(): void;
}

/** A gap that waits, among audio. */
interface QueuedGap extends ListenCallResponse {
  next: Queued | undefined;
  readonly samples: 0;
  readonly position: number;
}

type Queued = AudioItem | QueuedGap;

/** However small the items are, no more wait than this. */
const MAX_QUEUED_ITEMS = 10_000;

/**
 * The sending side of ListenCall: one message on its way at a time, the rest waits. Audio beyond `maxQueuedMs` loses the
 * oldest, told by a gap before the next audio; the end of the call is never lost.
 */
export class ListenWriter implements Listener {
  /** Audio dropped for this listener, in ms. */
  droppedMs = 0;
  private first: ListenCallResponse | undefined;
  private last: ListenCallResponse | undefined;
  private readonly queue = new LinkedQueue<Queued>();
  private queuedSamples = 0;
  private sequence = 0;
  /** Position of the first sample dropped and not yet told; -1: none. */
  private gapFrom = -1;
  private started = false;
  private armed = false;
  private inFlight = false;
  private closed = false;

  /** `sampleRateHz` is the rate of the call. `schedule` runs a function soon, never at once: setImmediate. */
  constructor(
    private readonly sink: ListenSink,
    private readonly sampleRateHz: number,
    private readonly maxQueuedMs: number,
    private readonly schedule: (fn: () => void) => void = setImmediate,
  ) {}

  /** The first message; nothing leaves before it. */
  start(format: PbAudioFormat): void {
    this.started = true;
    this.first = { item: { $case: "started", value: format } };
    this.arm();
  }

  audio(position: number, samples: number, pcm: Uint8Array): void {
    this.push(new AudioItem(0, ++this.sequence, toUint(position), pcm, samples));
  }

  gap(from: number, durationMs: number, reason: TapGapReason): void {
    const { item } = gapMessage(from, durationMs, AudioGapReason[reason]);
    this.push({ item, next: undefined, samples: 0, position: from });
  }

  ended(reason: EndReason): void {
    if (this.closed || this.last) return;
    this.last = { item: { $case: "ended", value: PbEndReason[reason] } };
    this.arm();
  }

  /** The stream is gone. */
  close(): void {
    this.closed = true;
    this.queue.clear();
  }

  private push(item: Queued): void {
    if (this.closed || this.last) return;
    this.queue.push(item);
    this.queuedSamples += item.samples;
    const maxSamples = (this.maxQueuedMs * this.sampleRateHz) / 1000;
    const { queue } = this;
    while (queue.size > 1 && (this.queuedSamples > maxSamples || queue.size > MAX_QUEUED_ITEMS)) {
      const dropped = this.shift();
      if (this.gapFrom < 0) this.gapFrom = dropped.position;
      this.droppedMs += (dropped.samples * 1000) / this.sampleRateHz;
    }
    this.arm();
  }

  /** The oldest; only while there is one. */
  private shift(): Queued {
    const item = this.queue.shift() as Queued;
    this.queuedSamples -= item.samples;
    return item;
  }

  private arm(): void {
    if (this.armed || this.inFlight || !this.started) return;
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
    if (this.inFlight || this.closed) return;
    const message = this.next();
    if (!message) return;
    this.inFlight = true;
    this.sink.write(message, this.onWritten);
    if (message.item?.$case === "ended") {
      this.close();
      this.sink.finish();
    }
  }

  private next(): ListenCallResponse | undefined {
    if (this.first) {
      const message = this.first;
      this.first = undefined;
      return message;
    }
    const { first } = this.queue;
    if (!first) return this.last;
    const from = this.gapFrom;
    if (from < 0) return this.shift();
    this.gapFrom = -1;
    const { position } = first;
    return gapMessage(from, ((position - from) * 1000) / this.sampleRateHz, AudioGapReason.SLOW_RECEIVER);
  }
}

function gapMessage(from: number, durationMs: number, reason: AudioGapReason): ListenCallResponse {
  return {
    item: {
      $case: "gap",
      value: { handle: 0, from: toUint(from), duration: toDuration(durationMs), reason },
    },
  };
}
