import type { Actor, CallCommand } from "../call/call-commands.js";
import { CallError } from "../call/call-error.js";
import type { Clock, Timer } from "../util/clock.js";
import type { AgentStream, AgentStreamHandler, Registration } from "./agent-port.js";
import type { Assignment } from "./assignment.js";
import type { Offer } from "./offer.js";
import type { Pool } from "./pool.js";
import { NO_RELAY, type RemoteOffer, type RemoteSeat, type SessionRelay } from "./session-relay.js";

/** What a session needs from dispatch. */
export interface SessionEvents {
  accepted(session: AgentSession, offer: Offer): void;
  offerEnded(offer: Offer, end: "DECLINED" | "REVOKED"): void;
  /** A place is free, or offers may be made. */
  placeFreed(session: AgentSession): void;
  /** It takes no more offers. */
  drained(session: AgentSession): void;
  /** A call goes to a sibling stream (`bind`): what may have been lost on the broken one is told again. */
  moved(assignment: Assignment, bind: () => void): void;
  /** It is over: no stream came back in time, or Bye, or another took its instance id. */
  sessionEnded(session: AgentSession): void;
}

/** How long after the limit heartbeats that are on their way may still be read. */
const SECOND_LOOK_MS = 50;

/** How long a session without a stream is known after its seats went to others. */
const SESSION_LINGER_MS = 10_000;

/** One agent process: its streams, its seats, its offers. */
export class AgentSession {
  readonly assignments = new Map<string, Assignment>();
  readonly offers = new Map<string, Offer>();
  /** Seats in calls of other gateways, by call id, and offers of theirs. */
  readonly remoteSeats = new Map<string, RemoteSeat>();
  readonly remoteOffers = new Map<string, RemoteOffer>();
  /** Places taken at other gateways; of a session that another gateway relays. */
  takenElsewhere = 0;
  readonly streams = new Set<AgentStream>();
  readonly registerTime: Date;
  load = 0;
  draining = false;
  /** When it was last offered a call; monotonic. */
  lastOfferMs = 0;
  private readonly byHandle = new Map<number, Assignment | RemoteSeat>();
  private handles = 0;
  private lastBeatMs: number;
  private beatTimer: Timer | undefined;
  private awayTimer: Timer | undefined;
  private over = false;

  constructor(
    readonly actor: Actor,
    readonly registration: Registration,
    readonly instanceId: string,
    readonly token: string,
    readonly pool: Pool,
    private readonly clock: Clock,
    private readonly events: SessionEvents,
    private readonly relay: SessionRelay = NO_RELAY,
  ) {
    this.registerTime = clock.wallNow();
    this.lastBeatMs = clock.nowMs();
    if (registration.heartbeat) this.watchHeartbeat();
  }

  get freePlaces(): number {
    return this.registration.capacity - this.takenPlaces - this.takenElsewhere;
  }

  /** Places taken through this gateway, also in calls of others. */
  get takenPlaces(): number {
    return this.assignments.size + this.offers.size + this.remoteSeats.size + this.remoteOffers.size;
  }

  /** Calls it has the seat of, here and at other gateways. */
  get callIds(): string[] {
    return [...this.assignments.keys(), ...this.remoteSeats.keys()];
  }

  /** Set when the agent is connected to another gateway, which relays. */
  get relayedBy(): string | undefined {
    return this.registration.relayedBy;
  }

  get takesOffers(): boolean {
    return !this.over && !this.draining && this.streams.size > 0;
  }

  /** 0 to 1 and above: the larger of the told load and the places taken. */
  get busyness(): number {
    const taken = (this.takenPlaces + this.takenElsewhere) / this.registration.capacity;
    return Math.max(taken, this.load);
  }

  get connected(): boolean {
    return this.streams.size > 0;
  }

  get ended(): boolean {
    return this.over;
  }

  nextHandle(): number {
    return ++this.handles;
  }

