import type { SampleRate } from "./audio/mix.js";
import { Playout } from "./audio/playout.js";
import { CallRecording } from "./audio/recording.js";
import { CallAudio } from "./call-audio.js";
import { CallLog, type CallLogEvent, type EventPlane } from "./call-log.js";
import type { CallHost, CallSetup } from "./call-setup.js";
import {
  type AgentMode,
  CALL_DEFAULTS,
  type CallDirection,
  type CallEndReason,
  type CallOptions,
  type CallState,
  type CallStats,
} from "./call-types.js";
import { waitForCondition } from "./call-wait.js";
import type { SimTimer } from "./clock.js";
import { CommandDesk } from "./command-desk.js";
import { CallFaults } from "./faults/call-faults.js";
import { Party, type PartyRole } from "./party/party.js";
import { RingAttempt, type RingOutcome } from "./party/ring.js";
import type { CalleeBehaviour, Script } from "./party/script.js";
import type { MediaSocket } from "./plane/media-link.js";
import { parseCommand, parseObject, type SessionCloseReason } from "./plane/messages.js";
import type { Session } from "./plane/sessions.js";
import type { Ticking } from "./ticker.js";
import { TimerSet } from "./timer-set.js";

/**
 * One call as the provider sees it: two parties, the agent's leg, its state, its audio. Made by
 * `Simulator.placeCall` (inbound) or by an agent's `session.create` (outbound).
 */
export class SimCall implements Ticking {
  readonly id: string;
  readonly session: Session;
  readonly direction: CallDirection;
  readonly from: string;
  readonly to: string;
  readonly seed: number;
  readonly caller: Party;
  readonly callee: Party;
  /** What everybody said and heard. */
  readonly recording: CallRecording;
  /** Faults on demand. */
  readonly faults: CallFaults;
  readonly options: CallOptions;
  /** Time on the simulator's clock when the call was placed, ms. */
  readonly startMs: number;
  readonly #host: CallHost;
  readonly #log = new CallLog();
  readonly #audio: CallAudio;
  readonly #desk: CommandDesk;
  readonly #setup: CallSetup;
  readonly #waiters = new Set<() => void>();
  readonly #timers: TimerSet;
  #state: CallState = "PENDING";
  #agentMode: AgentMode = "barge";
  #agentLeft = false;
  #endReason: CallEndReason | undefined;
  #ring: RingAttempt | undefined;
  #ringAttempts = 0;
  #media: MediaSocket | undefined;
  #mediaLostTimer: SimTimer | undefined;
  #terminatedDelayMs = 0;
  #counts = { framesToAgent: 0, framesDropped: 0, badFrames: 0, mediaConnections: 0 };
  /** Isolated audio was asked for by the claiming connection. @internal */
  isolated = false;

  /** @internal */
  constructor(setup: CallSetup, host: CallHost) {
    this.id = setup.id;
    this.session = setup.session;
    this.direction = setup.direction;
    this.from = setup.from;
    this.to = setup.to;
    this.seed = setup.seed;
    this.options = { ...CALL_DEFAULTS, ...setup.options };
    this.#host = host;
    this.#timers = new TimerSet(host.clock);
    this.startMs = host.clock.now();
    this.recording = new CallRecording(
      this.startMs,
      this.options.recording !== false,
      this.options.recordingLimitSeconds ?? CALL_DEFAULTS.recordingLimitSeconds,
    );
    this.#setup = setup;
    const partyHost = {
      voice: host.voice,
      seed: setup.seed,
      partyHangsUp: (role: PartyRole) => this.hangUp(role),
      note: (type: string, data: unknown) => this.log("party", "none", type, data),
    };
    this.caller = new Party("caller", setup.callerScript, partyHost);
    this.callee = new Party("callee", [], partyHost);
    this.#audio = new CallAudio(this.#audioHost());
    this.#desk = new CommandDesk(this.#commandHost(), host.clock, this.options.connectRace);
    this.faults = new CallFaults({
      now: () => host.clock.now(),
      later: (run, delayMs) => void this.#timers.later(run, delayMs),
      media: () => this.#media,
      desk: this.#desk,
      audio: this.#audio,
      setTerminatedDelay: (ms) => {
        this.#terminatedDelayMs = ms;
      },
      log: (type, data) => this.log("fault", "none", type, data),
    });
    this.#terminatedDelayMs = this.options.terminatedDelayMs ?? 0;
    // Speech that comes later is made now, so that nobody waits for it.
    for (const behaviour of [...setup.subscriber, setup.remote]) {
      if (behaviour.kind !== "picksUp") continue;
      for (const step of behaviour.script)
        if (step.do === "say") host.voice.say(step.text, step.voice).catch(() => {});
    }
    host.ticker.add(this);
  }

