import {
  type AgentItem,
  type Assigned,
  AudioEncoding,
  type AudioGap,
  type GatewayItem,
  type Offer,
  ServeRequest,
  ServeResponse,
  type Unassigned,
} from "@callweave/proto/messages";
import { SAMPLE_RATE } from "../audio/speaker.js";
import { type Connection, type OpenStream, toWireError, WireError } from "../wire/connection.js";

/** What a session tells whoever holds it. */
export interface SessionHandlers {
  offer(offer: Offer): void;
  offerGone(offerId: string): void;
  assigned(assigned: Assigned): void;
  unassigned(unassigned: Unassigned): void;
  audio(pcm: Uint8Array): void;
  gap(gap: AudioGap): void;
  note(text: string, author: string): void;
  /** An item was refused: the microphone came too fast, an offer was gone. */
  refused(item: string, reason: string): void;
  /** The session is over; `LOST` when the connection broke. */
  over(error: WireError): void;
}

/** A call to come back to after the connection broke. */
export interface HeldCall {
  readonly callId: string;
  readonly epoch: number;
  readonly lastEventSequence: number;
}

const REGISTER_MS = 10_000;

/** One Serve stream: this browser as an agent of one pool, with one place. */
export class AgentSession {
  /** For Reattach; a secret of this page. */
  token = "";
  private readonly stream: OpenStream;
  private readonly ready: Promise<void>;
  private settle: { resolve(): void; reject(error: Error): void } = { resolve() {}, reject() {} };
  private ended = false;

  constructor(
    connection: Connection,
    /** A UUID, the same over reconnects. */
    readonly instanceId: string,
    private readonly agentId: string,
    readonly pool: string,
    private readonly handlers: SessionHandlers,
    reattach?: { readonly token: string; readonly held: HeldCall },
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.ready.catch(() => {});
    this.stream = connection.open("AgentService/Serve", new Uint8Array(), {
      message: (bytes) => {
        for (const item of ServeResponse.decode(bytes).items) this.take(item);
      },
      end: (error) => this.end(error ?? new WireError("ENDED", "the session is over")),
    });
    if (reattach)
      this.send({ $case: "reattach", value: { sessionToken: reattach.token, calls: [reattach.held] } });
    else this.send({ $case: "register", value: this.registration() });
    setTimeout(() => this.settle.reject(new WireError("TIMEOUT", "not registered in time")), REGISTER_MS);
  }

  /** Resolves when the gateway knows this browser. */
  registered(): Promise<void> {
    return this.ready;
  }

  accept(offerId: string): void {
    this.send({ $case: "accept", value: { offerId } });
  }

  decline(offerId: string, reason: string): void {
    this.send({ $case: "decline", value: { offerId, reason } });
  }

  audio(handle: number, pcm: Uint8Array): void {
    this.send({ $case: "audio", value: { handle, pcm } });
  }

  /** Drops what of the microphone is not played yet. */
  clear(handle: number): void {
    this.send({ $case: "clearPlayback", value: { handle } });
  }

  /** Gives everything back and ends. */
  bye(): void {
    this.send({ $case: "bye", value: {} });
    this.stream.halfClose();
  }

  private registration() {
    return {
      agentId: this.agentId,
      instanceId: this.instanceId,
      pool: this.pool,
      capacity: 1,
      audioFormat: { encoding: AudioEncoding.S16LE, sampleRateHertz: SAMPLE_RATE },
      labels: { kind: "desk", language: navigator.language },
      answerOnAccept: true,
      heartbeat: false,
      noAudio: false,
    };
  }

  private send(item: NonNullable<AgentItem["item"]>): void {
    if (!this.ended) this.stream.send(ServeRequest.encode({ items: [{ item }] }).finish());
  }

  private take({ item }: GatewayItem): void {
    const { handlers } = this;
    switch (item?.$case) {
      case "registered":
        this.token = item.value.sessionToken;
        this.settle.resolve();
        break;
      case "offer":
        handlers.offer(item.value);
        break;
      case "offerRevoked":
        handlers.offerGone(item.value.offerId);
        break;
      case "assigned":
        handlers.assigned(item.value);
        break;
      case "unassigned":
        handlers.unassigned(item.value);
        break;
      case "audio":
        handlers.audio(item.value.pcm);
        break;
      case "audioGap":
        handlers.gap(item.value);
        break;
      case "note":
        handlers.note(item.value.text, item.value.author);
        break;
      case "itemRefused":
        handlers.refused(item.value.item, item.value.error ? toWireError(item.value.error).reason : "");
        break;
    }
  }

  private end(error: WireError): void {
    if (this.ended) return;
    this.ended = true;
    this.settle.reject(error);
    this.handlers.over(error);
  }
}
