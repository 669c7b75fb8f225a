import { mixFrames, type SampleRate, samplesPerFrame } from "./audio/mix.js";
import { Playout } from "./audio/playout.js";
import type { CallRecording } from "./audio/recording.js";
import type { AgentMode, CallOptions, CallState } from "./call-types.js";
import type { Party, PartyRole } from "./party/party.js";
import { encodeAudioFrame } from "./plane/messages.js";

/** The call as its audio sees it. */
export interface AudioHost {
  readonly state: CallState;
  readonly ringing: boolean;
  readonly agentMode: AgentMode;
  /** The agent's leg is part of the call (not before answer or connect, not after close). */
  readonly agentInCall: boolean;
  readonly isolated: boolean;
  readonly subscriberRole: PartyRole;
  readonly caller: Party;
  readonly callee: Party;
  readonly recording: CallRecording;
  readonly options: CallOptions;
  /** Sends audio to the agent; false when no media connection takes it. */
  sendAudio(frame: Buffer): boolean;
  /** Sends a `buffer_request`; false without a media connection. */
  requestAudio(bytes: number, preferFrameBytes: number): boolean;
  now(): number;
}

const RINGBACK_HZ = 425;

/** The audio of one call: on each tick everybody speaks, is mixed, hears and is recorded. */
export class CallAudio {
  readonly #host: AudioHost;
  #sampleRate: SampleRate | undefined;
  #playout: Playout | undefined;
  #agentFrame = new Int16Array(0);
  #toAgent = new Int16Array(0);
  #ringFrame = new Int16Array(0);
  #startFrame: number | undefined;
  #floodFrames = 0;

  constructor(host: AudioHost) {
    this.#host = host;
  }

  get sampleRate(): SampleRate | undefined {
    return this.#sampleRate;
  }

  /** The play-out buffer; undefined until the rate is known. */
  get playout(): Playout | undefined {
    return this.#playout;
  }

  /** Fixes the rate of the call; only the first call counts. */
  setSampleRate(sampleRate: SampleRate): void {
    if (this.#sampleRate !== undefined) return;
    this.#sampleRate = sampleRate;
    this.#playout = new Playout(sampleRate, this.#host.options);
    const length = samplesPerFrame(sampleRate);
    this.#agentFrame = new Int16Array(length);
    this.#toAgent = new Int16Array(length);
    this.#ringFrame = new Int16Array(length);
    this.#host.recording.setSampleRate(sampleRate);
  }

  /** Sends so many extra frames of audio at the next tick, at once (a fault). */
  flood(frames: number): void {
    this.#floodFrames += frames;
  }

  tick(frameIndex: number): void {
    const host = this.#host;
    this.#startFrame ??= frameIndex;
    const frame = frameIndex - this.#startFrame;
    host.recording.setLength(frame + 1);
    const playout = this.#playout;
    if (this.#sampleRate === undefined || !playout) return;

    const callerSays = host.caller.speak(this.#sampleRate);
    // The caller may have hung up in its own script, which ends the call.
    const calleeSays = host.callee.speak(this.#sampleRate);
    if (host.state === "DISCONNECTED") return;
    const agentSays = host.agentInCall && playout.readFrame(this.#agentFrame) > 0 ? this.#agentFrame : null;

    this.#partyHears(host.caller, calleeSays, agentSays, frame);
    this.#partyHears(host.callee, callerSays, agentSays, frame);
    if (callerSays) host.recording.write("callerSays", frame, callerSays);
    if (calleeSays) host.recording.write("calleeSays", frame, calleeSays);
    if (agentSays) host.recording.write("agentSays", frame, agentSays);

    if (!host.agentInCall) return;
    const sound = mixFrames(this.#toAgent, callerSays, calleeSays);
    if (host.sendAudio(encodeAudioFrame(0, this.#toAgent)) && sound)
      host.recording.write("agent", frame, this.#toAgent);
    if (host.isolated && host.state === "CONNECTED" && host.agentMode === "spy")
      this.#sendLegs(callerSays, calleeSays);
    for (; this.#floodFrames > 0; this.#floodFrames--) host.sendAudio(encodeAudioFrame(0, this.#toAgent));

    const bytes = playout.nextGrant(host.now());
    if (bytes > 0 && !host.requestAudio(bytes, playout.preferFrameBytes)) playout.forgetCredit();
  }

  #partyHears(party: Party, otherSays: Int16Array | null, agentSays: Int16Array | null, frame: number): void {
    const host = this.#host;
    if (party.state === "left" || party.state === "away") return;
    if (party.state === "ringing") {
      if (party.role === "caller" && host.options.ringback) this.#hear(party, this.#ringTone(frame), frame);
      return;
    }
    const other = host.state === "CONNECTED" ? otherSays : null;
    const heardAgent = agentSays && this.#hearsAgent(party) ? agentSays : null;
    if (heardAgent) host.recording.noteAgentHeard(party.role, frame);
    const ring =
      party.role === "caller" && host.ringing && host.options.ringback ? this.#ringTone(frame) : null;
    const sound = mixFrames(party.hears, other, heardAgent, ring);
    this.#hear(party, sound ? party.hears : null, frame);
  }

  #hear(party: Party, samples: Int16Array | null, frame: number): void {
    party.hear(samples);
    if (samples) this.#host.recording.write(party.role, frame, samples);
  }

  #hearsAgent(party: Party): boolean {
    const host = this.#host;
    if (host.state !== "CONNECTED" || host.agentMode === "barge") return true;
    return host.agentMode === "whisper" && party.role === host.subscriberRole;
  }

  #sendLegs(callerSays: Int16Array | null, calleeSays: Int16Array | null): void {
    const channels = this.#host.options.isolatedChannels ?? { caller: 1, callee: 2 };
    for (const [channel, says] of [
      [channels.caller, callerSays],
      [channels.callee, calleeSays],
    ] as const) {
      mixFrames(this.#toAgent, says);
      this.#host.sendAudio(encodeAudioFrame(channel, this.#toAgent));
    }
  }

  /** One second of tone, four of silence, from the beginning of the call. */
  #ringTone(frame: number): Int16Array | null {
    if (frame % 250 >= 50 || this.#sampleRate === undefined) return null;
    const first = (frame % 250) * this.#ringFrame.length;
    const factor = (2 * Math.PI * RINGBACK_HZ) / this.#sampleRate;
    for (let i = 0; i < this.#ringFrame.length; i++)
      this.#ringFrame[i] = Math.round(3000 * Math.sin(factor * (first + i)));
    return this.#ringFrame;
  }
}
