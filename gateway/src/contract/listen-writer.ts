import {
  AudioGapReason,
  type ListenCallResponse,
  type AudioFormat as PbAudioFormat,
  EndReason as PbEndReason,
} from "@callweave/proto";
import { ByteQueue } from "../call/byte-queue.js";
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

/** What waits: pieces of audio, each as long as the first and right behind the one before; or a gap. */
interface Run {
  next: Run | undefined;
  /** Of the first sample. */
  position: number;
  /** Pieces in it; 1 for a gap. */
  pieces: number;
  /** Of a piece, at the rate of the call; 0 for a gap. */
  readonly samples: number;
  /** Of a piece; 0 for a gap. */
  readonly bytes: number;
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

/** However small they are, no more pieces of audio and gaps wait than this. */
const MAX_QUEUED_PIECES = 10_000;

/**
 * The sending side of ListenCall: one message on its way at a time, the rest waits. Audio of `listenBundleMs` goes out in one
 * message, since it is messages that a listener costs. Audio beyond `maxListenMs` loses the oldest, told by a gap before the
 * next audio; the end of the call is never lost, and waits for nothing.
 *
 * What waits is copied: kept as it came, 100 listeners who do not read leave the garbage collector 10,000 pieces that
 * are never young garbage.
 */
export class ListenWriter implements Listener {
  /** Audio dropped for this listener, in ms. */
  droppedMs = 0;
  private first: ListenCallResponse | undefined;
  private last: ListenCallResponse | undefined;
  private readonly runs = new LinkedQueue<Run>();
  /** The audio of `runs`. */
  private readonly bytes = new ByteQueue();
  private queuedPieces = 0;
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
    if (this.closed || this.last) return;
    const { last } = this.runs;
    if (last && isNext(last, position, samples, pcm.length)) last.pieces++;
    else this.runs.push({ next: undefined, position, pieces: 1, samples, bytes: pcm.length, gap: undefined });
    this.bytes.write(pcm);
    this.pushed(samples);
  }

  gap(from: number, durationMs: number, reason: TapGapReason): void {
    if (this.closed || this.last) return;
    const gap = gapMessage(from, durationMs, AudioGapReason[reason]);
    this.runs.push({ next: undefined, position: from, pieces: 1, samples: 0, bytes: 0, gap });
    this.pushed(0);
  }

  ended(reason: EndReason): void {
    if (this.closed || this.last) return;
    this.last = { item: { $case: "ended", value: PbEndReason[reason] } };
    this.armSoon();
  }

  /** The stream is gone. */
  close(): void {
    this.closed = true;
    this.runs.clear();
    this.queuedPieces = 0;
    this.queuedSamples = 0;
    this.bytes.clear();
  }

  private pushed(samples: number): void {
    this.queuedPieces++;
    this.queuedSamples += samples;
    while (
      this.queuedPieces > 1 &&
      (this.queuedSamples > this.maxSamples || this.queuedPieces > MAX_QUEUED_PIECES)
    )
      this.drop(this.runs.first as Run);
    this.arm();
  }

  /** Loses the first piece of the oldest run. */
  private drop(run: Run): void {
    if (!run.gap) this.sequence++;
    if (this.gapFrom < 0) this.gapFrom = run.position;
    this.droppedMs += (run.samples * 1000) / this.sampleRateHz;
    this.bytes.skip(run.bytes);
    this.taken(run);
  }

  /** The first piece of the oldest run no longer waits. */
  private taken(run: Run): void {
    this.queuedPieces--;
    this.queuedSamples -= run.samples;
    run.position += run.samples;
    if (--run.pieces === 0) this.runs.shift();
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
    else if (this.queuedPieces > 0) this.arm();
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
    const { first } = this.runs;
    if (!first) return this.last;
    const from = this.gapFrom;
    if (from >= 0) {
      this.gapFrom = -1;
      const { position } = first;
      return gapMessage(from, ((position - from) * 1000) / this.sampleRateHz, AudioGapReason.SLOW_RECEIVER);
    }
    if (!first.gap) return this.bundle(first.position);
    this.taken(first);
    return first.gap;
  }

  /** The oldest piece, and what follows on it without a hole, up to what is sent at once. */
  private bundle(position: number): AudioItem {
    let samples = 0;
    let bytes = 0;
    for (
      let { first } = this.runs;
      first && !first.gap && first.position === position + samples;
      { first } = this.runs
    ) {
      if (bytes > 0 && samples + first.samples > this.bundleSamples) break;
      samples += first.samples;
      bytes += first.bytes;
      this.taken(first);
    }
    const pcm = Buffer.allocUnsafe(bytes);
    this.bytes.read(pcm, 0, bytes);
    return new AudioItem(0, ++this.sequence, toUint(position), pcm, samples);
  }
}

function isNext(run: Run, position: number, samples: number, bytes: number): boolean {
  const end = run.position + run.pieces * run.samples;
  return !run.gap && samples === run.samples && bytes === run.bytes && position === end;
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
