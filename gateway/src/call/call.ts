import type { CallLeg, CallLegHandler } from "../telephony/telephony.js";
import type { Clock } from "../util/clock.js";
import { CallAudio } from "./call-audio.js";
import type { Actor, CallCommand, CommandReply } from "./call-commands.js";
import type { CallCore, CallDeps, CallFacts, CallOptions, OutletFlags, SeatingPort } from "./call-core.js";
import { within } from "./call-core.js";
import { CallError } from "./call-error.js";
import type { CallEventBody, StoredEvent } from "./call-events.js";
import type { AgentMode, CallSnapshot, EndReason, SeatCause } from "./call-state.js";
import { CommandRunner } from "./command-runner.js";
import type { CallContexts } from "./context-port.js";
import { EndedCall } from "./ended-call.js";
import type { EventLog } from "./event-log.js";
import { EventRecorder } from "./event-recorder.js";
import { guarded } from "./guarded-handler.js";
import * as legVerbs from "./leg-verbs.js";
import { Lifecycle } from "./lifecycle.js";
import { Marks } from "./marks.js";
import { MediaWatch } from "./media-watch.js";
import { type Outlet, Playback } from "./playback.js";
import type { RestoredCall, RestoredLife } from "./restore.js";
import { Seat, type SeatHolder } from "./seat.js";

/**
 * One call: wires its behaviours together. What happens where: lifecycle (states), seat (who speaks), playback and marks
 * (what was heard), command-runner and escalation (verbs), media-watch (when a silent call is over), call-audio (who
 * listens).
 */
export class Call implements CallCore, CallLegHandler {
  readonly lifecycle = new Lifecycle();
  readonly clock: Clock;
  readonly options: CallOptions;
  readonly contexts: CallContexts;
  readonly seating: SeatingPort;
  readonly playback: Playback;
  readonly marks: Marks;
  readonly seat: Seat;
  readonly events: EventRecorder;
  readonly flags: OutletFlags = {
    ringing: undefined,
    muted: false,
    announcing: false,
    seatLeftEmpty: false,
  };
  readonly audio: CallAudio;
  expectedEnd: EndReason | undefined;
  answerUnknown = false;

  private readonly createTime: Date;
  private readonly runner: CommandRunner;
  private readonly mediaWatch: MediaWatch;
  private readonly overController = new AbortController();
  private onLost: "CUT" | "FINISH" = "CUT";
  private holding = false;
  private lastAudioMs: number | undefined;
  private modeBeforeLoss: AgentMode | undefined;
  private fenced = false;
  private wrappedUp: Promise<void> | undefined;
  private told = false;
  private tellReleased: () => void = () => {};
  /** Resolves when the call is over and everything of it was told; never for one that went to another gateway. */
  readonly released = new Promise<void>((resolve) => {
    this.tellReleased = resolve;
  });

  constructor(
    readonly facts: CallFacts,
    readonly leg: CallLeg,
    deps: CallDeps,
    log: EventLog,
    /** Set when the call comes from an earlier owner. */
    restored?: RestoredCall,
  ) {
    this.clock = deps.clock;
    this.options = deps.options;
    this.contexts = {
      merge: (call, patch) => this.whileOurs(() => deps.contexts.merge(call, patch)),
      callEnded: (call) => this.whileOurs(() => deps.contexts.callEnded(call)),
    };
    this.seating = deps.seating;
    this.audio = new CallAudio(facts.sampleRateHz);
    this.createTime = restored?.live?.createTime ?? deps.clock.wallNow();
    this.seat = new Seat(deps.clock);
    this.playback = new Playback(
      { ...deps.options.playback, sampleRateHz: facts.sampleRateHz },
      deps.clock,
      deps.hold(facts),
      () => leg.audioReady(),
    );
    this.playback.listener = this.audio;
    this.marks = new Marks(this.playback);
    this.events = new EventRecorder(
      facts,
      log,
      () => deps.clock.wallNow(),
      () => this.audio.position,
      (event) => this.tellHolder(event),
      { sequence: restored?.lastSequence ?? 0, ownerEpoch: (restored?.ownerEpoch ?? 0) + 1 },
    );
    this.runner = new CommandRunner(this, (holder) => this.releaseSeat(holder, "RELEASED"));
    this.mediaWatch = new MediaWatch(
      deps.clock,
      deps.options.mediaGiveUpMs,
      () => leg.isAlive(),
      (why) => this.end(why),
    );
    const { handler, playback } = guarded({ handler: this, playback: this.playback }, () => this.broke());
    leg.attach(handler, playback);
    if (restored?.live) this.goOn(restored, restored.live);
    else this.record({ type: "arrived", call: this.snapshot() });
  }

