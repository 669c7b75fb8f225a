import type { AgentItem, ServeRequest } from "@callweave/proto";
import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import { CallError, invalidField } from "../call/call-error.js";
import type { AgentHub, AgentNotice, AgentStream, AgentStreamHandler } from "../dispatch/agent-port.js";
import type { Logger } from "../util/logger.js";
import { readAudio } from "./audio-wire.js";
import type { Authenticator, Credential } from "./authenticator.js";
import { allows, authorize, authorizeSomewhere } from "./authorization.js";
import { fromReattach, fromRegister, fromToken, toPbItem } from "./convert-agent.js";
import { innerCallId, streamCommand } from "./convert-command.js";
import { ExpiryWatch } from "./expiry.js";
import { recordDenied } from "./guard.js";
import type { StreamLimits } from "./limits.js";
import { clientActor } from "./operations.js";
import { publicError } from "./public-error.js";
import { StreamWriter, type WriterSink } from "./stream-writer.js";
import { line, requestId, text } from "./validate.js";

type Item = NonNullable<AgentItem["item"]>;

/** What a Serve session needs besides its transport. */
export interface ServeContext {
  readonly agents: AgentHub;
  readonly authenticator: Authenticator;
  readonly limits: StreamLimits;
  readonly logger: Logger;
  readonly stats: ServeStats;
  /** Default: nothing is written down. */
  readonly audit?: AuditSink;
}

/** Counters since the start, for metrics. */
export interface ServeStats {
  /** Serve streams open now. */
  serveStreams: number;
  /** Messages and items that came on Serve streams. */
  messagesIn: number;
  itemsIn: number;
  /** Items of kinds that this contract does not know. */
  unknownItems: number;
  /** Items refused by a rule of the wire. */
  refusedItems: number;
  /** Streams ended because their control queue was full. */
  queueFull: number;
  /** Audio dropped for slow receivers, in ms. */
  droppedAudioMs: number;
}

/** Counters at the start. */
export function serveStats(): ServeStats {
  return {
    serveStreams: 0,
    messagesIn: 0,
    itemsIn: 0,
    unknownItems: 0,
    refusedItems: 0,
    queueFull: 0,
    droppedAudioMs: 0,
  };
}

/** The frames of one stream, whatever carries them. */
export interface ServeTransport extends WriterSink {
  /** For the log: the RPC, or the subject. */
  readonly name: string;
  /** "address:port" of the other side, for credentials in the stream. */
  readonly peer: string;
}

/**
 * One Serve stream on any wire: items in, notices out. The wire calls `message` for each message in order, `halfClosed`
 * when the agent will send nothing more, and `gone` once when the stream is over either way.
 */
export class ServeSession implements AgentStream {
  private readonly writer: StreamWriter;
  private handler: AgentStreamHandler | undefined;
  /** Nothing that comes is looked at any more. */
  private deaf = false;
  private over = false;
  private registerTimer: NodeJS.Timeout | undefined;
  /** Calls by handle, to check a call_id inside a command. */
  private readonly calls = new Map<number, { readonly callId: string; readonly connector: string }>();

  private credential: Credential | undefined;
  /** Of the session; known with its first item. */
  private pool: string | undefined;
  /** Whether audio may be sent: it comes too often to ask the rules each time. */
  private mayTalk = false;
  private readonly expiry: ExpiryWatch;

  constructor(
    private readonly context: ServeContext,
    private readonly transport: ServeTransport,
  ) {
    const { limits, stats } = context;
    this.writer = new StreamWriter(transport, limits, () => {
      stats.queueFull++;
      this.leaveSoon();
    });
    stats.serveStreams++;
    this.expiry = new ExpiryWatch(
      context.authenticator,
      limits.expiryWarningMs,
      (expireTimeMs) => this.send({ type: "credentialExpiring", expireTime: new Date(expireTimeMs) }),
      (why) => this.refuse(why),
    );
    this.registerTimer = setTimeout(() => this.refuse(notRegistered("nothing")), limits.registerTimeoutMs);
    this.registerTimer.unref();
  }

  /** Who it is; before the first message, which is not looked at otherwise. */
  admit(credential: Credential): void {
    if (this.over) return;
    this.credential = credential;
    this.expiry.follow(credential);
    this.weighAudio();
  }

  // The core's side.

  send(notice: AgentNotice): void {
    if (notice.type === "assigned") {
      this.writer.openHandle(notice.handle, notice.call.sampleRateHz);
      const { callId, connector } = notice.call;
      this.calls.set(notice.handle, { callId, connector });
    } else if (notice.type === "registered") {
      this.pool = notice.info.pool;
      this.weighAudio();
    } else if (notice.type === "unassigned") {
      this.calls.delete(notice.handle);
    }
    try {
      this.writer.sendControl(toPbItem(notice, (error) => this.seal(error)));
    } catch (error) {
      // A notice that cannot be written must not take the calls of the stream with it.
      this.seal(error, notice.type);
    }
  }

