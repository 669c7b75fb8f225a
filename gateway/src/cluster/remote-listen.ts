import { randomBytes } from "node:crypto";
import { type Bus, type BusMessage, encodeToken } from "../bus/bus.js";
import type { TapGapReason } from "../call/call-audio.js";
import type { Actor } from "../call/call-commands.js";
import type { EndReason } from "../call/call-state.js";
import type { AudioFormat } from "../dispatch/agent-port.js";
import type { Listener, Listening } from "../gateway-api.js";
import type { Clock, Timer } from "../util/clock.js";
import type { Link } from "./link.js";

/** What is asked of the gateway of the call. */
interface ListenQuestion {
  readonly actor: Actor;
  readonly callId: string;
  readonly source: "MIXED" | "AGENT";
  readonly format: AudioFormat;
  readonly listenId: string;
}

/** Options of listening over gateways. */
export interface RemoteListenOptions {
  /** A listener that does not show up for this long is dropped by the gateway of the call. Default 10,000. */
  readonly leaseMs: number;
  /** Audio waiting for the bus, in ms; beyond it the oldest is dropped and told as a gap. Default 2,000. */
  readonly maxQueuedMs: number;
}

const AUDIO = 1;
const GAP = 2;
const ENDED = 3;
const PAUSED = 4;
const HEAD_BYTES = 13;

function listenSubject(gatewayId: string, listenId: string): string {
  return `callweave._gw.${encodeToken(gatewayId)}.hear.${listenId}`;
}

/** The side of the gateway that has the listener. */
export class RemoteListeners {
  constructor(
    private readonly bus: Bus,
    private readonly link: Link,
    private readonly clock: Clock,
    private readonly gatewayId: string,
    private readonly options: RemoteListenOptions,
  ) {}

  /** Hears a call of another gateway. Rejects as CallApi.listen does, or with CALL_OWNER_AWAY. */
  async listen(
    owner: string,
    actor: Actor,
    callId: string,
    source: "MIXED" | "AGENT",
    format: AudioFormat,
    listener: Listener,
  ): Promise<Listening> {
    const { bus, link, clock, options } = this;
    const listenId = randomBytes(12).toString("hex");
    let over = false;
    let timer: Timer | undefined;
    const subscription = bus.subscribe(listenSubject(this.gatewayId, listenId), (message) => {
      if (!over && deliver(message, listener)) stop(false);
    });
    const stop = (tell: boolean) => {
      if (over) return;
      over = true;
      timer?.cancel();
      subscription.stop();
      if (tell) link.request(owner, "listen-stop", { listenId }).catch(() => {});
    };
    let renewedMs = clock.nowMs();
    const lost = () => {
      stop(false);
      listener.ended("MEDIA_LOST");
    };
    const renew = () => {
      timer = clock.after(options.leaseMs / 3, () => {
        link.request(owner, "listen-renew", { listenId }).then(
          (known) => {
            if (over) return;
            renewedMs = clock.nowMs();
            // The gateway of the call dropped us, or was restarted.
            if (known === false) lost();
          },
          () => {
            // It is dead, or cannot be reached: whoever listens has to ask again, perhaps at the call's new gateway.
            if (!over && clock.nowMs() - renewedMs > options.leaseMs) lost();
          },
        );
        if (!over) renew();
      });
    };
    try {
      const question: ListenQuestion = { actor, callId, source, format, listenId };
      const answer = (await link.request(owner, "listen", question)) as { format: AudioFormat };
      renew();
      return { format: answer.format, stop: () => stop(true) };
    } catch (error) {
      stop(false);
      throw error;
    }
  }
}

/** True when it was the last. */
function deliver({ data }: BusMessage, listener: Listener): boolean {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at + HEAD_BYTES <= data.byteLength; ) {
    const kind = view.getUint8(at);
    const position = view.getFloat64(at + 1);
    const value = view.getUint32(at + 9);
    at += HEAD_BYTES;
    if (kind === GAP || kind === PAUSED) {
      listener.gap(position, value, kind === GAP ? "PROVIDER" : "PAUSED");
    } else if (kind === AUDIO) {
      const bytes = view.getUint32(at);
      at += 4;
      // A copy: the listener may keep it, and the message holds more than this.
      listener.audio(position, value, data.slice(at, at + bytes));
      at += bytes;
    } else if (kind === ENDED) {
      listener.ended(Buffer.from(data.subarray(at)).toString() as EndReason);
      return true;
    }
  }
  return false;
}

interface Heard {
  readonly listening: Listening;
  lastMs: number;
}

/** The side of the gateway that has the call. */
export class ListenHost {
  private readonly heard = new Map<string, Heard>();
  private timer: Timer | undefined;
  private stopped = false;