  /** Takes up what an earlier owner had. Its agent, if it lives, is given the seat by dispatch. */
  private goOn({ fromGatewayId, ownerEpoch }: RestoredCall, life: RestoredLife): void {
    const now = this.clock.wallNow();
    this.lifecycle.restore(life, now);
    this.seat.restore(life.seat.epoch, life.seat.attempt);
    this.flags.seatLeftEmpty = life.seatLeftEmpty;
    const elapsedMs = life.position > 0 ? Math.max(0, now.getTime() - life.positionTime.getTime()) : 0;
    this.audio.startAt(life.position + Math.round((elapsedMs * this.facts.sampleRateHz) / 1000));
    this.record({ type: "takenOver", fromGatewayId, fromEpoch: ownerEpoch, gatewayId: this.facts.gatewayId });
    // A human may be on the line, or about to be: nothing of the agent reaches him unasked.
    if (life.escalation && life.escalation.step !== "SAVING") this.flags.muted = life.state === "CONNECTED";
    if (life.state !== "PENDING") this.leg.resume();
    this.runner.restore(life);
    this.updateOutlet();
  }

  /** Aborted when the call is over. */
  get over(): AbortSignal {
    return this.overController.signal;
  }

  /** True while an escalation goes on without its agent: the seat is not offered meanwhile. */
  get escalatingAlone(): boolean {
    return this.runner.escalatingAlone;
  }

  /** Resolves when no ending command is under way. */
  commandsIdle(): Promise<void> {
    return this.runner.idle();
  }

  /** Records an event of the call. */
  record(body: CallEventBody): Promise<StoredEvent> {
    return this.events.record(body);
  }

  snapshot(): CallSnapshot {
    const { agentMode, endReason } = this.lifecycle;
    const pending = this.runner?.pending;
    return {
      ...this.facts,
      direction: "INBOUND",
      state: this.lifecycle.state,
      ...(agentMode ? { agentMode } : {}),
      ...(endReason ? { endReason } : {}),
      seat: this.seat.snapshot(),
      ...(pending ? { pending } : {}),
      playback: this.playback.snapshot(),
      createTime: this.createTime,
      ...this.lifecycle.times(),
      lastEventSequence: this.events.last,
    };
  }

  /** Gives a verb; see CallApi.execute. */
  execute(actor: Actor, requestId: string, command: CallCommand, waitMs: number): Promise<CommandReply> {
    return this.runner.execute(actor, requestId, command, waitMs);
  }

  // ---- the seat -------------------------------------------------------------------------------------------------

  /** A new holder, by compare-and-set on the epoch. False: somebody was faster, or the call is over. */
  takeSeat(
    expectedEpoch: number,
    holder: SeatHolder,
    cause: "ACCEPTED" | "TRANSFERRED" | "ESCALATED" | "TAKEN_OVER",
  ): boolean {
    if (this.lifecycle.ended) return false;
    const taken = this.seat.take(expectedEpoch, holder);
    if (!taken) return false;
    taken.old?.unassigned(cause === "ACCEPTED" || cause === "TAKEN_OVER" ? "LOST" : cause);
    // What another agent had queued is not said in the turn of the new one.
    if (taken.old) this.clearPlayback();
    this.marks.newSpeaker();
    this.flags.seatLeftEmpty = false;
    // After a takeover a human may be on the line: only a mode that is set lets the agent be heard.
    if (!this.runner.escalating && cause !== "TAKEN_OVER") this.flags.muted = false;
    this.seated(cause);
    return true;
  }

  /** The holder is back within its grace, with the same epoch. */
  resumeSeat(epoch: number, holder: SeatHolder): boolean {
    if (this.lifecycle.ended || !this.seat.resume(epoch, holder)) return false;
    this.seated("REATTACHED");
    return true;
  }