  /** State as the vendor names it. CONNECTED lasts until the parties hang up, also after the agent left. */
  get state(): CallState {
    return this.#state;
  }

  /** Who hears the agent while CONNECTED. */
  get agentMode(): AgentMode {
    return this.#agentMode;
  }

  /** The agent left a connected call by `call.close`; the parties talk on. */
  get agentLeft(): boolean {
    return this.#agentLeft;
  }

  /** The subscriber's (or an outbound call's remote) phone rings. */
  get ringing(): boolean {
    return this.#ring !== undefined;
  }

  /** Why it ended; undefined while it lives. */
  get endReason(): CallEndReason | undefined {
    return this.#endReason;
  }

  /** A media connection is open. */
  get mediaConnected(): boolean {
    return this.#media !== undefined;
  }

  /** The party that `call.connect` rings: the callee of an inbound call, the caller of an outbound one. */
  get subscriber(): Party {
    return this.direction === "inbound" ? this.callee : this.caller;
  }

  /** The party at the other end: the caller of an inbound call. */
  get remote(): Party {
    return this.direction === "inbound" ? this.caller : this.callee;
  }

  /** Every control and media text frame of this call, and what happened to it. Audio frames are only counted. */
  get events(): readonly CallLogEvent[] {
    return this.#log.events;
  }

  /** Rate of the call's audio in Hz; undefined until a connector claimed it. */
  get sampleRate(): SampleRate | undefined {
    return this.#audio.sampleRate;
  }