  /** The stream with the fewest calls: where an offer and its call go. */
  quietestStream(): AgentStream | undefined {
    let best: AgentStream | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const stream of this.streams) {
      let count = 0;
      for (const a of this.assignments.values()) if (a.stream === stream) count++;
      for (const seat of this.remoteSeats.values()) if (seat.stream === stream) count++;
      if (count < fewest) {
        best = stream;
        fewest = count;
      }
    }
    return best;
  }

  /** Adds a stream and gives the wire its handler. */
  attach(stream: AgentStream): AgentStreamHandler {
    this.awayTimer?.cancel();
    this.streams.add(stream);
    this.lastBeatMs = this.clock.nowMs();
    if (this.registration.heartbeat && !this.beatTimer) this.watchHeartbeat();
    return new StreamHandler(this, stream, this.events);
  }

  /** A seat is its own: bound to a stream, known by its handle. */
  bind(
    assignment: Assignment,
    stream: AgentStream,
    resume: "NEW" | "REATTACHED" | "MOVED" | "TAKEN_OVER",
  ): void {
    const { callId } = assignment.call.facts;
    const remote = this.remoteSeats.get(callId);
    if (remote) {
      // The call came here from a gateway that died; the agent is told of its new handle below.
      this.forgetRemote(remote);
      remote.replaced();
    }
    this.byHandle.delete(assignment.handle);
    this.assignments.set(callId, assignment);
    assignment.bind(stream, resume);
    this.byHandle.set(assignment.handle, assignment);
    this.relay.changed(this);
  }

  /** A seat in a call of another gateway, under a new handle on its stream; in the place of an older one of the call. */
  bindRemote(seat: RemoteSeat, stream: AgentStream): void {
    const older = this.remoteSeats.get(seat.callId);
    if (older && older !== seat) {
      this.forgetRemote(older);
      older.replaced();
    }
    this.byHandle.delete(seat.handle);
    seat.stream?.endHandle(seat.handle);
    seat.stream = stream;
    seat.handle = this.nextHandle();
    this.byHandle.set(seat.handle, seat);
    this.remoteSeats.set(seat.callId, seat);
    this.relay.changed(this);
  }

  /** A seat at another gateway is not its own any more. */
  dropRemote(seat: RemoteSeat): void {
    this.forgetRemote(seat);
    this.placesChanged();
  }

  /** The same without a word: another seat takes its place at once. */
  private forgetRemote(seat: RemoteSeat): void {
    this.byHandle.delete(seat.handle);
    seat.stream?.endHandle(seat.handle);
    if (this.remoteSeats.get(seat.callId) === seat) this.remoteSeats.delete(seat.callId);
  }

  /** A place was taken or became free in a way that dispatch does not see. */
  placesChanged(): void {
    this.relay.changed(this);
    if (this.freePlaces > 0) this.events.placeFreed(this);
  }

  /** A seat is not its own any more. */
  unassigned(assignment: Assignment): void {
    this.byHandle.delete(assignment.handle);
    if (this.assignments.get(assignment.call.facts.callId) !== assignment) return;
    this.assignments.delete(assignment.call.facts.callId);
    this.relay.changed(this);
    this.events.placeFreed(this);
  }

  /** The seat of a handle on a stream; 0 is the one call of a session with capacity 1. */
  resolve(handle: number, stream: AgentStream): Assignment | RemoteSeat | undefined {
    if (handle === 0 && this.registration.capacity === 1) {
      for (const seats of [this.assignments, this.remoteSeats])
        for (const seat of seats.values()) return seat.stream === stream ? seat : undefined;
      return undefined;
    }
    const seat = this.byHandle.get(handle);
    return seat?.stream === stream ? seat : undefined;
  }

  /** A stream is gone: its calls go to a sibling at once, else their seats are suspended. */
  streamGone(stream: AgentStream): void {
    if (!this.streams.delete(stream)) return;
    const sibling = this.quietestStream();
    for (const assignment of [...this.assignments.values()]) {
      if (assignment.stream !== stream) continue;
      if (sibling) {
        this.events.moved(assignment, () => this.bind(assignment, sibling, "MOVED"));
        continue;
      }
      assignment.detach();
      const { reattachGraceMs, onAgentLost } = this.pool.options;
      assignment.call.suspendSeat(assignment, reattachGraceMs, onAgentLost);
    }
    for (const seat of [...this.remoteSeats.values()]) {
      if (seat.stream !== stream) continue;
      if (sibling) seat.move(sibling);
      else seat.streamLost();
    }
    if (sibling || this.over) return;
    this.remoteOffers.clear();
    this.relay.streamsLost(this);
    for (const offer of [...this.offers.values()]) this.events.offerEnded(offer, "REVOKED");
    this.beatTimer?.cancel();
    this.beatTimer = undefined;
    // Longer than the seats, so that whoever comes too late is told SEAT_TAKEN and is an agent again.
    const lingerMs = this.pool.options.reattachGraceMs + SESSION_LINGER_MS;
    this.awayTimer = this.clock.after(lingerMs, () => this.end("LOST"));
  }

  /** Ends the session: what it holds goes back and is offered to others at once. */
  end(cause: "RELEASED" | "LOST", error?: CallError): void {
    if (this.over) return;
    this.over = true;
    this.beatTimer?.cancel();
    this.awayTimer?.cancel();
    for (const offer of [...this.offers.values()]) this.events.offerEnded(offer, "REVOKED");
    this.events.sessionEnded(this);
    this.relay.ended(this);
    this.remoteOffers.clear();
    this.remoteSeats.clear();
    for (const assignment of [...this.assignments.values()]) assignment.call.releaseSeat(assignment, cause);
    const streams = [...this.streams];
    this.streams.clear();
    for (const stream of streams) stream.end(error);
  }

  /** Something came from the agent: it lives, even if a heartbeat is stuck behind its audio. */
  alive(): void {
    this.lastBeatMs = this.clock.nowMs();
  }

  heartbeat(load: number): void {
    this.alive();
    const before = this.load;
    this.load = Math.min(1, Math.max(0, load));
    if (this.load !== before) this.relay.changed(this);
  }

  /** Places of a relayed agent that are taken by other ways. */
  setTakenElsewhere(places: number): void {
    const before = this.freePlaces;
    this.takenElsewhere = Math.max(0, places);
    if (before <= 0 && this.freePlaces > 0) this.events.placeFreed(this);
  }

  drain(): void {
    this.draining = true;
    this.relay.changed(this);
    for (const offer of [...this.offers.values()]) this.events.offerEnded(offer, "REVOKED");
    this.events.drained(this);
  }

  private watchHeartbeat(): void {
    const { heartbeatIntervalMs, heartbeatMisses } = this.pool.options;
    const limitMs = heartbeatIntervalMs * heartbeatMisses;
    let lookedTwice = false;
    const check = () => {
      const silentMs = this.clock.nowMs() - this.lastBeatMs;
      if (silentMs < limitMs || !lookedTwice) {
        // After a stall of this process the timer comes before the heartbeats that wait in the sockets: look again.
        lookedTwice = silentMs >= limitMs;
        this.beatTimer = this.clock.after(lookedTwice ? SECOND_LOOK_MS : limitMs - silentMs, check);
        return;
      }
      this.beatTimer = undefined;
      const error = new CallError("HEARTBEAT_LOST", `no heartbeat within ${limitMs} ms`, {
        heartbeat_interval_ms: String(heartbeatIntervalMs),
      });
      for (const stream of [...this.streams]) {
        this.streamGone(stream);
        stream.end(error);
      }
    };
    this.beatTimer = this.clock.after(limitMs, check);
  }
}