  constructor(
    private readonly bus: Bus,
    link: Link,
    private readonly clock: Clock,
    private readonly options: RemoteListenOptions,
    private readonly sampleRateOf: (tenant: string, callId: string) => number,
    private readonly open: (
      actor: Actor,
      callId: string,
      source: "MIXED" | "AGENT",
      format: AudioFormat,
      listener: Listener,
    ) => Listening,
  ) {
    link.handle("listen", async (body, from) => this.begin(body as ListenQuestion, from));
    link.handle("listen-renew", async (body) => {
      const one = this.heard.get((body as { listenId: string }).listenId);
      if (one) one.lastMs = this.clock.nowMs();
      return one !== undefined;
    });
    link.handle("listen-stop", async (body) => this.end((body as { listenId: string }).listenId));
    this.sweep();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    for (const id of [...this.heard.keys()]) this.end(id);
  }

  private begin(question: ListenQuestion, from: string): { readonly format: AudioFormat } {
    const { actor, callId, source, format, listenId } = question;
    const rate = this.sampleRateOf(actor.tenant, callId);
    const sender = new AudioSender(this.bus, listenSubject(from, listenId), rate, this.options.maxQueuedMs);
    const listening = this.open(actor, callId, source, format, {
      audio: (position, samples, pcm) => sender.audio(position, samples, pcm),
      gap: (position, durationMs, reason) => sender.gap(position, durationMs, reason),
      ended: (reason) => {
        sender.ended(reason);
        this.heard.delete(listenId);
      },
    });
    this.heard.set(listenId, { listening, lastMs: this.clock.nowMs() });
    return { format: listening.format };
  }

  private end(listenId: string): void {
    const one = this.heard.get(listenId);
    if (!one) return;
    this.heard.delete(listenId);
    one.listening.stop();
  }

  private sweep(): void {
    this.timer = this.clock.after(this.options.leaseMs / 2, () => {
      const before = this.clock.nowMs() - this.options.leaseMs;
      for (const [id, one] of [...this.heard]) if (one.lastMs < before) this.end(id);
      if (!this.stopped) this.sweep();
    });
  }
}

/** Sends what is ready together as one message, one on its way; drops the oldest beyond its limit. */
class AudioSender {
  private queue: { readonly bytes: Buffer; readonly samples: number; readonly position: number }[] = [];
  private queuedSamples = 0;
  private gapFrom = -1;
  private inFlight = false;
  private armed = false;

  constructor(
    private readonly bus: Bus,
    private readonly subject: string,
    private readonly sampleRateHz: number,
    private readonly maxQueuedMs: number,
  ) {}

  audio(position: number, samples: number, pcm: Uint8Array): void {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(pcm.length);
    this.push(Buffer.concat([head(AUDIO, position, samples), length, pcm]), samples, position);
  }

  gap(position: number, durationMs: number, reason: TapGapReason): void {
    this.push(head(reason === "PROVIDER" ? GAP : PAUSED, position, Math.round(durationMs)), 0, position);
  }

  ended(reason: EndReason): void {
    this.push(Buffer.concat([head(ENDED, 0, 0), Buffer.from(reason)]), 0, 0);
  }

  private push(bytes: Buffer, samples: number, position: number): void {
    this.queue.push({ bytes, samples, position });
    this.queuedSamples += samples;
    const max = (this.maxQueuedMs * this.sampleRateHz) / 1000;
    while (this.queuedSamples > max && this.queue.length > 1) {
      const dropped = this.queue.shift();
      if (!dropped) break;
      this.queuedSamples -= dropped.samples;
      if (this.gapFrom < 0) this.gapFrom = dropped.position;
    }
    if (this.armed || this.inFlight) return;
    this.armed = true;
    setImmediate(() => {
      this.armed = false;
      this.flush();
    });
  }

  private flush(): void {
    const first = this.queue[0];
    if (this.inFlight || !first) return;
    const parts = this.queue.map(({ bytes }) => bytes);
    if (this.gapFrom >= 0) {
      const ms = ((first.position - this.gapFrom) * 1000) / this.sampleRateHz;
      parts.unshift(head(GAP, this.gapFrom, Math.max(0, Math.round(ms))));
      this.gapFrom = -1;
    }
    this.queue = [];
    this.queuedSamples = 0;
    this.inFlight = true;
    this.bus.publish(this.subject, Buffer.concat(parts));
    const done = () => {
      this.inFlight = false;
      this.flush();
    };
    this.bus.flush().then(done, () => {
      // The bus is away: what waits is dropped by its limit meanwhile.
      this.inFlight = false;
    });
  }
}

function head(kind: number, position: number, value: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt8(kind);
  bytes.writeDoubleBE(position, 1);
  bytes.writeUInt32BE(value, 9);
  return bytes;
}
