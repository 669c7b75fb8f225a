import { type Bus, type BusMessage, type BusSubscription, encodeToken } from "../../bus/bus.js";
import { packError, unpackError } from "../../events/event-codec.js";
import { parseTagged, stringifyTagged } from "../../util/tagged-json.js";

/** What one relay carries: messages as tagged JSON, and audio. In the order in which they were given. */
export interface RelaySink {
  message(body: unknown): void;
  /** `pcm` may be kept. */
  audio(handle: number, position: number, samples: number, pcm: Uint8Array): void;
  /** A frame is missing, or came twice, or cannot be read: what follows is worth nothing. */
  broken(why: string): void;
}

/** Options of a relay's frames. */
export interface FrameOptions {
  /** Bytes that wait for the bus, at most; beyond it the relay is broken. Default 4 MiB. */
  readonly maxQueuedBytes: number;
  /** Bytes of one message at most; what waits beyond it goes with the next. Default 256 KiB. */
  readonly maxFrameBytes: number;
}

/** Defaults of FrameOptions. */
export const FRAME_DEFAULTS: FrameOptions = { maxQueuedBytes: 4 * 2 ** 20, maxFrameBytes: 256 * 1024 };

/** The header that counts the frames of a relay, from 1. */
export const FRAME_NUMBER = "Callweave-Sequence";
const JSON_RECORD = 1;
const AUDIO_RECORD = 2;
/** Kind and length. */
const HEAD_BYTES = 5;
/** Handle, position, samples. */
const AUDIO_HEAD_BYTES = 16;

/** The subject on which a gateway takes the frames of a relay. Only gateways may use it. */
export function relaySubject(gatewayId: string, relayId: string): string {
  return `callweave._gw.${encodeToken(gatewayId)}.relay.${relayId}`;
}

/** Sends what is ready together as one message; one message is on its way at a time. */
export class FrameSender {
  private queue: Buffer[] = [];
  private queuedBytes = 0;
  private number = 0;
  private armed = false;
  private inFlight = false;
  private over = false;

  constructor(
    private readonly bus: Bus,
    private readonly subject: string,
    private readonly options: FrameOptions,
    /** Too much waits, or the bus is away: nothing more is sent. Told once. */
    private readonly onBroken: (why: string) => void,
  ) {}

  /** Bytes that wait. */
  get waitingBytes(): number {
    return this.queuedBytes;
  }

  message(body: unknown): void {
    const json = Buffer.from(stringifyTagged(body, packError));
    this.push(Buffer.concat([head(JSON_RECORD, json.length), json]));
  }

  audio(handle: number, position: number, samples: number, pcm: Uint8Array): void {
    const record = Buffer.allocUnsafe(HEAD_BYTES + AUDIO_HEAD_BYTES + pcm.length);
    record.writeUInt8(AUDIO_RECORD, 0);
    record.writeUInt32BE(AUDIO_HEAD_BYTES + pcm.length, 1);
    record.writeUInt32BE(handle, 5);
    record.writeDoubleBE(position, 9);
    record.writeUInt32BE(samples, 17);
    record.set(pcm, HEAD_BYTES + AUDIO_HEAD_BYTES);
    this.push(record);
  }

  /** Nothing more is sent; what waits is dropped unless `flush`. */
  close(flush = false): void {
    if (flush && !this.over) this.flush();
    this.over = true;
    this.queue = [];
    this.queuedBytes = 0;
  }

  private push(record: Buffer): void {
    if (this.over) return;
    this.queue.push(record);
    this.queuedBytes += record.length;
    if (this.queuedBytes > this.options.maxQueuedBytes) {
      this.fail("the other gateway takes too little");
      return;
    }
    if (this.armed || this.inFlight) return;
    this.armed = true;
    setImmediate(() => {
      this.armed = false;
      this.flush();
    });
  }

  private flush(): void {
    if (this.inFlight || this.over || this.queue.length === 0) return;
    const frame: Buffer[] = [];
    let bytes = 0;
    while (this.queue.length > 0) {
      const next = this.queue[0] as Buffer;
      if (frame.length > 0 && bytes + next.length > this.options.maxFrameBytes) break;
      frame.push(next);
      bytes += next.length;
      this.queue.shift();
    }
    this.queuedBytes -= bytes;
    const headers = { [FRAME_NUMBER]: String(++this.number) };
    if (!this.bus.publish(this.subject, Buffer.concat(frame, bytes), { headers })) {
      this.fail("the bus is away");
      return;
    }
    this.inFlight = true;
    this.bus.flush().then(
      () => {
        this.inFlight = false;
        this.flush();
      },
      () => this.fail("the bus is away"),
    );
  }

  private fail(why: string): void {
    if (this.over) return;
    this.close();
    this.onBroken(why);
  }
}

/** Takes the frames of one relay; a hole breaks it. */
export class FrameReceiver {
  private readonly subscription: BusSubscription;
  private number = 0;
  private over = false;

  constructor(
    bus: Bus,
    subject: string,
    private readonly sink: RelaySink,
  ) {
    this.subscription = bus.subscribe(subject, (message) => this.take(message), {
      onDropped: () => this.fail("too many frames waited"),
    });
  }

  close(): void {
    this.over = true;
    this.subscription.stop();
  }

  private take({ data, headers }: BusMessage): void {
    if (this.over) return;
    if (Number(headers[FRAME_NUMBER]) !== ++this.number) {
      this.fail(`frame ${headers[FRAME_NUMBER]} instead of ${this.number}`);
      return;
    }
    try {
      this.read(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    } catch (error) {
      this.fail(`a frame could not be read: ${error}`);
    }
  }

  private read(frame: Buffer): void {
    for (let at = 0; at < frame.length && !this.over; ) {
      const kind = frame.readUInt8(at);
      const length = frame.readUInt32BE(at + 1);
      const body = frame.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
      if (body.length !== length) throw new Error("cut off");
      at += HEAD_BYTES + length;
      if (kind === JSON_RECORD) this.sink.message(parseTagged(body.toString(), unpackError));
      else if (kind === AUDIO_RECORD)
        this.sink.audio(
          body.readUInt32BE(0),
          body.readDoubleBE(4),
          body.readUInt32BE(12),
          body.subarray(AUDIO_HEAD_BYTES),
        );
    }
  }

  private fail(why: string): void {
    if (this.over) return;
    this.close();
    this.sink.broken(why);
  }
}

function head(kind: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES);
  bytes.writeUInt8(kind, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}