const MAX_REMEMBERED_STALE = 1_000;

/** One stream of a session, as the wire drives it. */
class StreamHandler implements AgentStreamHandler {
  private readonly staleTold = new Set<number>();

  constructor(
    private readonly session: AgentSession,
    private readonly stream: AgentStream,
    private readonly events: SessionEvents,
  ) {}

  accept(offerId: string): void {
    const { session } = this;
    const offer = offerId ? session.offers.get(offerId) : onlyOne(session.offers);
    const remote = offer ? undefined : remoteOffer(session, offerId);
    if (remote) {
      remote.accept();
      return;
    }
    if (!offer) {
      this.refuse(0, "accept", new CallError("OFFER_GONE", "this offer is gone", { offer_id: offerId }));
      return;
    }
    this.events.accepted(session, offer);
  }

  decline(offerId: string, reason = ""): void {
    const { session } = this;
    const offer = offerId ? session.offers.get(offerId) : onlyOne(session.offers);
    const remote = offer ? undefined : remoteOffer(session, offerId);
    if (remote) remote.decline(reason);
    else if (offer) this.events.offerEnded(offer, "DECLINED");
    else this.refuse(0, "decline", new CallError("OFFER_GONE", "this offer is gone", { offer_id: offerId }));
  }

  audio(handle: number, pcm: Uint8Array): void {
    this.session.alive();
    const assignment = this.resolve(handle, "audio");
    if (!assignment) return;
    if ("remote" in assignment) {
      assignment.audio(pcm);
      return;
    }
    try {
      assignment.call.play(assignment.decoder.decode(pcm));
    } catch (error) {
      this.refuse(handle, "audio", CallError.from(error));
    }
  }

