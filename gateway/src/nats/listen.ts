import { ListenCallReply, ListenCallRequest, type ListenCallResponse } from "@callweave/proto";
import type { BusMessage, BusSubscription } from "../bus/bus.js";
import { BusError } from "../bus/bus.js";
import { CallError } from "../call/call-error.js";
import { encodeListenCallResponse } from "../contract/audio-wire.js";
import type { Credential } from "../contract/authenticator.js";
import { toDuration, toPbAudioFormat } from "../contract/convert.js";
import { fromPbError } from "../contract/from-pb-event.js";
import { ListenWriter } from "../contract/listen-writer.js";
import { type AdmittedListener, admitListener } from "../contract/listening.js";
import { publicError } from "../contract/public-error.js";
import type { AudioFormat } from "../dispatch/agent-port.js";
import type { Listening } from "../gateway-api.js";
import { contentHeaders, encodingOf, errorBody, Message, respondError } from "./messages.js";
import { authenticated, limitReached, type Method } from "./requests.js";
import type { WireContext } from "./wire-context.js";
import { anyTenantRpcSubject, audioFormatSubject, forwardedListenSubject } from "./wire-subjects.js";

/** The audio of one call, source and format on its subject. */
interface Publisher {
  readonly format: AudioFormat;
  readonly subject: string;
  /** Who asked for it, each written down once. */
  readonly actors: Set<string>;
  /** Set once the call is heard. */
  readonly begun: Promise<void>;
  end(): void;
  renew(): void;
}

const REQUEST = new Message("ListenCallRequest", ListenCallRequest);
const REPLY = new Message("ListenCallReply", ListenCallReply);

/**
 * Audio on demand. Whoever asks with ListenCall is told the subject; the gateway of the call publishes there, once for
 * each call, source and format however many listen, until the lease of the last request ran out or the call is over.
 */
export class AudioOnDemand {
  private readonly publishers = new Map<string, Publisher>();
  private forwarded: BusSubscription | undefined;
  private stopped = false;

  constructor(private readonly context: WireContext) {}

  /** The method of the service. */
  get method(): Method<ListenCallRequest, ListenCallReply> {
    return {
      name: "ListenCall",
      rpc: "CallService/ListenCall",
      subject: anyTenantRpcSubject("ListenCall"),
      request: REQUEST,
      response: REPLY,
      run: (request, credential, message) => this.listen(request, credential, message),
    };
  }

  /** Takes what other gateways pass on for calls of this one. */
  start(): void {
    const { bus, options } = this.context;
    this.forwarded = bus.subscribe(forwardedListenSubject(options.gatewayId), (message) => {
      void this.serveForwarded(message);
    });
  }

  /** Ends all publishing. */
  stop(): void {
    this.stopped = true;
    this.forwarded?.stop();
    for (const publisher of [...this.publishers.values()]) publisher.end();
  }

  private async listen(
    request: ListenCallRequest,
    credential: Credential,
    message: BusMessage,
  ): Promise<ListenCallReply> {
    const admitted = await this.admit(request, credential);
    const { gatewayId, callId } = admitted;
    if (gatewayId === this.context.options.gatewayId) return this.here(admitted, credential);
    return this.elsewhere(gatewayId, callId, message);
  }

  /** Only the gateway of a call publishes its audio, so that nobody hears it twice. */
  private async elsewhere(gatewayId: string, callId: string, message: BusMessage): Promise<ListenCallReply> {
    const { bus, options } = this.context;
    const encoding = encodingOf(message.headers);
    const answer = await bus
      .request(forwardedListenSubject(gatewayId), message.data, {
        timeoutMs: options.forwardTimeoutMs,
        headers: message.headers,
      })
      .catch((error: unknown) => {
        if (!(error instanceof BusError)) throw error;
        const metadata = { call_id: callId, gateway_id: gatewayId };
        throw new CallError("CALL_OWNER_AWAY", "the gateway of the call does not answer", metadata);
      });
    const reply = REPLY.decode(encoding, answer.data, bus.maxPayloadBytes);
    if (reply.error) throw fromPbError(reply.error);
    return reply;
  }

