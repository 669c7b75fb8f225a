import { type Registered, ServeRequest, type ServeResponse } from "@callweave/proto";
import type { BusMessage, BusSubscription } from "../bus/bus.js";
import { agentSubject, isInbox } from "../bus/subjects.js";
import { CallError, invalidField } from "../call/call-error.js";
import { encodeServeResponse } from "../contract/audio-wire.js";
import { bearerHash, type Credential, sameHash } from "../contract/authenticator.js";
import { publicError } from "../contract/public-error.js";
import { ServeSession, type ServeTransport } from "../contract/serve-session.js";
import {
  contentHeaders,
  ERROR_MESSAGE,
  errorBody,
  errorHeaders,
  HEADERS,
  header,
  Message,
  oneLine,
  respondError,
} from "./messages.js";
import { foreignSubject } from "./requests.js";
import type { WireContext } from "./wire-context.js";

/** How a registration went. */
export type Admission = { readonly registered: Registered } | { readonly error: CallError };

const UP = new Message("ServeRequest", ServeRequest);
const EMPTY = new Uint8Array();

/** What waits for the agent to listen. */
interface Held {
  readonly message: ServeResponse;
  readonly done: (error?: Error | null) => void;
}

/**
 * One stream of an agent on NATS: ServeRequest on .up, ServeResponse on .down, numbered from 1 each way. Nothing is
 * published before the first frame on .up came, which tells that the agent listens. It ends with one more message on
 * .down that has the header Callweave-Status.
 */
export class AgentLink implements ServeTransport {
  readonly name: string;
  readonly peer: string;
  private readonly serve: ServeSession;
  private readonly down: string;
  private readonly subscription: BusSubscription;
  private credential: Credential;
  /** The token that frames show, hashed, and one that was given by Reauthenticate and is being checked. */
  private shown: Buffer | undefined;
  private offered: Buffer | undefined;
  private upSequence = 0;
  private downSequence = 0;
  private opened = false;
  private held: Held | undefined;
  private over = false;
  private finished = false;
  private heartbeatMs = 0;
  private lastFrameMs = performance.now();
  private silentBefore = false;
  private admit: ((admission: Admission) => void) | undefined;

  /** `session` is the token of its subjects. `onOver` is told once, when nothing of it is left. */
  constructor(
    private readonly context: WireContext,
    credential: Credential,
    /** The authorization that it registered with. */
    authorization: string | undefined,
    session: string,
    private readonly onOver: () => void,
  ) {
    const up = agentSubject(credential.tenant, session, "up");
    this.credential = credential;
    this.shown = bearerHash(authorization);
    this.name = "nats Serve";
    this.peer = context.peer;
    this.down = agentSubject(credential.tenant, session, "down");
    const { api, authenticator, logger, options, stats, bus } = context;
    this.serve = new ServeSession(
      { agents: api.agents, authenticator, limits: options.stream, logger, stats, audit: options.audit },
      this,
    );
    this.serve.admit(credential);
    this.subscription = bus.subscribe(up, (message) => this.frame(message));
  }

  /** The first item: Register, Join or Reattach. */
  begin(request: ServeRequest): Promise<Admission> {
    return new Promise((resolve) => {
      this.admit = resolve;
      this.serve.message(request);
    });
  }

  // What the session writes.

  write(message: ServeResponse, done: (error?: Error | null) => void): void {
    const [first] = message.items;
    if (this.admit && first?.item?.$case === "registered") {
      const { value } = first.item;
      const { seconds = 0, nanos = 0 } = value.heartbeatInterval ?? {};
      this.heartbeatMs = seconds * 1000 + nanos / 1e6;
      this.lastFrameMs = performance.now();
      this.admit({ registered: value });
      this.admit = undefined;
    }
    if (this.opened) this.publish(message, done);
    else this.held = { message, done };
  }

  finish(error?: CallError): void {
    if (this.finished) return;
    this.finished = true;
    // Before the last word: whoever has read it gets "no responders" for further frames.
    this.subscription.stop();
    if (this.admit) {
      this.admit({ error: error ?? new CallError("NOT_REGISTERED", "the stream ended before it began") });
      this.admit = undefined;
    } else this.publishEnd(error);
    setImmediate(() => this.gone());
  }

  // What comes.

  private frame(message: BusMessage): void {
    if (this.over || this.finished) return;
    const forged = this.forgery(message);
    if (forged) {
      this.context.stats.forgedFrames++;
      answer(message, forged);
      return;
    }
    const sequence = header(message.headers, HEADERS.sequence) ?? "";
    if (sequence !== String(this.upSequence + 1)) {
      this.context.stats.sequenceHoles++;
      const error = invalidField(HEADERS.sequence, `${this.upSequence + 1}, the next number`, sequence);
      answer(message, error);
      this.refuse(error);
      return;
    }
    this.upSequence++;
    this.lastFrameMs = performance.now();
    this.open();
    let request: ServeRequest;
    try {
      request = UP.decode("protobuf", message.data, this.context.options.stream.maxMessageBytes);
    } catch (error) {
      this.context.stats.malformed++;
      const told = publicError(error, this.context.logger, this.name);
      answer(message, told);
      this.refuse(told);
      return;
    }
    this.follow(request);
    this.serve.message(request);
    answer(message);
  }

