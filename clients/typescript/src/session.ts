import * as p from "@callweave/proto";
import { Backoff, sleep } from "./backoff.js";
import { CallImpl } from "./call-impl.js";
import { toContext } from "./contexts.js";
import { enumName, fromAudioFormat, toCallInfo, toMs } from "./convert.js";
import { CallweaveError, closedError, fromWire, invalidField } from "./errors.js";
import { fitReattach } from "./reattach.js";
import type { ServeStream } from "./serve-stream.js";
import type { Offer, SessionConfig, SessionPort } from "./session-port.js";
import { MAX_MESSAGE_BYTES, MAX_MESSAGE_ITEMS, Streams } from "./streams.js";

/** What a session takes and tells. */
export type { Offer, SessionConfig, SessionPort } from "./session-port.js";

/** With these a new attempt is no use. */
const FATAL = new Set(["SUPERSEDED", "INVALID_FIELD", "POOL_NOT_FOUND", "UNAUTHENTICATED"]);
/** These are final only before the first registration: a configuration may be reloaded, a token renewed. */
const FATAL_AT_FIRST = new Set(["POOL_NOT_FOUND", "UNAUTHENTICATED"]);
/** What is no gateway, or never lets this client in. Final only before the first registration too. */
const FATAL_CODES = new Set(["UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED"]);

const DEFAULT_GRACE_MS = 2_000;
const DEFAULT_HEARTBEAT_MS = 500;
const END_TIMEOUT_MS = 2_000;
/** Beyond the grace: the lease of a dead gateway, and what its successor needs. */
const TAKEOVER_MS = 13_000;
/** So long a gateway has to move the calls of one lost stream to another; then they are asked back. */
const MOVE_MS = 500;
/** A stream that lived this long counts as stable: the next wait begins with the shortest. */
const STABLE_MS = 2_000;

/** One registration at one gateway, over as many streams as it takes. */
export class Session {
  readonly calls = new Map<string, CallImpl>();
  /** Ends when the session is over; rejects when it can never work. */
  readonly finished: Promise<void>;

  private readonly handles = new Map<number, CallImpl>();
  private readonly offers = new Map<string, Offer>();
  private readonly abort = new AbortController();
  private readonly backoff = new Backoff();
  private readonly streams: Streams;
  private streamsOver: (error: CallweaveError) => void = () => {};
  private token = "";
  private endpointIndex: number;
  private up = false;
  private upAtMs = 0;
  private everUp = false;
  private lostAtMs = 0;
  private graceMs = DEFAULT_GRACE_MS;
  private heartbeatMs = DEFAULT_HEARTBEAT_MS;
  private heartbeat: NodeJS.Timeout | undefined;
  private settleTimer: NodeJS.Timeout | undefined;
  private strayTimer: NodeJS.Timeout | undefined;
  private strayedAtMs: number | undefined;
  private maxPlaybackMs = 30_000;
  private maxMessageBytes = MAX_MESSAGE_BYTES;
  private draining = false;
  private leaving = false;
  private loadFailed = false;
  /** Up again, and not all calls have come back yet. */
  private settling = false;

  constructor(
    private readonly config: SessionConfig,
    private readonly port: SessionPort,
    firstEndpoint: number,
  ) {
    this.endpointIndex = firstEndpoint;
    this.streams = new Streams(config, {
      item: (item, stream) => this.onItem(item, stream),
      strayed: (calls) => this.onStrayed(calls),
      ended: (error) => this.streamsOver(error),
    });
    this.finished = this.loop();
    this.finished.catch(() => {});
  }

  /** Offers that were taken and not yet assigned. */
  get pendingOffers(): number {
    return this.offers.size;
  }

  /** Whether the gateway knows the session and takes items. */
  get isUp(): boolean {
    return this.up;
  }

  /** Which of the endpoints it uses. */
  get endpoint(): number {
    return this.endpointIndex;
  }

