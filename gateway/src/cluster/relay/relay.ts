import { randomBytes } from "node:crypto";
import { CallError } from "../../call/call-error.js";
import type { AgentNotice, AgentStream, ReattachCall } from "../../dispatch/agent-port.js";
import type { AgentSession } from "../../dispatch/agent-session.js";
import type { Timer } from "../../util/clock.js";
import { FrameReceiver, FrameSender, relaySubject } from "./frames.js";
import type { DownMessage, RelayOpen, RelayOpened, UpMessage } from "./messages.js";
import type { RelayClient } from "./relay-client.js";
import { RelayedSeat, type SeatPath } from "./relayed-seat.js";

const MAX_RETRY_MS = 5_000;

/** The sides of one opened relay. */
interface Wire {
  readonly sender: FrameSender;
  readonly receiver: FrameReceiver;
}

/** One agent of this gateway, shown to one other gateway. */
export class Relay implements SeatPath {
  /** Seats in calls of that gateway, by their number there. */
  private readonly seats = new Map<number, RelayedSeat>();
  private readonly offers = new Set<string>();
  private wire: Wire | undefined;
  private opening = false;
  private token = "";
  private retry: Timer | undefined;
  private retryMs: number;
  private told = "";
  private stateArmed = false;
  private over = false;
  /** What the agent saw last of the calls it wants back, as it said itself. */
  private readonly wanted = new Map<string, ReattachCall>();

  constructor(
    private readonly client: RelayClient,
    private readonly session: AgentSession,
    readonly gatewayId: string,
  ) {
    this.retryMs = client.options.retryMs;
  }

  /** Opens it, or opens it again; nothing while it is open, or the agent has no stream. */
  open(): void {
    if (this.over || this.wire || this.opening || !this.session.connected || !this.client.deps.bus.connected)
      return;
    this.retry?.cancel();
    this.opening = true;
    this.openNow().then(
      () => {
        this.opening = false;
        this.retryMs = this.client.options.retryMs;
        if (!this.session.connected) this.streamsLost();
      },
      (error: unknown) => {
        this.opening = false;
        this.openFailed(error);
      },
    );
  }

  /** The agent has no stream any more: the gateway of the calls suspends its seats. */
  streamsLost(): void {
    if (!this.wire) return;
    this.up({ t: "lost" });
    this.closeWire(true);
    this.detachSeats();
    this.dropOffers();
  }

  /** The agent is back, or has one stream more. */
  attached(calls: readonly ReattachCall[], stream: AgentStream): void {
    for (const wanted of calls) {
      const seat = this.seatOf(wanted.callId);
      if (!seat) continue;
      this.wanted.set(wanted.callId, wanted);
      // The relay is up and the agent comes on another stream before the loss of the first was seen.
      if (this.wire && seat.path === this) {
        seat.bind(stream, "REATTACHED");
        seat.replay(wanted.lastEventSequence);
      }
    }
    this.open();
  }

  /** Places, load or draining changed; told soon, once. */
  stateChanged(): void {
    if (this.stateArmed || !this.wire) return;
    this.stateArmed = true;
    queueMicrotask(() => {
      this.stateArmed = false;
      this.tellState();
    });
  }

  /** The bus is away: the other side sees the same and suspends the seats. */
  busAway(): void {
    this.closeWire(false);
    this.detachSeats();
    this.dropOffers();
  }

  /** The other gateway is dead: its seats wait for whoever takes the calls over. */
  peerGone(): void {
    this.over = true;
    this.retry?.cancel();
    this.closeWire(false);
    this.detachSeats();
    this.dropOffers();
  }

  /** The agent is gone for good. */
  bye(): void {
    this.up({ t: "bye" });
    this.close(true);
  }

  close(flush = false): void {
    this.over = true;
    this.retry?.cancel();
    this.closeWire(flush);
  }

  // ---- SeatPath -------------------------------------------------------------------------------------------------

  up(message: UpMessage): void {
    this.wire?.sender.message(message);
  }

  upAudio(handle: number, pcm: Uint8Array): void {
    this.wire?.sender.audio(handle, 0, 0, pcm);
  }

  // ---- opening --------------------------------------------------------------------------------------------------

