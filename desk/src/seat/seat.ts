import type { Assigned, Call, Offer, SeatCause, Unassigned } from "@callweave/proto/messages";
import { signal } from "@preact/signals";
import { Microphone, MicrophoneError, type MicrophoneProblem } from "../audio/microphone.js";
import { Speaker } from "../audio/speaker.js";
import type { DeskApi } from "../wire/api.js";
import { type Connection, WireError } from "../wire/connection.js";
import { AgentSession, type SessionHandlers } from "./session.js";

/** A call offered to this person. */
export interface OfferedCall {
  readonly offer: Offer;
  readonly session: AgentSession;
  /** performance.now() at which it is gone. */
  readonly untilMs: number;
}

/** The seat this person has. */
export interface HeldSeat {
  readonly callId: string;
  readonly epoch: number;
  readonly handle: number;
  readonly session: AgentSession;
  /** Undefined: taken without one, only listening and commanding. */
  readonly microphone: Microphone | undefined;
  readonly speaker: Speaker;
  readonly lastEventSequence: number;
}

/** Why a seat was not taken. */
export class TakeError extends Error {
  override readonly name = "TakeError";
  constructor(
    readonly reason: "taken" | "elsewhere" | "busy" | "noAnswer" | "over" | "lost" | "failed",
    /** With "taken": by whom, as far as is known. */
    readonly by: string,
    readonly detail: string,
  ) {
    super(reason);
  }
}

/** How long the seat is asked for, seconds. */
const TAKE_SECONDS = 8;
const RETRY_MS = 1_500;
/** How long a seat may take to come back after the connection did, ms. */
const RESUME_MS = 30_000;

