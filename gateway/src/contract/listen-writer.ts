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

/** Audio or a gap that waits. */
interface Queued {
  next: Queued | undefined;
  readonly position: number;
  /** 0 for a gap. */
  readonly samples: number;
  /** None for a gap. */
  readonly pcm: Uint8Array | undefined;
  /** None for audio. */
  readonly gap: ListenCallResponse | undefined;
}

/** What may wait for a listener. */
export interface ListenLimits {
  /** Audio beyond it loses the oldest. ms. */
  readonly maxListenMs: number;
  /** How long audio waits for more, to go out in one message; 0: it does not. At most half of `maxListenMs`. ms. */
  readonly listenBundleMs: number;
}

/** However small the items are, no more wait than this. */
const MAX_QUEUED_ITEMS = 10_000;

/**
 * The sending side of ListenCall: one message on its way at a time, the rest waits. Audio of `listenBundleMs` goes out in one
 * message, since it is messages that a listener costs. Audio beyond `maxListenMs` loses the oldest, told by a gap before the
 * next audio; the end of the call is never lost, and waits for nothing.
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
  private armedSoon = false;
  private armedLater = false;
  private inFlight = false;
  private closed = false;
  private readonly maxSamples: number;
  private readonly bundleMs: number;
  private readonly bundleSamples: number;

  /**
   * `sampleRateHz` is the rate of the call. `schedule` runs a function after so many ms, 0: soon, never at once. Default: the
   * machine's timers.
   */
  constructor(
    private readonly sink: ListenSink,
    private readonly sampleRateHz: number,
    { maxListenMs, listenBundleMs }: ListenLimits,
    private readonly schedule: (fn: () => void, delayMs: number) => void = later,
  ) {
    this.bundleMs = Math.min(listenBundleMs, maxListenMs / 2);
    this.maxSamples = (maxListenMs * sampleRateHz) / 1000;
    this.bundleSamples = (this.bundleMs * sampleRateHz) / 1000;
  }

  /** The first message; nothing leaves before it. */
  start(format: PbAudioFormat): void {
    this.started = true;
    this.first = { item: { $case: "started", value: format } };
    this.armSoon();
  }

  audio(position: number, samples: number, pcm: Uint8Array): void {
    this.push({ next: undefined, position, samples, pcm, gap: undefined });
  }

  gap(from: number, durationMs: number, reason: TapGapReason): void {
    const gap = gapMessage(from, durationMs, AudioGapReason[reason]);
    this.push({ next: undefined, position: from, samples: 0, pcm: undefined, gap });
  }

  ended(reason: EndReason): void {
    if (this.closed || this.last) return;
    this.last = { item: { $case: "ended", value: PbEndReason[reason] } };
    this.armSoon();
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
    const { queue } = this;
    while (queue.size > 1 && (this.queuedSamples > this.maxSamples || queue.size > MAX_QUEUED_ITEMS)) {
      const dropped = this.shift();
      if (dropped.pcm) this.sequence++;
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
    if (this.bundleMs === 0) this.armSoon();
    else if (!this.armedLater && !this.inFlight && this.started) {
      this.armedLater = true;
      this.schedule(this.onLater, this.bundleMs);
    }
  }

  private armSoon(): void {
    if (this.armedSoon || this.inFlight || !this.started) return;
    this.armedSoon = true;
    this.schedule(this.onTurn, 0);
  }

  private readonly onTurn = (): void => {
    this.armedSoon = false;
    this.flush();
  };

  private readonly onLater = (): void => {
    this.armedLater = false;
    this.flush();
  };

  private readonly onWritten = (error?: Error | null): void => {
    this.inFlight = false;
    if (error) this.close();
    else if (this.last || this.queuedSamples >= this.bundleSamples) this.flush();
    else if (this.queue.size > 0) this.arm();
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
    if (from < 0) return first.gap ? this.shift().gap : this.bundle();
    this.gapFrom = -1;
    const { position } = first;
    return gapMessage(from, ((position - from) * 1000) / this.sampleRateHz, AudioGapReason.SLOW_RECEIVER);
  }

  /** The oldest audio, and what follows on it without a hole, up to what is sent at once. */
  private bundle(): AudioItem {
    const { position, samples, pcm } = this.shift() as Queued & { readonly pcm: Uint8Array };
    let all = samples;
    let parts: Uint8Array[] | undefined;
    for (let { first } = this.queue; first?.pcm; { first } = this.queue) {
      if (first.position !== position + all || all + first.samples > this.bundleSamples) break;
      parts ??= [pcm];
      parts.push(first.pcm);
      all += first.samples;
      this.shift();
    }
    const bytes = parts ? Buffer.concat(parts) : pcm;
    return new AudioItem(0, ++this.sequence, toUint(position), bytes, all);
  }
}

function later(fn: () => void, delayMs: number): void {
  if (delayMs === 0) setImmediate(fn);
  else setTimeout(fn, delayMs).unref();
}

function gapMessage(from: number, durationMs: number, reason: AudioGapReason): ListenCallResponse {
  return {
    item: {
      $case: "gap",
      value: { handle: 0, from: toUint(from), duration: toDuration(durationMs), reason },
    },
  };
}