  private async openNow(): Promise<void> {
    const { bus, link, gatewayId } = this.client.deps;
    const { frames } = this.client.options;
    const relayId = randomBytes(12).toString("hex");
    const early: (() => void)[] = [];
    let opened = false;
    let brokenEarly = false;
    const inOrder = (what: () => void) => {
      if (opened) what();
      else early.push(what);
    };
    const receiver = new FrameReceiver(bus, relaySubject(gatewayId, relayId), {
      message: (body) => inOrder(() => this.take(body as DownMessage)),
      audio: (handle, position, samples, pcm) => inOrder(() => this.hear(handle, position, samples, pcm)),
      broken: (why) => {
        if (opened) this.broken(why);
        else brokenEarly = true;
      },
    });
    const sender = new FrameSender(bus, relaySubject(this.gatewayId, relayId), frames, (why) =>
      this.broken(why),
    );
    // What the agent did not ask for when it came back is left to the grace, as with seats of this gateway.
    const back = [...this.seats.values()].filter((seat) => seat.stream || this.wanted.has(seat.callId));
    const calls = back.map((seat) => this.reattachOf(seat));
    try {
      await bus.flush();
      const answer = await this.ask(link, relayId, calls);
      this.token = answer.sessionToken;
    } catch (error) {
      receiver.close();
      sender.close();
      throw error;
    }
    if (this.over) {
      // The agent is gone meanwhile: not to be left behind as one that never answers.
      const bye: UpMessage = { t: "bye" };
      sender.message(bye);
      sender.close(true);
      receiver.close();
      return;
    }
    if (brokenEarly) {
      sender.close();
      throw new Error("the relay broke while it was opened");
    }
    this.wire = { sender, receiver };
    this.told = "";
    opened = true;
    for (const what of early) what();
    this.stateChanged();
  }

  private async ask(link: RelayClient["deps"]["link"], relayId: string, calls: readonly ReattachCall[]) {
    const { session } = this;
    const question: RelayOpen = {
      relayId,
      actor: session.actor,
      registration: { ...session.registration, instanceId: session.instanceId },
      takenElsewhere: this.takenElsewhere(),
      load: session.load,
      draining: session.draining,
    };
    if (this.token === "") return (await link.request(this.gatewayId, "relay-open", question)) as RelayOpened;
    const back = { sessionToken: this.token, calls };
    try {
      return (await link.request(this.gatewayId, "relay-open", { ...question, back })) as RelayOpened;
    } catch (error) {
      if (!(error instanceof CallError) || error.reason !== "SESSION_NOT_FOUND") throw error;
      // It was forgotten there, and with it the seats; a new relay may get them back by the instance id.
      this.token = "";
      return (await link.request(this.gatewayId, "relay-open", question)) as RelayOpened;
    }
  }

  private openFailed(error: unknown): void {
    if (this.over) return;
    const reason = error instanceof CallError ? error.reason : "INTERNAL";
    const { logger } = this.client.deps;
    logger.debug({ peer: this.gatewayId, reason }, "an agent could not be shown to another gateway yet");
    // Whoever goes away, or has no such pool, says so with every attempt; what it has stays with it.
    if (reason === "POOL_NOT_FOUND") return;
    this.openLater();
  }

  private openLater(): void {
    if (this.over) return;
    this.retry?.cancel();
    this.retry = this.client.deps.clock.after(this.retryMs * (0.5 + Math.random()), () => this.open());
    this.retryMs = Math.min(this.retryMs * 2, MAX_RETRY_MS);
  }

  private broken(why: string): void {
    if (!this.wire || this.over) return;
    this.client.deps.logger.warn({ peer: this.gatewayId, why }, "a relay broke; it is opened again");
    this.up({ t: "lost" });
    this.closeWire(true);
    this.detachSeats();
    this.dropOffers();
    this.open();
  }

  private closeWire(flush: boolean): void {
    const { wire } = this;
    this.wire = undefined;
    wire?.receiver.close();
    wire?.sender.close(flush);
  }

  // ---- seats ----------------------------------------------------------------------------------------------------

  /** The seats cannot be reached now; kept for a time. */
  private detachSeats(): void {
    const { clock } = this.client.deps;
    for (const seat of this.seats.values()) {
      seat.path = undefined;
      seat.giveUp ??= clock.after(this.client.options.takeoverGraceMs, () => {
        if (seat.detached) seat.end("LOST");
        if (this.seats.get(seat.remoteHandle) === seat) this.seats.delete(seat.remoteHandle);
      });
    }
    this.session.placesChanged();
  }

  private dropOffers(): void {
    for (const offerId of this.offers) {
      if (this.session.remoteOffers.delete(offerId))
        this.session.quietestStream()?.send({ type: "offerRevoked", offerId });
    }
    this.offers.clear();
    this.session.placesChanged();
  }

  /** True for a seat in a call of this relay's gateway. */
  isMine(seat: RelayedSeat): boolean {
    return [...this.seats.values()].includes(seat);
  }

  private seatOf(callId: string): RelayedSeat | undefined {
    for (const seat of this.seats.values()) if (seat.callId === callId) return seat;
    return undefined;
  }

  private reattachOf(seat: RelayedSeat): ReattachCall {
    const said = this.wanted.get(seat.callId);
    this.wanted.delete(seat.callId);
    if (said) seat.lastEventSequence = said.lastEventSequence;
    return {
      callId: seat.callId,
      epoch: seat.epoch,
      lastEventSequence: seat.lastEventSequence,
    };
  }