  mark(handle: number, name: string): void {
    const assignment = this.resolve(handle, "mark");
    if (!assignment) return;
    if ("remote" in assignment) {
      assignment.mark(name);
      return;
    }
    try {
      assignment.call.marks.set(name, (end) => assignment.markReached(name, end));
    } catch (error) {
      this.refuse(handle, "mark", CallError.from(error));
    }
  }

  clearPlayback(handle: number): void {
    const assignment = this.resolve(handle, "clear_playback");
    if (!assignment) return;
    if ("remote" in assignment) {
      assignment.clearPlayback();
      return;
    }
    assignment.decoder.reset();
    const cleared = assignment.call.clearPlayback();
    this.stream.send({
      type: "playbackCleared",
      handle: assignment.handle,
      droppedLocalMs: cleared.droppedLocalMs,
      estimatedUnheardAtProviderMs: cleared.unheardAtProviderMs,
      playedMs: cleared.playedMs,
    });
  }

  command(handle: number, requestId: string, command: CallCommand): void {
    const assignment = this.session.resolve(handle, this.stream);
    const result = { type: "commandResult", handle, requestId } as const;
    if (!assignment) {
      this.stream.send({ ...result, error: staleHandle(handle) });
      return;
    }
    if ("remote" in assignment) {
      assignment.command(requestId, command);
      return;
    }
    const actor: Actor = { tenant: this.session.actor.tenant, name: `agent:${assignment.agentId}` };
    assignment.call.execute(actor, requestId, command, 0).then(
      (reply) => this.stream.send({ ...result, reply }),
      (error: unknown) => this.stream.send({ ...result, error: CallError.from(error) }),
    );
  }

  heartbeat(load: number): void {
    this.session.heartbeat(load);
  }

  takenElsewhere(places: number): void {
    this.session.setTakenElsewhere(places);
  }

  drain(): void {
    this.session.drain();
  }

  bye(): void {
    this.session.end("RELEASED");
  }

  lost(): void {
    this.session.streamGone(this.stream);
  }

  private resolve(handle: number, item: string): Assignment | RemoteSeat | undefined {
    const assignment = this.session.resolve(handle, this.stream);
    if (assignment) return assignment;
    // Told once per handle; audio of a call that just ended is on its way in every call.
    if (!this.staleTold.has(handle) && this.staleTold.size < MAX_REMEMBERED_STALE) {
      this.staleTold.add(handle);
      this.refuse(handle, item, staleHandle(handle));
    }
    return undefined;
  }

  private refuse(handle: number, item: string, error: CallError): void {
    this.session.pool.itemRefused(error.reason);
    this.stream.send({ type: "itemRefused", handle, item, error });
  }
}

function staleHandle(handle: number): CallError {
  return new CallError("STALE_HANDLE", "the handle is not, or no longer, a seat of this stream", {
    handle: String(handle),
  });
}

/** An offer of another gateway; without an id the only one. */
function remoteOffer(session: AgentSession, offerId: string): RemoteOffer | undefined {
  if (offerId) return session.remoteOffers.get(offerId);
  return session.remoteOffers.size === 1 ? session.remoteOffers.values().next().value : undefined;
}

function onlyOne(offers: ReadonlyMap<string, Offer>): Offer | undefined {
  return offers.size === 1 ? offers.values().next().value : undefined;
}