  /**
   * Each frame shows the credential of the session: whoever only knows the subject cannot speak for the agent. What is wrong
   * with one that does not: somebody of another tenant is told what they are told on every subject that is not theirs.
   */
  private forgery(message: BusMessage): CallError | undefined {
    const value = header(message.headers, HEADERS.authorization);
    const hash = bearerHash(value);
    if (hash && (sameHash(hash, this.shown) || (this.offered && sameHash(hash, this.offered))))
      return undefined;
    const { authenticator, options, peer } = this.context;
    const known = authenticator.recognise(value === undefined ? [] : [value], peer);
    if (known && known.tenant !== this.credential.tenant)
      return foreignSubject(options.audit, "AgentService/Serve", known);
    if (known?.name === this.credential.name) return undefined;
    return new CallError("UNAUTHENTICATED", "the frame does not show the credential of its session");
  }

  /** After Reauthenticate the frames show the new credential, also those that come while it is still being checked. */
  private follow(request: ServeRequest): void {
    for (const { item } of request.items) {
      if (item?.$case !== "reauthenticate") continue;
      const offered = bearerHash(`Bearer ${item.value.token}`);
      this.offered = offered;
      this.context.authenticator
        .authenticateToken(item.value.token, this.peer)
        .then((fresh) => {
          if (fresh.tenant !== this.credential.tenant) return;
          this.credential = fresh;
          this.shown = offered;
        })
        // The session refuses the item.
        .catch(() => {})
        .finally(() => {
          if (this.offered === offered) this.offered = undefined;
        });
    }
  }

  private open(): void {
    if (this.opened) return;
    this.opened = true;
    const { held } = this;
    this.held = undefined;
    if (held) this.publish(held.message, held.done);
  }

  private refuse(error: CallError): void {
    if (this.opened) this.serve.refuse(error);
    else {
      this.serve.gone();
      this.finish(error);
    }
  }

  // The end.

  /** Ends the stream when nothing came for too long; looks twice, since a stall of this process delays both. */
  checkSilence(nowMs: number): void {
    if (this.heartbeatMs <= 0) return;
    const silent = nowMs - this.lastFrameMs > this.heartbeatMs * this.context.options.silentIntervals;
    if (silent && this.silentBefore) {
      const metadata = { heartbeat_interval_ms: String(Math.round(this.heartbeatMs)) };
      this.heartbeatMs = 0;
      this.refuse(new CallError("HEARTBEAT_LOST", "no frame came in time", metadata));
    }
    this.silentBefore = silent;
  }

  /** The stream is lost: nothing is said any more. */
  gone(): void {
    if (this.over) return;
    this.over = true;
    this.finished = true;
    this.held = undefined;
    this.subscription.stop();
    this.serve.gone();
    this.admit?.({ error: new CallError("GOING_AWAY", "the stream was lost") });
    this.admit = undefined;
    this.onOver();
  }

  private publish(message: ServeResponse, done: (error?: Error | null) => void): void {
    const { bus } = this.context;
    const headers = { [HEADERS.sequence]: String(++this.downSequence), ...contentHeaders("protobuf") };
    if (!bus.publish(this.down, encodeServeResponse(message), { headers })) {
      // A number is missing now: the agent has to come back.
      done(new Error("not published"));
      setImmediate(() => this.gone());
      return;
    }
    bus.flush().then(
      () => done(),
      (error: Error) => {
        done(error);
        this.gone();
      },
    );
  }

  private publishEnd(error: CallError | undefined): void {
    const sequence = { [HEADERS.sequence]: String(++this.downSequence) };
    const end = error && errorBody(error);
    const headers = end
      ? {
          ...errorHeaders(end, "protobuf"),
          ...sequence,
          [HEADERS.status]: String(end.code),
          [HEADERS.reason]: oneLine(error.reason),
        }
      : { ...contentHeaders("protobuf"), ...sequence, [HEADERS.status]: "0" };
    this.context.bus.publish(this.down, end ? ERROR_MESSAGE.encode("protobuf", end) : EMPTY, { headers });
  }
}

/** A frame that asks for an answer gets an empty one, or why it was not taken: so an agent knows that it is heard. */
function answer(message: BusMessage, error?: CallError): void {
  if (!isInbox(message.reply)) return;
  if (error) respondError(message, errorBody(error), "protobuf");
  else message.respond(EMPTY);
}