/** This person as an agent: offers of the pools, the seat, the microphone. */
export class SeatKeeper {
  /** On shift: takes offers of the pools. */
  readonly available = signal(false);
  readonly offers = signal<readonly OfferedCall[]>([]);
  readonly held = signal<HeldSeat | undefined>(undefined);
  /** Taking is under way, of this call. */
  readonly taking = signal("");
  /** The microphone's trouble of now; empty when there is none. */
  readonly microphoneProblem = signal<MicrophoneProblem | "">("");
  /** Why the seat went: for people, until the next one is taken. */
  readonly lost = signal<{ readonly callId: string; readonly cause: SeatCause | "connection" } | undefined>(
    undefined,
  );
  private readonly sessions = new Map<string, AgentSession>();
  private readonly instanceIds = new Map<string, string>();
  private pools: readonly string[] = [];
  private agentId = "desk";
  /** Calls whose offer is taken without asking, since this person asked for them. */
  private wanted = "";
  private wantedMicrophone: Microphone | undefined;
  private onAssigned: ((seat: HeldSeat) => void) | undefined;
  /** A seat to come back to. */
  private resuming: HeldSeat | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly api: DeskApi,
  ) {
    connection.onLive(() => this.back());
  }

  /** Who this person is and where the calls come from. */
  setPerson(name: string, pools: readonly string[]): void {
    const wanted = pools.length > 0 ? pools : ["default"];
    const same = name === this.agentId && wanted.join("\n") === this.pools.join("\n");
    this.agentId = name.replace(/[^A-Za-z0-9._-]/g, "-").slice(0, 64) || "desk";
    this.pools = wanted;
    if (same || this.held.value) return;
    for (const session of [...this.sessions.values()]) session.bye();
    this.sessions.clear();
    if (this.available.value) this.registerAll();
  }

  /** Goes on or off shift. */
  setAvailable(available: boolean): void {
    this.available.value = available;
    if (available) this.registerAll();
    else if (!this.held.value) {
      for (const session of this.sessions.values()) session.bye();
      this.sessions.clear();
      this.offers.value = [];
    }
  }

  /**
   * Takes the seat of a call, with the microphone or, when `withoutMicrophone`, only to listen and command. `escalatedTo`
   * is the pool of a handover that is under way: it is that handover which gives the seat. Rejects with TakeError, or
   * MicrophoneError when there is none.
   */
  take(call: Call, escalatedTo: string, withoutMicrophone = false): Promise<HeldSeat> {
    return this.seated(call.callId, withoutMicrophone, async (assigned) => {
      this.wanted = call.callId;
      // The one place of this person is kept by the offer of another call.
      for (const offered of this.offers.value)
        if (offered.offer.call?.callId !== call.callId) this.decline(offered);
      if (escalatedTo !== "") {
        await this.session(escalatedTo);
        return within(assigned, TAKE_SECONDS * 1_000, "elsewhere");
      }
      const session = await this.session(this.pools[0] ?? "default");
      const to = { $case: "instanceId", value: session.instanceId } as const;
      await this.api.transfer(call.callId, to, call.seat?.epoch ?? 0, TAKE_SECONDS);
      return within(assigned, 3_000, "taken");
    });
  }

  /** Accepts an offer. As `take`. */
  accept({ offer, session }: OfferedCall, withoutMicrophone = false): Promise<HeldSeat> {
    return this.seated(offer.call?.callId ?? "", withoutMicrophone, (assigned) => {
      session.accept(offer.offerId);
      this.dropOffer(offer.offerId);
      return within(assigned, 5_000, "taken");
    });
  }

  /** The microphone first, so that nobody has a seat in which nobody is heard. */
  private async seated(
    callId: string,
    withoutMicrophone: boolean,
    ask: (assigned: Promise<HeldSeat>) => Promise<HeldSeat>,
  ): Promise<HeldSeat> {
    if (this.taking.value !== "" || this.held.value) throw new TakeError("failed", "", "busy");
    this.taking.value = callId;
    this.lost.value = undefined;
    let microphone: Microphone | undefined;
    try {
      microphone = withoutMicrophone ? undefined : await this.openMicrophone();
      this.wantedMicrophone = microphone;
      const assigned = new Promise<HeldSeat>((resolve) => {
        this.onAssigned = resolve;
      });
      return await ask(assigned);
    } catch (error) {
      microphone?.close();
      throw takeError(error);
    } finally {
      this.wanted = "";
      this.wantedMicrophone = undefined;
      this.onAssigned = undefined;
      this.taking.value = "";
      if (!this.available.value && !this.held.value) this.setAvailable(false);
    }
  }

  /** Refuses an offer. */
  decline({ offer, session }: OfferedCall): void {
    session.decline(offer.offerId, "");
    this.dropOffer(offer.offerId);
  }

  /** Another microphone in mid-call, after it was lost or chosen anew. Rejects with MicrophoneError. */
  async renewMicrophone(): Promise<void> {
    const before = this.held.value;
    if (!before) return;
    before.microphone?.close();
    const microphone = await this.openMicrophone();
    const held = this.held.value;
    if (!held || held.callId !== before.callId) microphone.close();
    else this.held.value = { ...held, microphone };
  }

  private async openMicrophone(): Promise<Microphone> {
    try {
      const microphone = await Microphone.open((pcm) => {
        const held = this.held.value;
        if (held && held.microphone === microphone && !this.connection.congested)
          held.session.audio(held.handle, pcm);
      });
      this.microphoneProblem.value = "";
      microphone.lost.subscribe((lost) => {
        if (lost) this.microphoneProblem.value = "lost";
      });
      return microphone;
    } catch (error) {
      if (error instanceof MicrophoneError) this.microphoneProblem.value = error.problem;
      throw error;
    }
  }

  private registerAll(): void {
    for (const pool of this.pools) void this.session(pool).catch(() => this.registerLater());
  }

  private registerLater(): void {
    setTimeout(() => {
      if (this.available.value && this.connection.status.value === "live") this.registerAll();
    }, RETRY_MS);
  }

  private async session(pool: string): Promise<AgentSession> {
    const known = this.sessions.get(pool);
    if (known) {
      await known.registered();
      return known;
    }
    const session = this.openSession(pool);
    await session.registered();
    return session;
  }

  private openSession(pool: string, resume?: HeldSeat): AgentSession {
    const instanceId = this.instanceIds.get(pool) ?? crypto.randomUUID();
    this.instanceIds.set(pool, instanceId);
    const { callId = "", epoch = 0, lastEventSequence = 0 } = resume ?? {};
    const reattach = resume && { token: resume.session.token, held: { callId, epoch, lastEventSequence } };
    const session: AgentSession = new AgentSession(
      this.connection,
      instanceId,
      this.agentId,
      pool,
      this.handlersOf(pool, () => session),
      reattach,
    );
    this.sessions.set(pool, session);
    return session;
  }

  private handlersOf(pool: string, session: () => AgentSession): SessionHandlers {
    return {
      offer: (offer) => this.offered(session(), offer),
      offerGone: (offerId) => this.dropOffer(offerId),
      assigned: (assigned) => void this.assigned(session(), assigned),
      unassigned: (unassigned) => this.unassigned(unassigned),
      audio: (pcm) => this.held.value?.speaker.play(pcm),
      gap: () => this.held.value?.speaker.gap(),
      note: (text, author) =>
        (this.notes.value = [...this.notes.value, { text, author, at: new Date() }].slice(-20)),
      refused: (item, reason) => {
        if (item === "reattach" && reason === "SEAT_TAKEN") this.seatGone("connection");
      },
      over: (error) => {
        if (this.sessions.get(pool) === session()) this.sessions.delete(pool);
        this.offers.value = this.offers.value.filter((one) => one.session !== session());
        if (error.reason === "LOST") return;
        // The gateway was started again and knows the call but not this session: the same instance gets its seat back.
        if (this.resuming && error.reason === "SESSION_NOT_FOUND") this.openSession(pool);
        else if (this.resuming || this.held.value?.session === session()) this.seatGone("connection");
        if (this.available.value) this.registerLater();
      },
    };
  }

  /** Notes to this person, while holding a seat. */
  readonly notes = signal<readonly { readonly text: string; readonly author: string; readonly at: Date }[]>(
    [],
  );

  private offered(session: AgentSession, offer: Offer): void {
    const callId = offer.call?.callId ?? "";
    if (this.wanted === callId) {
      session.accept(offer.offerId);
      return;
    }
    if (!this.available.value || this.held.value || this.taking.value !== "") {
      session.decline(offer.offerId, "busy");
      return;
    }
    const leftMs = (offer.timeLeft?.seconds ?? 0) * 1_000 + (offer.timeLeft?.nanos ?? 0) / 1e6;
    this.offers.value = [...this.offers.value, { offer, session, untilMs: performance.now() + leftMs }];
  }

  private dropOffer(offerId: string): void {
    this.offers.value = this.offers.value.filter((one) => one.offer.offerId !== offerId);
  }

  private async assigned(session: AgentSession, { call, epoch, handle }: Assigned): Promise<void> {
    if (!call) return;
    const { resuming } = this;
    this.resuming = undefined;
    if (resuming && resuming.callId === call.callId) {
      this.held.value = { ...resuming, session, epoch, handle };
      return;
    }
    const microphone = this.wantedMicrophone;
    const onAssigned = this.onAssigned;
    this.notes.value = [];
    const speaker = await Speaker.open();
    const seat = {
      callId: call.callId,
      epoch,
      handle,
      session,
      microphone,
      speaker,
      lastEventSequence: call.lastEventSequence,
    };
    this.held.value = seat;
    onAssigned?.(seat);
  }

  private unassigned({ callId, cause }: Unassigned): void {
    if (this.held.value?.callId === callId) this.seatGone(cause);
  }

  private seatGone(cause: SeatCause | "connection"): void {
    const held = this.held.value;
    this.held.value = undefined;
    this.resuming = undefined;
    this.microphoneProblem.value = "";
    if (!held) return;
    held.microphone?.close();
    held.speaker.close();
    this.lost.value = { callId: held.callId, cause };
    if (!this.available.value) this.setAvailable(false);
  }

  /** The connection is back: comes back to the seat, and is on shift again. */
  private back(): void {
    this.sessions.clear();
    this.offers.value = [];
    const held = this.held.value;
    if (held) {
      this.resuming = held;
      this.openSession(held.session.pool, held);
      setTimeout(() => this.resuming === held && this.seatGone("connection"), RESUME_MS);
    }
    if (this.available.value) this.registerAll();
  }
}

function within<T>(promise: Promise<T>, ms: number, otherwise: TakeError["reason"]): Promise<T> {
  return Promise.race([
    promise,
    new Promise<T>((_resolve, reject) =>
      setTimeout(() => reject(new TakeError(otherwise, "", "the seat did not come")), ms),
    ),
  ]);
}

function takeError(error: unknown): Error {
  if (!(error instanceof WireError)) return error instanceof Error ? error : new Error(String(error));
  const { reason, metadata, message } = error;
  if (reason === "SEAT_TAKEN") return new TakeError("taken", metadata.agent_id ?? "", message);
  if (reason === "PENDING_COMMAND")
    return new TakeError(metadata.pending_verb === "TransferCall" ? "taken" : "busy", "", message);
  if (reason === "OFFER_GONE") return new TakeError("taken", "", message);
  if (reason === "TRANSFER_UNANSWERED") return new TakeError("noAnswer", "", message);
  if (reason === "CALL_NOT_FOUND" || reason === "CALL_STATE") return new TakeError("over", "", message);
  if (reason === "LOST" || reason === "TIMEOUT") return new TakeError("lost", "", message);
  return new TakeError("failed", "", message);
}