  /** No more offers; calls go on. */
  drain(): void {
    if (this.draining) return;
    this.draining = true;
    if (this.up) this.send({ item: { $case: "drain", value: {} } });
  }

  /** A fresh credential for the streams. */
  reauthenticate(token: string): void {
    for (const stream of this.streams.all) {
      stream.outbox.send({ item: { $case: "reauthenticate", value: { token } } });
    }
  }

  /** Asks for a fresh token; without one the streams end, and the next ones ask again. */
  private async refresh(): Promise<void> {
    const { token } = this.config.connection;
    const fresh = await Promise.resolve()
      .then(token)
      .catch(() => "");
    if (fresh !== "" && !this.abort.signal.aborted) this.reauthenticate(fresh);
  }

  /** Gives all calls back and ends. */
  async close(): Promise<void> {
    if (this.abort.signal.aborted) return;
    const first = this.streams.first;
    const others = this.streams.all.filter((stream) => stream !== first);
    const wasUp = this.up;
    const over = this.streamsOver;
    this.abort.abort();
    this.endCalls("CLOSED");
    this.down();
    await first?.end(wasUp ? { item: { $case: "bye", value: {} } } : undefined, END_TIMEOUT_MS);
    for (const stream of others) stream.fail(closedError("session"));
    over(closedError("session"));
  }

