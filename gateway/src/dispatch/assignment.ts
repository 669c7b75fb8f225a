import { type AudioDecoder, type AudioEncoder, createDecoder, createEncoder } from "../audio/converter.js";
import type { Call } from "../call/call.js";
import type { StoredEvent } from "../call/call-events.js";
import type { EndReason, PlaybackSnapshot, SeatCause } from "../call/call-state.js";
import type { WaitEnd } from "../call/playback.js";
import type { SeatHolder } from "../call/seat.js";
import type { AgentStream, AudioFormat } from "./agent-port.js";
import type { AgentSession } from "./agent-session.js";
import { effectiveFormat } from "./audio-format.js";

/** A session in the seat of a call: one epoch, one handle at a time, bound to one stream. */
export class Assignment implements SeatHolder {
  readonly decoder: AudioDecoder;
  readonly format: AudioFormat;
  epoch = 0;
  handle = 0;
  stream: AgentStream | undefined;
  private readonly encoder: AudioEncoder;
  private active = true;
  private heldBack: StoredEvent[] | undefined;
  private lastEvent = 0;
  private detachedAt: number | undefined;
  private progressTold = "";

  constructor(
    readonly session: AgentSession,
    readonly call: Call,
    readonly offerId: string,
    readonly attempt: number,
  ) {
    this.format = effectiveFormat(session.registration.audioFormat, call.facts.sampleRateHz);
    this.decoder = createDecoder(this.format, call.facts.sampleRateHz);
    this.encoder = createEncoder(call.facts.sampleRateHz, this.format);
  }

  get agentId(): string {
    return this.session.registration.agentId;
  }

  get instanceId(): string {
    return this.session.instanceId;
  }

  /** Binds it to a stream under a new handle and tells the agent. */
  bind(stream: AgentStream, resume: "NEW" | "REATTACHED" | "MOVED" | "TAKEN_OVER"): void {
    this.stream?.endHandle(this.handle);
    this.stream = stream;
    this.handle = this.session.nextHandle();
    this.encoder.reset();
    const call = this.call.snapshot();
    if (resume === "NEW") this.lastEvent = call.lastEventSequence;
    stream.send({
      type: "assigned",
      call,
      epoch: this.epoch,
      handle: this.handle,
      resume,
      audioFormat: this.format,
      offerId: this.offerId,
      attempt: this.attempt,
    });
    this.tellGap();
  }

  /** The newest event that was handed to a stream. */
  get lastEventSequence(): number {
    return this.lastEvent;
  }

  /** Its stream is gone; audio and events wait for a reattach. */
  detach(): void {
    this.stream?.endHandle(this.handle);
    this.stream = undefined;
    this.detachedAt = this.call.audio.position;
  }

  /** Holds events back while those of the time away are read from the log. */
  holdBack(afterSequence: number): void {
    this.lastEvent = afterSequence;
    this.heldBack = [];
  }

  /** The events of the time away, then those that were held back. */
  replay(events: readonly StoredEvent[]): void {
    const later = this.heldBack ?? [];
    this.heldBack = undefined;
    for (const event of events) this.event(event);
    for (const event of later) this.event(event);
  }

  audio(position: number, pcm: Uint8Array): void {
    if (!this.stream || this.session.registration.noAudio) return;
    const encoded = this.encoder.encode(pcm);
    if (encoded.length > 0) this.stream.sendAudio(this.handle, position, pcm.length >> 1, encoded);
  }

  gap(from: number, durationMs: number): void {
    if (!this.stream || this.session.registration.noAudio) return;
    this.encoder.reset();
    this.stream.send({ type: "audioGap", handle: this.handle, from, durationMs, reason: "PROVIDER" });
  }

  event(event: StoredEvent): void {
    if (!this.active) return;
    if (this.heldBack) {
      this.heldBack.push(event);
      return;
    }
    if (event.sequence <= this.lastEvent || !this.stream) return;
    this.lastEvent = event.sequence;
    this.stream.send({ type: "callEvent", event });
  }

  markReached(name: string, end: WaitEnd): void {
    if (this.active) this.stream?.send({ type: "markReached", handle: this.handle, name, end });
  }

  note(text: string, author: string): void {
    this.stream?.send({ type: "note", handle: this.handle, text, author });
  }

  playback(position: PlaybackSnapshot): void {
    const told = `${position.queuedMs} ${position.unheardAtProviderMs} ${position.playedMs}`;
    if (told === this.progressTold) return;
    this.progressTold = told;
    this.stream?.send({ type: "playback", handle: this.handle, position });
  }

  unassigned(cause: SeatCause, endReason?: EndReason): void {
    if (!this.active) return;
    this.active = false;
    const { stream, handle } = this;
    this.stream = undefined;
    stream?.endHandle(handle);
    stream?.send({
      type: "unassigned",
      handle,
      callId: this.call.facts.callId,
      cause,
      ...(endReason ? { endReason } : {}),
    });
    this.session.unassigned(this);
  }

  private tellGap(): void {
    const from = this.detachedAt;
    this.detachedAt = undefined;
    if (from === undefined || this.session.registration.noAudio) return;
    const missed = this.call.audio.position - from;
    if (missed <= 0) return;
    this.stream?.send({
      type: "audioGap",
      handle: this.handle,
      from,
      durationMs: (missed * 1000) / this.call.facts.sampleRateHz,
      reason: "DETACHED",
    });
  }
}