  /** Refusals travel inside the reply here: the one who passed the request on answers with them. */
  private async serveForwarded(message: BusMessage): Promise<void> {
    try {
      const encoding = encodingOf(message.headers);
      const answer = await this.forwardedReply(message).catch(
        (error: unknown): ListenCallReply => ({
          error: errorBody(publicError(error, this.context.logger, "ListenCall")),
          subject: "",
          format: undefined,
          lease: undefined,
        }),
      );
      message.respond(REPLY.encode(encoding, answer), contentHeaders(encoding));
    } catch (error) {
      respondError(message, errorBody(publicError(error, this.context.logger, "ListenCall")), "json");
    }
  }

  private async forwardedReply(message: BusMessage): Promise<ListenCallReply> {
    const credential = await authenticated(this.context, message);
    const encoding = encodingOf(message.headers);
    const request = REQUEST.decode(encoding, message.data, this.context.options.maxRequestBytes);
    return this.here(await this.admit(request, credential), credential);
  }

  private admit(request: ListenCallRequest, credential: Credential): Promise<AdmittedListener> {
    return admitListener(this.context.api, credential, request, this.context.options.audit);
  }

  private async here(admitted: AdmittedListener, credential: Credential): Promise<ListenCallReply> {
    const { callId, source, format: asked, sampleRateHz } = admitted;
    const format = { encoding: asked.encoding, sampleRateHz: asked.sampleRateHz || sampleRateHz };
    const subject = audioFormatSubject(credential.tenant, callId, source, format, sampleRateHz);
    let publisher = this.publishers.get(subject);
    if (!publisher) {
      const { maxAudioPublishers } = this.context.options;
      if (this.stopped) throw new CallError("GOING_AWAY", "the gateway is going away");
      if (this.publishers.size >= maxAudioPublishers)
        throw limitReached("max_audio_publishers", maxAudioPublishers);
      publisher = this.publish(subject, format, { ...admitted, format });
    }
    await publisher.begun;
    if (!publisher.actors.has(admitted.actor)) {
      publisher.actors.add(admitted.actor);
      admitted.joined();
    }
    publisher.renew();
    return {
      error: undefined,
      subject,
      format: toPbAudioFormat(publisher.format),
      lease: toDuration(this.context.options.listenLeaseMs),
    };
  }

  private publish(subject: string, format: AudioFormat, admitted: AdmittedListener): Publisher {
    const { options, stats } = this.context;
    let listening: Listening | undefined;
    let lease: NodeJS.Timeout | undefined;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      clearTimeout(lease);
      listening?.stop();
      writer.close();
      stats.droppedAudioMs += writer.droppedMs;
      if (this.publishers.get(subject) === publisher) this.publishers.delete(subject);
      stats.audioPublishers = this.publishers.size;
    };
    const sink = {
      write: (message: ListenCallResponse, done: () => void) => this.send(subject, message, done),
      finish: end,
    };
    const writer = new ListenWriter(sink, admitted.sampleRateHz, options);
    const begin = async () => {
      try {
        listening = await admitted.begin(writer);
        if (over) listening.stop();
        else writer.start(toPbAudioFormat(listening.format));
      } catch (error) {
        end();
        throw error;
      }
    };
    const publisher: Publisher = {
      format,
      subject,
      actors: new Set([admitted.actor]),
      begun: begin(),
      end,
      renew() {
        clearTimeout(lease);
        if (over) return;
        lease = setTimeout(end, options.listenLeaseMs);
        lease.unref();
      },
    };
    publisher.begun.catch(() => {});
    this.publishers.set(subject, publisher);
    stats.audioPublishers = this.publishers.size;
    return publisher;
  }

  /** `done` when the server has it. While NATS is away nothing is sent, and the writer drops its oldest. */
  private send(subject: string, message: ListenCallResponse, done: () => void): void {
    const { bus } = this.context;
    const bytes = encodeListenCallResponse(message);
    bus.publish(subject, bytes, { headers: contentHeaders("protobuf") });
    bus.flush().then(done, () => {
      const stop = bus.onStatus((connected) => {
        stop();
        if (connected) done();
      });
      if (bus.connected) {
        stop();
        setImmediate(done);
      }
    });
  }
}
