import { randomBytes } from "node:crypto";
import { RegisterReply, ServeRequest } from "@callweave/proto";
import { BusError, type BusMessage, type BusSubscription } from "../bus/bus.js";
import { CallError, invalidField } from "../call/call-error.js";
import type { Credential } from "../contract/authenticator.js";
import { fromPbError } from "../contract/from-pb-event.js";
import { publicError } from "../contract/public-error.js";
import { AgentLink } from "./agent-link.js";
import { contentHeaders, encodingOf, errorBody, HEADERS, header, Message } from "./messages.js";
import { authenticated, limitReached, type Method } from "./requests.js";
import type { WireContext } from "./wire-context.js";
import { ANY_TENANT_REGISTER, FORWARDED_REGISTER, REGISTER_ANEW } from "./wire-subjects.js";

const REQUEST = new Message("ServeRequest", ServeRequest);
const REPLY = new Message("RegisterReply", RegisterReply);
const SILENCE_CHECK_MS = 200;

/** Agents on NATS: where they register, and their streams. */
export class NatsAgents {
  private readonly links = new Set<AgentLink>();
  private forwarded: BusSubscription | undefined;
  private anew: BusSubscription | undefined;
  private offStatus: (() => void) | undefined;
  private silence: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly context: WireContext) {}

  /** Registration as endpoint of the service: a ServeRequest with one item. */
  get method(): Method<ServeRequest, RegisterReply> {
    return {
      name: "Serve",
      rpc: "AgentService/Serve",
      subject: ANY_TENANT_REGISTER,
      request: REQUEST,
      response: REPLY,
      run: (request, credential, message) => this.register(request, credential, message),
    };
  }

  /** Streams open now. */
  get streams(): number {
    return this.links.size;
  }

  /** Takes what other gateways pass on, and watches over the streams. */
  start(): void {
    const { bus } = this.context;
    this.forwarded = bus.subscribe(FORWARDED_REGISTER, (message) => {
      void this.serveForwarded(message, true);
    });
    this.anew = bus.subscribe(REGISTER_ANEW, (message) => void this.serveForwarded(message, false), {
      queue: "q",
    });
    // Frames were lost both ways when the connection was: every stream is.
    this.offStatus = bus.onStatus((connected) => {
      if (!connected) this.cut();
    });
    this.silence = setInterval(() => {
      const nowMs = performance.now();
      for (const link of [...this.links]) link.checkSilence(nowMs);
    }, SILENCE_CHECK_MS);
    this.silence.unref();
  }

  /** The gateway is leaving: what registers is passed on to others. */
  leave(): void {
    this.anew?.stop();
  }

  /** Ends all streams without a word; the core has ended their sessions before. */
  stop(): void {
    this.stopped = true;
    this.forwarded?.stop();
    this.anew?.stop();
    this.offStatus?.();
    clearInterval(this.silence);
    this.cut();
  }

  private cut(): void {
    for (const link of [...this.links]) link.gone();
  }

  private async register(
    request: ServeRequest,
    credential: Credential,
    message: BusMessage,
  ): Promise<RegisterReply> {
    const item = firstItem(request);
    try {
      return await this.begin(request, credential, message);
    } catch (error) {
      const reason = error instanceof CallError ? error.reason : "INTERNAL";
      const subject =
        item === "register"
          ? reason === "GOING_AWAY" && REGISTER_ANEW
          : reason === "SESSION_NOT_FOUND" && FORWARDED_REGISTER;
      const reply = subject && (await this.askOthers(subject, message));
      if (!reply) throw error;
      return reply;
    }
  }

  private async begin(
    request: ServeRequest,
    credential: Credential,
    message: BusMessage,
  ): Promise<RegisterReply> {
    const { maxSessions } = this.context.options;
    if (this.stopped) throw new CallError("GOING_AWAY", "the gateway is going away");
    if (this.links.size >= maxSessions) throw limitReached("max_sessions", maxSessions);
    const session = randomBytes(16).toString("base64url");
    const link: AgentLink = new AgentLink(
      this.context,
      credential,
      header(message.headers, HEADERS.authorization),
      session,
      () => this.links.delete(link),
    );
    this.links.add(link);
    const admission = await link.begin(withHeartbeat(request));
    if ("error" in admission) throw admission.error;
    return { error: undefined, session, registered: admission.registered };
  }

  /** The gateway that knows the session, or takes a new one; undefined when none does. */
  private async askOthers(subject: string, message: BusMessage): Promise<RegisterReply | undefined> {
    const { bus, options } = this.context;
    const headers = { ...message.headers, [HEADERS.gateway]: options.gatewayId };
    try {
      const answer = await bus.request(subject, message.data, {
        timeoutMs: options.forwardTimeoutMs,
        headers,
      });
      const reply = REPLY.decode(encodingOf(message.headers), answer.data, bus.maxPayloadBytes);
      if (reply.error) throw fromPbError(reply.error);
      return reply;
    } catch (error) {
      if (error instanceof BusError) return undefined;
      throw error;
    }
  }

  /** `known`: answers only when the session is one of this gateway. */
  private async serveForwarded(message: BusMessage, known: boolean): Promise<void> {
    if (header(message.headers, HEADERS.gateway) === this.context.options.gatewayId) return;
    try {
      const encoding = encodingOf(message.headers);
      const credential = await authenticated(this.context, message);
      const request = REQUEST.decode(encoding, message.data, this.context.options.maxRequestBytes);
      if ((firstItem(request) === "register") === known) return;
      let reply: RegisterReply;
      try {
        reply = await this.begin(request, credential, message);
      } catch (error) {
        if (error instanceof CallError && error.reason === "SESSION_NOT_FOUND") return;
        const told = errorBody(publicError(error, this.context.logger, "Serve"));
        reply = { error: told, session: "", registered: undefined };
      }
      message.respond(REPLY.encode(encoding, reply), contentHeaders(encoding));
    } catch (error) {
      // The gateway that passed it on has checked it already; this one has nothing to add.
      this.context.logger.debug({ err: String(error) }, "passed on registration not understood");
    }
  }
}

/** The kind of the one item. Throws NOT_REGISTERED or INVALID_FIELD. */
function firstItem({ items }: ServeRequest): "register" | "join" | "reattach" {
  if (items.length !== 1)
    throw invalidField("items", "exactly one: register, join or reattach", items.length);
  const kind = items[0]?.item?.$case;
  if (kind === "register" || kind === "join" || kind === "reattach") return kind;
  throw new CallError("NOT_REGISTERED", "the first item must be register, join or reattach", {
    item: kind ?? "unknown",
  });
}

/** On NATS nobody sees a connection break: heartbeats are not left to choice. */
function withHeartbeat(request: ServeRequest): ServeRequest {
  const [first] = request.items;
  if (first?.item?.$case !== "register") return request;
  return { items: [{ item: { $case: "register", value: { ...first.item.value, heartbeat: true } } }] };
}