  sendAudio(handle: number, position: number, samples: number, pcm: Uint8Array): void {
    this.writer.sendAudio(handle, position, samples, pcm);
  }

  endHandle(handle: number): void {
    this.writer.endHandle(handle);
    this.calls.delete(handle);
  }

  end(error?: CallError): void {
    this.writer.end(error && this.seal(error));
    this.leaveSoon();
  }

  // The wire's side.

  /** The next message of the agent. */
  message({ items }: ServeRequest): void {
    if (this.deaf) return;
    const { stats, limits } = this.context;
    stats.messagesIn++;
    if (items.length > limits.maxItems) {
      this.refuse(invalidField("items", `at most ${limits.maxItems} in a message`, items.length));
      return;
    }
    stats.itemsIn += items.length;
    for (const { item } of items) {
      if (this.deaf) return;
      if (!this.handler) this.begin(item);
      else if (!item) stats.unknownItems++;
      else this.take(this.handler, item);
    }
  }

  /**
   * The next message of the agent, if it is audio alone: from `from` to `to` of `bytes`, not larger than a message may be. Does
   * what `message` would. Answers false, with nothing done, when that has to be asked.
   */
  audioMessage(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.deaf || !this.handler) return false;
    const { stats, limits } = this.context;
    const items = readAudio(bytes, from, to);
    if (items < 1 || items > limits.maxItems) return false;
    stats.messagesIn++;
    stats.itemsIn += items;
    readAudio(bytes, from, to, this.takeAudio);
    return true;
  }

  private begin(item: Item | undefined): void {
    const { agents } = this.context;
    const credential = this.credential;
    if (!credential) return;
    try {
      this.requireStream(credential);
      const actor = clientActor(credential);
      let handler: AgentStreamHandler;
      if (item?.$case === "register") {
        const registration = fromRegister(item.value);
        this.pool = registration.pool;
        this.require("Serve/register");
        const agent = { tenant: actor.tenant, name: `agent:${registration.agentId}` };
        handler = agents.register(agent, registration, this);
      } else if (item?.$case === "join") {
        const token = fromToken(item.value.sessionToken);
        this.requireSession("Serve/join", credential, token);
        handler = agents.join(actor, token, this);
      } else if (item?.$case === "reattach") {
        const token = fromToken(item.value.sessionToken);
        const calls = fromReattach(item.value);
        this.requireSession("Serve/reattach", credential, token);
        handler = agents.reattach(actor, token, calls, this);
      } else {
        throw notRegistered(item?.$case ?? "unknown");
      }
      this.handler = handler;
      clearTimeout(this.registerTimer);
    } catch (error) {
      this.refuse(this.seal(error));
    }
  }

  private take(handler: AgentStreamHandler, item: Item): void {
    if (item.$case === "audio") {
      this.takeAudio(item.value.handle, item.value.pcm);
      return;
    }
    try {
      this.requireItem(item);
      this.dispatch(handler, item);
    } catch (error) {
      this.context.stats.refusedItems++;
      const refusal = this.seal(error, item.$case);
      const handle = "handle" in item.value ? item.value.handle : 0;
      if (item.$case === "command" && isRequestId(item.value.requestId)) {
        this.send({ type: "commandResult", handle, requestId: item.value.requestId, error: refusal });
      } else {
        this.send({ type: "itemRefused", handle, item: wireName(item.$case), error: refusal });
      }
    }
  }

  /** The hottest of all items. What comes behind the end of the stream in the same message is not looked at. */
  private readonly takeAudio = (handle: number, pcm: Uint8Array): void => {
    const { handler } = this;
    if (this.deaf || !handler) return;
    try {
      if (!this.mayTalk) this.require("Serve/audio");
      handler.audio(handle, pcm);
    } catch (error) {
      this.context.stats.refusedItems++;
      this.send({ type: "itemRefused", handle, item: "audio", error: this.seal(error, "audio") });
    }
  };

  private dispatch(handler: AgentStreamHandler, item: Exclude<Item, { $case: "audio" }>): void {
    switch (item.$case) {
      case "accept":
        handler.accept(line("offer_id", item.value.offerId, 0, 100));
        break;
      case "decline":
        handler.decline(
          line("offer_id", item.value.offerId, 0, 100),
          text("reason", item.value.reason, 0, 100),
        );
        break;
      case "mark":
        handler.mark(item.value.handle, line("name", item.value.name, 1, 100));
        break;
      case "clearPlayback":
        handler.clearPlayback(item.value.handle);
        break;
      case "command": {
        const { handle, verb } = item.value;
        const id = requestId("request_id", item.value.requestId, true);
        if (!verb) throw invalidField("verb", "a verb of this contract");
        this.requireCall(handle, innerCallId(verb));
        handler.command(handle, id, streamCommand(verb));
        break;
      }
      case "heartbeat":
        if (!(item.value.load >= 0 && item.value.load <= 1)) throw invalidField("load", "from 0 to 1");
        handler.heartbeat(item.value.load);
        break;
      case "drain":
        handler.drain();
        break;
      case "bye":
        handler.bye();
        break;
      case "reauthenticate":
        this.reauthenticate(item.value.token);
        break;
      case "register":
      case "join":
      case "reattach":
        throw invalidField(wireName(item.$case), "the first item of its stream");
    }
  }

  /** The call_id inside a command may be empty; another call than the handle's would be a mistake of the agent. */
  private requireCall(handle: number, id: string): void {
    if (id === "") return;
    const known = this.callOf(handle)?.callId;
    // An unknown handle is answered by the core, as STALE_HANDLE.
    if (known !== undefined && known !== id)
      throw invalidField("call_id", "empty or the call of the handle", id);
  }

  private callOf(handle: number) {
    return handle === 0 && this.calls.size === 1 ? [...this.calls.values()][0] : this.calls.get(handle);
  }

  private requireItem(item: Exclude<Item, { $case: "audio" }>): void {
    if (item.$case !== "command") {
      this.require(`Serve/${item.$case}`);
      return;
    }
    const { verb, handle } = item.value;
    if (!verb) return;
    const call = this.callOf(handle);
    // A seat is of the pool that it was registered for, wherever the call came from.
    this.require(`Serve/command/${verb.$case}`, call);
  }

  private require(operation: string, call?: { readonly callId: string; readonly connector: string }): void {
    const credential = this.credential;
    if (!credential) throw new CallError("UNAUTHENTICATED", "nobody was admitted");
    const pool = this.pool;
    try {
      authorize(credential, operation, {
        tenant: credential.tenant,
        ...(pool !== undefined && { pool }),
        ...call,
      });
    } catch (error) {
      recordDenied(this.context.audit ?? NO_AUDIT, operation, credential, call?.callId ?? "", error);
      throw error;
    }
  }

  /** Before anything of the session is moved or told. One that is not here is refused by the core. */
  private requireSession(operation: string, { tenant }: Credential, token: string): void {
    this.pool = this.context.agents.poolOf(tenant, token);
    if (this.pool !== undefined) this.require(operation);
  }

  /** Before anything is begun: the pool is known only with the first item. */
  private requireStream(credential: Credential): void {
    const operation = "AgentService/Serve";
    try {
      authorizeSomewhere(credential, operation);
    } catch (error) {
      recordDenied(this.context.audit ?? NO_AUDIT, operation, credential, "", error);
      throw error;
    }
  }

  private weighAudio(): void {
    const { credential, pool } = this;
    if (!credential) return;
    const resource = { tenant: credential.tenant, ...(pool !== undefined && { pool }) };
    this.mayTalk = allows(credential, "Serve/audio", resource);
  }

  /** Refused, it leaves everything as it was. */
  private reauthenticate(token: string): void {
    this.context.authenticator
      .authenticateToken(token, this.transport.peer)
      .then((fresh) => {
        if (fresh.tenant !== this.credential?.tenant)
          throw new CallError("UNAUTHENTICATED", "the credential belongs to another tenant");
        this.admit(fresh);
      })
      .catch((error: unknown) => {
        if (this.over) return;
        this.context.stats.refusedItems++;
        const refusal = this.seal(error, "reauthenticate");
        this.send({ type: "itemRefused", handle: 0, item: "reauthenticate", error: refusal });
      });
  }

  /** Ends the stream with an error. */
  refuse(error: CallError): void {
    this.deaf = true;
    this.end(error);
  }

  /** The agent sends nothing more: the stream ends once what is queued is written. */
  halfClosed(): void {
    this.deaf = true;
    this.writer.end();
    this.leave();
  }

  /** The stream is over. */
  gone(): void {
    if (this.over) return;
    this.over = true;
    this.deaf = true;
    clearTimeout(this.registerTimer);
    this.expiry.stop();
    this.writer.close();
    this.context.stats.serveStreams--;
    this.context.stats.droppedAudioMs += this.writer.droppedAudioMs;
    this.leave();
  }

  /** The core is told later, never inside a call of its own. */
  private leaveSoon(): void {
    this.deaf = true;
    setImmediate(() => this.leave());
  }

  private leave(): void {
    clearTimeout(this.registerTimer);
    this.expiry.stop();
    const handler = this.handler;
    this.handler = undefined;
    handler?.lost();
  }

  private seal(error: unknown, item = ""): CallError {
    return publicError(
      error,
      this.context.logger,
      item === "" ? this.transport.name : `${this.transport.name} ${item}`,
    );
  }
}

function notRegistered(item: string): CallError {
  return new CallError("NOT_REGISTERED", "the first item must be register, join or reattach", {
    item: wireName(item),
  });
}

function isRequestId(id: string): boolean {
  try {
    return requestId("request_id", id, true) === id;
  } catch {
    return false;
  }
}

/** "clearPlayback" as the contract writes it: "clear_playback". */
function wireName(item: string): string {
  return item.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