  private async loop(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      const error = await this.connectOnce();
      if (signal.aborted) break;
      const wasStable = this.up && performance.now() - this.upAtMs > STABLE_MS;
      const wasUp = this.up;
      this.down();
      if (wasUp && !this.settling) this.lostAtMs = performance.now();
      if (wasStable) this.backoff.reset();
      if (this.isFatal(error)) {
        this.endCalls("LOST");
        throw error;
      }
      // The gateway died, or this is another one: register there under the same instance id. Its calls are kept for the
      // gateway that takes them over and gives this agent its seats again.
      if (error.reason === "SESSION_NOT_FOUND") this.token = "";
      this.giveUpLateCalls();
      if (this.leaving && this.calls.size === 0) break;
      if (!wasUp && error.reason !== "SESSION_NOT_FOUND") this.endpointIndex++;
      const waitMs = error.reason === "SESSION_NOT_FOUND" ? 0 : this.backoff.next();
      this.port.disconnected(this, error, Math.round(waitMs));
      await sleep(waitMs, signal);
      this.giveUpLateCalls();
    }
  }

  private isFatal(error: CallweaveError): boolean {
    if (this.everUp) return FATAL.has(error.reason) && !FATAL_AT_FIRST.has(error.reason);
    return FATAL.has(error.reason) || FATAL_CODES.has(error.code);
  }

  /** Streams of one registration, until the last is over. */
  private connectOnce(): Promise<CallweaveError> {
    return new Promise((resolve) => {
      this.streamsOver = resolve;
      this.streams.start(this.dialled, this.firstItem(), this.maxMessageBytes);
    });
  }

  private get dialled(): string {
    const { endpoints } = this.config.connection;
    return endpoints[this.endpointIndex % endpoints.length]!;
  }

  private firstItem(): p.AgentItem {
    if (this.token !== "" && this.calls.size > 0) return this.reattachItem([...this.calls.values()]);
    const { audioFormat, labels, ...rest } = this.config.register;
    return {
      item: {
        $case: "register",
        value: { ...rest, labels: { ...labels }, audioFormat: fromAudioFormat(audioFormat) },
      },
    };
  }

  private reattachItem(calls: readonly CallImpl[]): p.AgentItem {
    const wanted = calls.map((call) => ({
      callId: call.id,
      epoch: call.epoch,
      lastEventSequence: call.lastEventSequence,
    }));
    const { reattach, left } = fitReattach(this.token, wanted, this.maxMessageBytes);
    for (const { callId } of left) this.giveUp(callId);
    return { item: { $case: "reattach", value: reattach } };
  }

  /** A call without room in the Reattach, which is only so with ids far beyond the usual length. */
  private giveUp(callId: string): void {
    const call = this.calls.get(callId);
    if (!call) return;
    const text = `the calls to come back to do not fit a message of ${this.maxMessageBytes} bytes`;
    this.port.error(new CallweaveError("TRANSPORT", "RESOURCE_EXHAUSTED", text, { call_id: callId }), callId);
    this.remove(call).over({ cause: "LOST" });
  }

  /**
   * One stream of several is gone. The gateway moves its calls to another as soon as it sees that; should it not, they are
   * asked back on a new one.
   */
  private onStrayed(calls: readonly CallImpl[]): void {
    for (const call of calls) {
      if (this.handles.get(call.handle) === call) this.handles.delete(call.handle);
      call.onDetached();
    }
    clearTimeout(this.strayTimer);
    this.strayedAtMs ??= performance.now();
    const late = performance.now() - this.strayedAtMs > this.takeoverMs;
    this.strayTimer = setTimeout(() => {
      const strays = [...this.calls.values()].filter((call) => this.handles.get(call.handle) !== call);
      if (strays.length === 0 || late) this.strayedAtMs = undefined;
      if (late) this.dropUnanswered();
      if (strays.length === 0 || late) return;
      this.streams.start(this.dialled, this.reattachItem(strays), this.maxMessageBytes);
      this.strayTimer = setTimeout(() => this.dropUnanswered(), 2 * this.config.connectTimeoutMs);
    }, MOVE_MS);
  }

  private onItem(wire: p.GatewayItem, stream: ServeStream): void {
    const item = wire.item;
    switch (item?.$case) {
      case "registered":
        this.onRegistered(item.value, stream);
        break;
      case "offer":
        this.onOffer(item.value, stream).catch((error) => this.port.error(error, item.value.call?.callId));
        break;
      case "offerRevoked":
        this.offers.delete(item.value.offerId);
        break;
      case "assigned":
        this.onAssigned(item.value, stream);
        break;
      case "unassigned":
        this.onUnassigned(item.value);
        break;
      case "commandResult":
        this.onResult(item.value);
        break;
      case "callEvent":
        this.calls.get(item.value.callId)?.onEvent(item.value);
        break;
      case "itemRefused":
        this.onRefused(item.value);
        break;
      case "credentialExpiring":
        void this.refresh();
        break;
      case "goAway":
        // Told on every stream.
        if (this.leaving) break;
        this.leaving = true;
        this.port.goingAway(this, toMs(item.value.deadline));
        break;
      case "audio":
      case "audioGap":
      case "markReached":
      case "playback":
      case "playbackCleared":
      case "note":
        this.handles.get(item.value.handle)?.onItem(item);
        break;
      default:
        // A kind newer than this library.
        break;
    }
  }

  private onRegistered(registered: p.Registered, stream: ServeStream): void {
    if (registered.sessionToken !== "") this.token = registered.sessionToken;
    if (registered.reattachGrace) this.graceMs = toMs(registered.reattachGrace);
    if (registered.heartbeatInterval) this.heartbeatMs = toMs(registered.heartbeatInterval);
    const limits = registered.limits;
    if (limits) {
      this.maxMessageBytes = Math.min(MAX_MESSAGE_BYTES, limits.maxMessageBytes || MAX_MESSAGE_BYTES);
      if (limits.maxPlayback) this.maxPlaybackMs = toMs(limits.maxPlayback);
      const maxItems = Math.min(MAX_MESSAGE_ITEMS, limits.maxItems || MAX_MESSAGE_ITEMS);
      this.streams.answered(stream, { maxItems, maxBytes: this.maxMessageBytes });
    } else this.streams.answered(stream);
    this.onUp(registered.gatewayId);
    this.joinByNeed();
  }

  private joinByNeed(): void {
    if (this.draining || this.leaving) return;
    this.streams.joinByNeed(this.calls.size, this.dialled, this.token, this.maxMessageBytes);
  }

  private onUp(gatewayId: string): void {
    if (this.up) return;
    if (this.streams.first) this.streams.first.ready = true;
    this.up = true;
    this.everUp = true;
    this.upAtMs = performance.now();
    if (this.config.register.heartbeat && this.heartbeatMs > 0) {
      this.beat();
      this.heartbeat = setInterval(() => this.beat(), this.heartbeatMs);
    }
    if (this.draining || this.leaving) this.send({ item: { $case: "drain", value: {} } });
    if (this.calls.size > 0) {
      const back = this.streams.first?.reattaches ?? false;
      const leftMs = this.lostAtMs + this.takeoverMs - performance.now();
      this.settling = true;
      this.settleTimer = setTimeout(
        () => this.dropUnanswered(),
        back ? this.config.connectTimeoutMs : Math.max(0, leftMs),
      );
    }
    this.port.connected(this, gatewayId);
  }

  /** Calls that the gateway neither gave back nor refused after a Reattach. */
  private dropUnanswered(): void {
    this.settling = false;
    for (const call of [...this.calls.values()]) {
      if (this.handles.get(call.handle) !== call) this.remove(call).over({ cause: "LOST" });
    }
  }

  private beat(): void {
    this.send({ item: { $case: "heartbeat", value: { load: this.load() } } });
  }

  /** 0 to 1. What is wrong with the answer of the port is told once, until it answers well again. */
  private load(): number {
    try {
      const load: unknown = this.port.load();
      if (!isFiniteNumber(load)) throw invalidField("load", "a finite number from 0 to 1", load);
      this.loadFailed = false;
      return Math.min(1, Math.max(0, load));
    } catch (error) {
      if (!this.loadFailed) this.port.error(error);
      this.loadFailed = true;
      return Math.min(1, this.calls.size / this.config.register.capacity);
    }
  }

  private async onOffer(wire: p.Offer, stream: ServeStream): Promise<void> {
    const { offerId } = wire;
    const send = (item: p.AgentItem) =>
      (this.streams.has(stream) ? stream : this.streams.first)?.outbox.send(item);
    const offer: Offer = {
      call: toCallInfo(wire.call),
      context: wire.context && toContext(wire.context),
      attempt: wire.attempt,
      timeLeftMs: toMs(wire.timeLeft),
      escalationReason: enumName(p.EscalationReason, wire.escalationReason),
    };
    let answer: boolean | string = "draining";
    if (!this.draining && !this.leaving) {
      // What accept throws at once is a rejection as well.
      const decision = new Promise<boolean | string>((resolve) => resolve(this.port.accept(offer)));
      // Counted from now on, so that two offers at once do not both take the last place.
      this.offers.set(offerId, offer);
      try {
        answer = await decision;
      } catch (error) {
        this.port.error(error, offer.call.callId);
        answer = "the agent failed to decide";
      }
      if (!this.offers.has(offerId)) return;
    }
    if (answer === true) {
      send({ item: { $case: "accept", value: { offerId } } });
      return;
    }
    this.offers.delete(offerId);
    // Without types accept may answer anything.
    const reason = typeof answer === "string" ? answer.slice(0, 100) : "declined";
    send({ item: { $case: "decline", value: { offerId, reason } } });
  }

  private onAssigned(assigned: p.Assigned, stream: ServeStream): void {
    this.onUp(assigned.call?.gatewayId ?? "");
    const callId = assigned.call?.callId ?? "";
    const offer = this.offers.get(assigned.offerId);
    this.offers.delete(assigned.offerId);
    const known = this.calls.get(callId);
    const takenOver = assigned.resume === p.AssignedResume.TAKEN_OVER;
    const back = takenOver || known?.epoch === assigned.epoch;
    if (known && back && assigned.resume !== p.AssignedResume.NEW) {
      if (this.handles.get(known.handle) === known) this.handles.delete(known.handle);
      this.handles.set(assigned.handle, known);
      this.streams.bind(known, stream);
      // The gateway may have seen the loss of a stream first.
      known.onDetached();
      known.onReattached(assigned);
      return;
    }
    if (known) this.remove(known).over({ cause: "LOST" });
    const maxUnconfirmedMs = Math.max(
      this.config.callLimits.maxItemMs,
      Math.min(this.maxPlaybackMs - 500, this.config.callLimits.sendAheadMs + MAX_UNCONFIRMED_BEYOND_MS),
    );
    const call: CallImpl = new CallImpl(
      assigned,
      { context: offer?.context, escalationReason: offer?.escalationReason },
      {
        send: (item) => this.streams.send(call, item),
        kick: () => this.streams.kick(call),
        contexts: this.port.contexts,
        onError: (error) => this.port.error(error, callId),
      },
      { ...this.config.callLimits, maxUnconfirmedMs },
    );
    this.calls.set(callId, call);
    this.handles.set(assigned.handle, call);
    this.streams.bind(call, stream);
    this.joinByNeed();
    this.port.assigned(call);
  }

  private onUnassigned(unassigned: p.Unassigned): void {
    const call = this.handles.get(unassigned.handle);
    if (call) this.remove(call).onUnassigned(unassigned);
  }

  private onResult(result: p.CommandResult): void {
    const call = this.handles.get(result.handle) ?? this.calls.get(result.call?.callId ?? "");
    call?.onResult(result);
  }

  private onRefused(refused: p.ItemRefused): void {
    const error = refused.error ? fromWire(refused.error) : closedError("item");
    const offerId = error.metadata.offer_id;
    if (offerId !== undefined) this.offers.delete(offerId);
    const call =
      this.handles.get(refused.handle) ??
      (refused.item === "reattach" ? this.calls.get(error.callId ?? "") : undefined);
    if (error.reason === "OFFER_GONE") return;
    if (!call) {
      // A repeated item of a call that is over is no news.
      if (error.reason !== "STALE_HANDLE" && error.reason !== "SEAT_TAKEN") this.port.error(error);
      return;
    }
    const gone = refused.item === "reattach" || error.reason === "SEAT_TAKEN";
    if (gone) this.onUp("");
    if (gone || error.reason === "STALE_HANDLE") this.remove(call).over({ cause: "LOST" });
    else call.onRefused(refused.item, error);
  }

  private send(item: p.AgentItem): void {
    this.streams.first?.outbox.send(item);
  }

  /** The stream is gone. */
  private down(): void {
    this.up = false;
    clearInterval(this.heartbeat);
    clearTimeout(this.settleTimer);
    clearTimeout(this.strayTimer);
    this.strayedAtMs = undefined;
    this.offers.clear();
    this.handles.clear();
    this.streams.clear();
    for (const call of this.calls.values()) call.onDetached();
  }

  private giveUpLateCalls(): void {
    if (this.calls.size === 0) return;
    if (performance.now() - this.lostAtMs > this.takeoverMs) this.endCalls("LOST");
  }

  /** How long calls are kept after a lost stream: time to come back, or for another gateway to take them over. */
  private get takeoverMs(): number {
    return this.config.reattachTimeoutMs ?? this.graceMs + TAKEOVER_MS;
  }

  private endCalls(cause: "LOST" | "CLOSED"): void {
    this.token = "";
    for (const call of [...this.calls.values()]) this.remove(call).over({ cause });
  }

  private remove(call: CallImpl): CallImpl {
    this.calls.delete(call.id);
    this.streams.unbind(call);
    if (this.handles.get(call.handle) === call) this.handles.delete(call.handle);
    return call;
  }
}

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

/** How much more than `sendAheadMs` may be unconfirmed: progress comes twice a second, and a round trip. */
const MAX_UNCONFIRMED_BEYOND_MS = 2_000;