  /** The holder's stream is lost: hold audio at once, the seat reserved for the grace. */
  suspendSeat(holder: SeatHolder, graceMs: number, onLost: "CUT" | "FINISH"): boolean {
    const expired = () => this.vacateSeat("GRACE_EXPIRED");
    if (this.lifecycle.ended || !this.seat.suspend(holder, graceMs, expired)) return false;
    this.runner.holderLost();
    // An escalation that goes on alone still has its announcement to say.
    this.onLost = this.runner.escalatingAlone ? "FINISH" : onLost;
    if (this.onLost === "CUT") this.clearPlayback();
    if (this.lifecycle.agentMode && this.lifecycle.agentMode !== "SPY") {
      this.modeBeforeLoss = this.lifecycle.agentMode;
      legVerbs.setMode(this, "SPY").catch(() => {});
    }
    this.record({ type: "seatChanged", seat: this.seat.snapshot(), cause: "LOST" });
    this.updateOutlet();
    return true;
  }

  /** The holder gives the seat back. */
  releaseSeat(holder: SeatHolder | undefined, cause: SeatCause): void {
    if (!holder || this.seat.holder !== holder || this.lifecycle.ended) return;
    this.runner.holderLost();
    this.vacateSeat(cause);
  }

  private vacateSeat(cause: SeatCause): void {
    const old = this.seat.vacate();
    old?.unassigned(cause);
    if (!(cause === "GRACE_EXPIRED" && this.onLost === "FINISH")) this.clearPlayback();
    this.record({ type: "seatChanged", seat: this.seat.snapshot(), cause });
    this.updateOutlet();
    this.seating.seatVacated(this, cause, old);
  }

  private seated(cause: SeatCause): void {
    this.record({ type: "seatChanged", seat: this.seat.snapshot(), cause });
    this.updateOutlet();
    const mode = this.modeBeforeLoss;
    this.modeBeforeLoss = undefined;
    // Only what the loss itself had changed: a mode set since then stays.
    if (mode && this.lifecycle.agentMode === "SPY") legVerbs.setMode(this, mode).catch(() => {});
  }

  // ---- the agent's audio ----------------------------------------------------------------------------------------

  /** Audio of the seat holder, s16le at the rate of the call. Throws PLAYBACK_FULL. */
  play(pcm: Uint8Array): void {
    if (this.lifecycle.ended || this.flags.muted) return;
    this.playback.enqueue(pcm);
  }

  /** Interrupt: drops what the agent said and nobody heard yet, here and at the provider. */
  clearPlayback(): { droppedLocalMs: number; unheardAtProviderMs: number; playedMs: number } {
    const hadAudio = this.playback.remainingMs() > 0;
    const result = this.playback.clear();
    if (hadAudio && !this.lifecycle.ended) this.leg.interrupt().catch(() => {});
    return result;
  }

  /** Decides what the provider is given from now on, and tells when hold audio begins or ends. */
  updateOutlet(): void {
    const outlet = this.chooseOutlet();
    this.playback.setOutlet(outlet);
    const holding = outlet === "HOLD" || outlet === "AGENT_THEN_HOLD";
    if (holding !== this.holding) {
      this.holding = holding;
      if (!this.lifecycle.ended) this.record({ type: "holdChanged", holding });
    }
  }

  private chooseOutlet(): Outlet {
    const { flags, lifecycle } = this;
    if (lifecycle.ended || flags.muted) return "SILENT";
    if (flags.announcing) return "AGENT";
    const answered = lifecycle.state === "ANSWERED";
    if (flags.ringing && answered) {
      return flags.ringing === "HOLD_AUDIO" || !this.seat.activeHolder ? "HOLD" : "AGENT_PACED";
    }
    if (this.seat.activeHolder) return "AGENT";
    if (answered) return this.onLost === "FINISH" ? "AGENT_THEN_HOLD" : "HOLD";
    return "SILENT";
  }

  // ---- news from the provider -----------------------------------------------------------------------------------

  onAudio(channel: number, pcm: Uint8Array): void {
    if (channel !== 0 || this.lifecycle.ended) return;
    if (this.answerUnknown && this.lifecycle.answered(this.clock.wallNow())) {
      // An answer without a response, and the caller speaks: it was answered.
      this.record({ type: "answered" });
      this.updateOutlet();
    }
    this.lastAudioMs = this.clock.nowMs();
    const position = this.audio.heard(pcm);
    this.seat.activeHolder?.audio(position, pcm);
  }

  onTerminated(): void {
    this.end(this.expectedEnd ?? "TERMINATED");
  }

  onMediaLost(detail: string): void {
    if (this.lifecycle.ended) return;
    if (this.expectedEnd) {
      this.end(this.expectedEnd);
      return;
    }
    if (this.mediaWatch.mediaLost()) this.record({ type: "mediaChanged", change: "LOST", detail });
  }