  // ---- state ----------------------------------------------------------------------------------------------------

  /** Places taken by other ways than this gateway; a seat of a dead gateway is free for whoever takes its call over. */
  private takenElsewhere(): number {
    const { session } = this;
    let here = this.offers.size;
    for (const seat of session.remoteSeats.values())
      if (seat.detached || this.isMine(seat as RelayedSeat)) here++;
    return Math.max(0, session.takenPlaces - here);
  }

  private tellState(): void {
    if (!this.wire) return;
    const { session } = this;
    const takenElsewhere = this.takenElsewhere();
    const told = `${takenElsewhere} ${session.load} ${session.draining}`;
    if (told === this.told) return;
    if (session.draining && !this.told.endsWith("true")) this.up({ t: "drain" });
    this.told = told;
    this.up({ t: "state", takenElsewhere, load: session.load });
  }

  // ---- what the other gateway says ------------------------------------------------------------------------------

  private hear(handle: number, position: number, samples: number, pcm: Uint8Array): void {
    const seat = this.seats.get(handle);
    if (seat?.path === this) seat.stream?.sendAudio(seat.handle, position, samples, pcm);
  }

  private take(message: DownMessage): void {
    if (this.over || !this.wire) return;
    if (message.t === "end") {
      this.closeWire(false);
      this.detachSeats();
      this.dropOffers();
      this.openLater();
      return;
    }
    this.notice(message.notice);
  }

  private notice(notice: AgentNotice): void {
    switch (notice.type) {
      case "offer":
        this.offered(notice);
        return;
      case "offerRevoked":
        this.offers.delete(notice.offerId);
        if (!this.session.remoteOffers.delete(notice.offerId)) return;
        this.session.quietestStream()?.send(notice);
        this.session.placesChanged();
        return;
      case "assigned":
        this.assigned(notice);
        return;
      case "unassigned": {
        const seat = this.seats.get(notice.handle);
        if (!seat) return;
        this.seats.delete(notice.handle);
        const { stream, handle } = seat;
        this.session.dropRemote(seat);
        seat.replaced();
        stream?.send({ ...notice, handle });
        return;
      }
      case "callEvent":
        this.seatOf(notice.event.callId)?.event(notice.event);
        return;
      case "itemRefused":
        this.refused(notice);
        return;
      case "registered":
      case "goAway":
      case "credentialExpiring":
        return;
      default:
        this.seats.get(notice.handle)?.tell(notice);
    }
  }

  private offered(notice: Extract<AgentNotice, { type: "offer" }>): void {
    const { session } = this;
    const { offerId } = notice;
    const stream = session.quietestStream();
    if (!stream || !session.takesOffers || session.freePlaces <= 0) {
      this.up({ t: "decline", offerId, reason: "BUSY" });
      return;
    }
    this.offers.add(offerId);
    session.remoteOffers.set(offerId, {
      offerId,
      // The place stays taken until the gateway of the call has answered.
      accept: () => this.up({ t: "accept", offerId }),
      decline: (reason) => {
        this.offers.delete(offerId);
        session.remoteOffers.delete(offerId);
        this.up({ t: "decline", offerId, reason });
        session.placesChanged();
      },
    });
    stream.send(notice);
    session.placesChanged();
  }

  private assigned(notice: Extract<AgentNotice, { type: "assigned" }>): void {
    const { session } = this;
    this.offers.delete(notice.offerId);
    session.remoteOffers.delete(notice.offerId);
    const known = this.seatOf(notice.call.callId);
    if (known) {
      this.seats.delete(known.remoteHandle);
      known.renew(notice, this);
      this.seats.set(notice.handle, known);
      // A break between the gateways that the agent did not see is not told to it.
      const stream = known.stream ?? session.quietestStream();
      if (stream && (known.stream === undefined || notice.resume === "TAKEN_OVER"))
        known.bind(stream, notice.resume);
      session.placesChanged();
      return;
    }
    const stream = session.quietestStream();
    if (!stream) return;
    const seat = new RelayedSeat(session, notice, this);
    this.seats.set(notice.handle, seat);
    seat.bind(stream);
  }

  private refused(notice: Extract<AgentNotice, { type: "itemRefused" }>): void {
    if (notice.handle !== 0) {
      this.seats.get(notice.handle)?.tell(notice);
      return;
    }
    const { offer_id: offerId, call_id: callId } = notice.error.metadata;
    if (notice.item === "accept" && offerId) {
      this.offers.delete(offerId);
      if (this.session.remoteOffers.delete(offerId)) this.session.quietestStream()?.send(notice);
      this.session.placesChanged();
      return;
    }
    const seat = notice.item === "reattach" && callId ? this.seatOf(callId) : undefined;
    if (!seat) return;
    this.seats.delete(seat.remoteHandle);
    seat.end("GRACE_EXPIRED");
  }
}