  /** Figures of the media connection and the play-out buffer. */
  get stats(): CallStats {
    const playout = this.#audio.playout ?? new Playout(8000);
    return { ...playout.stats, ...this.#counts, bufferedMs: playout.bufferedMs };
  }

  /** A party hangs up (default: the caller), in whatever state. */
  hangUp(role: PartyRole = "caller"): void {
    const party = role === "caller" ? this.caller : this.callee;
    if (this.#state === "DISCONNECTED" || party.state === "left") return;
    if (this.#ring?.party === party) {
      this.#ring.reject();
      return;
    }
    if (party.state === "away") return;
    party.setState("left");
    const other = role === "caller" ? this.callee : this.caller;
    const reason = role === "caller" ? "caller_hung_up" : "callee_hung_up";
    const rule = party === this.remote ? this.options.whenRemoteLeaves : this.options.whenSubscriberLeaves;
    const staysOn =
      this.#state === "CONNECTED" && !this.#agentLeft && other.state === "inCall" && rule === "stay";
    if (!staysOn) this.end(reason);
  }

  /** The phone that rings is picked up now, by somebody who follows `script`; false when none rings. */
  pickUp(script: Script = []): boolean {
    const ring = this.#ring;
    if (!ring) return false;
    ring.party.follow(script);
    ring.pickUp();
    return true;
  }

  /** Ends the call from the provider's side (`session.closed` FORCE_CLOSE). */
  forceClose(): void {
    this.end("forced");
  }

  /** Resolves in `state` (or, for DISCONNECTED, when it has ended). Rejects after `timeoutMs`, default 10000. */
  waitFor(state: CallState, timeoutMs?: number): Promise<void> {
    return this.waitUntil(() => this.#state === state, { timeoutMs, what: `state ${state}` });
  }

  /** Resolves with the first event, past or to come, of that type (and for which `matches` holds). */
  async waitForEvent(
    type: string,
    options: { matches?: (event: CallLogEvent) => boolean; timeoutMs?: number } = {},
  ): Promise<CallLogEvent> {
    let found: CallLogEvent | undefined;
    const search = () => {
      found = this.events.find((event) => event.type === type && (options.matches?.(event) ?? true));
      return found !== undefined;
    };
    await this.waitUntil(search, { timeoutMs: options.timeoutMs, what: `event ${type}` });
    return found as CallLogEvent;
  }

  /** Resolves when `predicate` holds: looked at on every event and every 20 ms. Rejects after `timeoutMs`, default 10000. */
  waitUntil(
    predicate: () => boolean,
    options: { timeoutMs?: number | undefined; what?: string } = {},
  ): Promise<void> {
    return waitForCondition(this.#host.clock, this.#waiters, predicate, {
      timeoutMs: options.timeoutMs ?? 10_000,
      explain: () =>
        `call did not reach ${options.what ?? "the condition"}; it is ${this.#state}` +
        `${this.#endReason ? ` (${this.#endReason})` : ""}, last events: ` +
        this.events
          .filter(({ type }) => type !== "buffer_request")
          .slice(-12)
          .map(({ type, callMs }) => `${type}@${Math.round(callMs)}`)
          .join(", "),
    });
  }

  /** Sends `call_event` `call.error` to the agent. */
  sendError(errorCode = "TTS_SESSION_ERROR", errorMessage = "error on demand"): void {
    this.#sendText("call_event", { event: "call.error", error_code: errorCode, error_message: errorMessage });
  }

  /** @internal */
  tick(frameIndex: number): void {
    this.#audio.tick(frameIndex);
  }

  /** The call has a rate from its first claim on. @internal */
  claimed(sampleRate: SampleRate, isolated: boolean): void {
    this.#audio.setSampleRate(sampleRate);
    this.isolated = isolated;
  }

  /** The caller waits, for ever or until patience ends. @internal */
  callerRings(patienceSeconds?: number): void {
    this.caller.setState("ringing");
    if (patienceSeconds === undefined) return;
    this.#timers.later(() => {
      if (this.#state === "PENDING") this.hangUp();
    }, patienceSeconds * 1000);
  }

  /** Rings the subscriber for so long: attempt by attempt as its behaviours say. @internal */
  ringSubscriber(seconds: number, done: (outcome: RingOutcome) => void): void {
    const index = Math.min(this.#ringAttempts++, this.#setup.subscriber.length - 1);
    this.#ringParty(this.subscriber, this.#setup.subscriber[index] ?? { kind: "never" }, seconds, done);
  }

  /** Outbound: rings the person called. @internal */
  ringRemote(seconds: number, done: (outcome: RingOutcome) => void): void {
    this.#ringParty(this.remote, this.#setup.remote, seconds, done);
  }

  #ringParty(
    party: Party,
    behaviour: CalleeBehaviour,
    seconds: number,
    done: (outcome: RingOutcome) => void,
  ): void {
    this.log("call", "none", "ringing", { party: party.role, ringSeconds: seconds });
    this.#ring = new RingAttempt(this.#host.clock, party, behaviour, seconds, (outcome) => {
      this.#ring = undefined;
      this.log("call", "none", `ring.${outcome}`, { party: party.role });
      done(outcome);
    });
  }

  /** The parties talk, with or without the agent. @internal */
  connectParties(withAgent: boolean): void {
    this.#audio.setSampleRate(this.options.defaultSampleRate ?? 16000);
    this.#agentLeft = !withAgent;
    this.#agentMode = "barge";
    this.remote.setState("inCall");
    this.#setState("CONNECTED");
  }

  /** A media connection was accepted; an older one is replaced. @internal */
  attachMedia(socket: MediaSocket): void {
    this.#media?.close(4000, "replaced by a newer media connection");
    this.#media = socket;
    this.#counts.mediaConnections += 1;
    this.#audio.playout?.forgetCredit();
    this.#timers.cancel(this.#mediaLostTimer);
    this.#mediaLostTimer = undefined;
    this.log("media", "in", "media.open", null);
  }

  /** @internal */
  detachMedia(socket: MediaSocket, code: number): void {
    if (this.#media !== socket) return;
    this.#media = undefined;
    this.log("media", "in", "media.closed", { code });
    if (this.#state === "DISCONNECTED" || this.#agentLeft) return;
    this.#host.mediaLost(this);
    if (this.#state === "ANSWERED")
      this.#mediaLostTimer = this.#timers.later(() => {
        if (this.#state === "ANSWERED") this.end("media_lost");
      }, this.options.mediaLostGraceMs ?? CALL_DEFAULTS.mediaLostGraceMs);
  }

  /** @internal */
  receiveText(text: string): void {
    const frame = parseObject(text);
    const command = frame && parseCommand(frame);
    if (!command) {
      this.#counts.badFrames += 1;
      return;
    }
    this.log("media", "in", command.command, {
      commandId: command.commandId,
      timeoutMs: command.timeoutMs,
      ...command.data,
    });
    this.#desk.execute(command);
  }

  /** A binary frame of the agent: channel byte, samples. @internal */
  receiveBinary(frame: Buffer): void {
    if (frame.length < 2 || frame[0] !== 0) {
      this.#counts.badFrames += 1;
      return;
    }
    const samples = frame.subarray(1);
    this.recording.noteDelivered(samples);
    if (this.#audio.playout) this.#audio.playout.deliver(samples);
  }

  /** @internal */
  end(reason: CallEndReason, sessionReason?: SessionCloseReason): void {
    if (this.#state === "DISCONNECTED") return;
    this.#endReason = reason;
    const agentWasIn = !this.#agentLeft;
    this.#setState("DISCONNECTED");
    this.#ring?.cancel();
    this.caller.setState("left");
    this.callee.setState("left");
    this.#host.ticker.remove(this);
    this.#desk.stop();
    this.#timers.cancelAll();
    if (agentWasIn) this.#tellAgentItEnded(reason, sessionReason);
    this.#host.ended(this);
  }

  /** Writes a line into the log and wakes those who wait. @internal */
  log(plane: EventPlane, direction: CallLogEvent["direction"], type: string, data: unknown): void {
    const atMs = this.#host.clock.now();
    this.#log.add({ atMs, callMs: atMs - this.startMs, plane, direction, type, data });
    for (const check of this.#waiters) check();
  }

  #tellAgentItEnded(reason: CallEndReason, sessionReason: SessionCloseReason | undefined): void {
    const tell = () => {
      this.#sendText("call_event", { event: "call.terminated" });
      this.#closeMedia("call ended");
    };
    this.#host.closeSession(this, sessionReason ?? (reason === "forced" ? "FORCE_CLOSE" : "CALL_TERMINATED"));
    if (this.#terminatedDelayMs > 0) this.#host.clock.setTimeout(tell, this.#terminatedDelayMs);
    else tell();
  }

  #closeMedia(why: string): void {
    const media = this.#media;
    this.#media = undefined;
    if (!media) return;
    this.log("media", "out", "media.close", { code: 1000 });
    media.close(1000, why);
  }

  #agentLeaves(): void {
    if (this.#state === "DISCONNECTED" || this.#agentLeft) return;
    if (this.#state !== "CONNECTED") {
      this.end("agent_closed", "SDK_REQUEST");
      return;
    }
    this.#agentLeft = true;
    this.log("call", "none", "agent.left", null);
    if (this.options.terminatedOnLeave) this.#sendText("call_event", { event: "call.terminated" });
    this.#host.closeSession(this, "SDK_REQUEST");
    this.#closeMedia("agent left the call");
    // One party alone is no call.
    if (this.caller.state === "left") this.end("caller_hung_up");
    else if (this.callee.state === "left") this.end("callee_hung_up");
  }

  #answer(done: (answered: boolean) => void): void {
    const answered = () => {
      this.remote.setState("inCall");
      this.#setState("ANSWERED");
      done(true);
    };
    if (!this.#setup.remoteRingsOnAnswer) {
      answered();
      return;
    }
    this.ringRemote(60, (outcome) => {
      if (outcome === "picked_up") answered();
      else done(false);
    });
  }

  #setState(state: CallState): void {
    this.#state = state;
    this.log("call", "none", `state.${state}`, this.#endReason ? { reason: this.#endReason } : null);
  }

  #sendText(type: string, data: Readonly<Record<string, unknown>>): boolean {
    if (!this.#media) return false;
    this.log("media", "out", type, data);
    for (const text of this.faults.outgoing(JSON.stringify({ type, data }), type)) this.#media.send(text);
    return true;
  }

  #audioHost() {
    const call = this;
    return {
      get state() {
        return call.#state;
      },
      get ringing() {
        return call.ringing;
      },
      get agentMode() {
        return call.#agentMode;
      },
      get agentInCall() {
        return (call.#state === "ANSWERED" || call.#state === "CONNECTED") && !call.#agentLeft;
      },
      get isolated() {
        return call.isolated;
      },
      get subscriberRole() {
        return call.subscriber.role;
      },
      caller: this.caller,
      callee: this.callee,
      recording: this.recording,
      options: this.options,
      now: () => call.#host.clock.now(),
      sendAudio: (frame: Buffer) => call.#sendAudio(frame),
      requestAudio: (bytes: number, preferFrameBytes: number) =>
        call.#sendText("buffer_request", {
          requested_bytes: bytes,
          ...(preferFrameBytes > 0 ? { prefer_audio_frame_bytes: preferFrameBytes } : {}),
          channelId: 0,
        }),
    };
  }

  #sendAudio(frame: Buffer): boolean {
    if (!this.#media) return false;
    if (this.#media.bufferedAmount > (this.options.maxUnsentBytes ?? CALL_DEFAULTS.maxUnsentBytes)) {
      this.#counts.framesDropped += 1;
      return false;
    }
    this.#counts.framesToAgent += 1;
    this.#media.send(frame);
    return true;
  }

  #commandHost() {
    const call = this;
    return {
      get state() {
        return call.#state;
      },
      get ringing() {
        return call.ringing;
      },
      get agentInCall() {
        return (call.#state === "ANSWERED" || call.#state === "CONNECTED") && !call.#agentLeft;
      },
      answer: (done: (answered: boolean) => void) => call.#answer(done),
      ring: (seconds: number, done: (outcome: RingOutcome) => void) =>
        call.ringSubscriber(seconds, (outcome) => {
          if (outcome === "picked_up") call.connectParties(true);
          done(outcome);
        }),
      setAgentMode: (mode: AgentMode) => {
        call.#agentMode = mode;
        call.log("call", "none", `mode.${mode}`, null);
      },
      interrupt: () => {
        const bytes = call.#audio.playout?.interrupt() ?? 0;
        call.log("call", "none", "interrupted", { bytes });
      },
      agentLeaves: () => call.#agentLeaves(),
      agentDisconnects: () => call.end("agent_disconnected"),
      sendResponse: (response: Readonly<Record<string, unknown>>) => {
        call.#sendText("command_response", response);
      },
      note: (type: string, data: unknown) => call.log("fault", "none", type, data),
    };
  }
}