  /** Also after a loss so short that it was not told: audio is missing all the same. */
  onMediaRestored(): void {
    if (this.lifecycle.ended) return;
    this.mediaWatch.mediaRestored();
    this.tellMissedAudio();
    this.record({ type: "mediaChanged", change: "RESTORED", detail: "" });
  }

  /** From the last audio to now, when media are back: missing for all who listen, and positions go on as the time did. */
  private tellMissedAudio(): void {
    if (this.lastAudioMs === undefined) return;
    const missingMs = this.clock.nowMs() - this.lastAudioMs;
    const samples = Math.round((missingMs * this.facts.sampleRateHz) / 1000);
    if (samples <= 0) return;
    const from = this.audio.missed(samples, missingMs);
    this.seat.activeHolder?.gap(from, missingMs);
  }

  onSessionClosed(reason: "SDK_REQUEST" | "FORCE_CLOSE" | "CALL_TERMINATED" | "OTHER"): void {
    if (this.lifecycle.ended) return;
    if (reason === "CALL_TERMINATED") this.end(this.expectedEnd ?? "TERMINATED");
    else this.mediaWatch.closed();
  }

  onProviderError(code: string): void {
    if (!this.lifecycle.ended) this.record({ type: "mediaChanged", change: "PROVIDER_ERROR", detail: code });
  }

  // ---- the end --------------------------------------------------------------------------------------------------

  end(reason: EndReason): void {
    if (!this.lifecycle.end(reason, this.clock.wallNow())) return;
    this.shut("CALL_ENDED", () => this.record({ type: "ended", reason }));
    this.wrappedUp = this.wrapUp(reason).finally(() => {
      this.told = true;
      this.tellReleased();
    });
  }

  /** What has to be kept of it once it is over; undefined while it goes on, or still has something to tell. */
  remains(): EndedCall | undefined {
    const { ledger } = this.runner;
    if (!(this.told || this.fenced) || !ledger.finished) return undefined;
    return new EndedCall(this.snapshot(), ledger.size > 0 ? ledger : undefined);
  }

  /** An unexpected error in the handling of this call: it is over here, and the provider decides. */
  private broke(): void {
    if (this.lifecycle.ended) return;
    this.record({ type: "mediaChanged", change: "LOST", detail: "INTERNAL_ERROR" });
    this.end("MEDIA_LOST");
  }

  /** Another gateway has the call now: closes what is here without a command, an event or a word into the context. */
  fence(): void {
    if (!this.lifecycle.end("MEDIA_LOST", this.clock.wallNow())) return;
    this.fenced = true;
    this.shut("FENCED", () => {});
    this.seat.vacate()?.unassigned("TAKEN_OVER");
  }

  /** Resolves when everything of an ended call was told and written. */
  async finished(): Promise<void> {
    await this.wrappedUp;
  }

  /** Nothing more is heard or said here; `told` is said before anybody learns of it by a signal. */
  private shut(why: "CALL_ENDED" | "FENCED", told: () => void): void {
    this.mediaWatch.stop();
    this.updateOutlet();
    told();
    this.overController.abort(why);
    this.runner.callEnded();
    this.playback.close();
    this.marks.close();
    this.audio.close();
    this.leg.abandon();
    this.seating.callEnded(this);
  }

  /** What a gateway believes of a call that another one has is not written anywhere. */
  private async whileOurs<T>(write: () => Promise<T>): Promise<T> {
    if (this.fenced) throw new CallError("CONTEXT_NOT_SAVED", "another gateway has the call", {});
    return write();
  }

  private async wrapUp(reason: EndReason): Promise<void> {
    await this.runner.idle();
    await this.events.idle();
    this.seat.vacate()?.unassigned("CALL_ENDED", reason);
    const written = this.contexts.callEnded(this.snapshot()).then(
      (write) => {
        if (write) this.record({ type: "contextWritten", ...write });
      },
      () => {},
    );
    // A store that hangs holds nobody up; its write goes on.
    await within(written, this.options.finalSaveMs, this.clock, () => undefined);
    await this.events.idle();
  }

  private tellHolder(event: StoredEvent): void {
    this.seat.activeHolder?.event(event);
  }
}

/** The error of an unknown call. */
export function callNotFound(callId: string): CallError {
  return new CallError("CALL_NOT_FOUND", "no such call", { call_id: callId });
}
