import type WebSocket from "ws";
import { machineMs } from "../clock.js";
import { FRAME_BYTES, FrameCutter, frameTemplate, readStamp, stampSent } from "../frame.js";
import type { Traffic } from "./traffic.js";

/** Credit at the beginning: one second. */
const FIRST_CREDIT_BYTES = 50 * FRAME_BYTES;
/** Asked for again once this much was used: 100 ms. */
const REFILL_BYTES = 5 * FRAME_BYTES;

const TEMPLATE = frameTemplate();
const BINARY = { binary: true, compress: false };

/** When something happened to a call at the provider, in machine ms; 0: not yet. */
export interface ProviderTimes {
  readonly callId: string;
  readonly notifiedMs: number;
  readonly claimedMs: number;
  readonly answeredMs: number;
}

/** What an interrupted call got. In machine ms; 0: nothing came. */
export interface SilenceTimes {
  readonly callId: string;
  readonly lastAudioMs: number;
  readonly interruptedMs: number;
}

/** One call at the provider: sends a frame every 20 ms, asks for audio as it is used, times what comes back. */
export class MediaCall {
  notifiedMs = 0;
  claimedMs = 0;
  answeredMs = 0;
  lastAudioMs = 0;
  interruptedMs = 0;
  /**
   * Plays what it gets at the pace of speech and asks for no more than it has room for, as a provider does, instead of asking
   * for what it got; its frames are not counted, since nobody says them back.
   */
  realTime = false;
  /** The caller says nothing at all: no frame is sent. */
  muted = false;
  private socket: WebSocket | undefined;
  private sequence = 0;
  private lastBack = -1;
  private usedBytes = 0;
  /** Asked for and not yet there. */
  private openCredit = 0;
  /** Taken and not yet played; with `realTime`. */
  private heldBytes = 0;
  private readonly cutter = new FrameCutter();
  private stopTicking: (() => void) | undefined;

  /** `pull`: it speaks the provider's protocol, with credit and commands; else raw audio both ways. */
  constructor(
    readonly index: number,
    readonly callId: string,
    private readonly traffic: Traffic,
    private readonly pull: boolean,
  ) {}

  get isUp(): boolean {
    return this.stopTicking !== undefined;
  }

  /** Its media connection is there. */
  attach(socket: WebSocket): void {
    this.socket = socket;
    socket.on("error", () => socket.terminate());
    socket.on("close", () => this.hangUp());
    socket.on("message", (data, isBinary) => {
      if (isBinary) this.receiveAudio(data as Buffer);
      else this.receiveCommand(data.toString());
    });
    if (this.pull) this.ask(FIRST_CREDIT_BYTES);
    else this.begin();
  }

  /** Ends it as the caller would. */
  hangUp(): void {
    this.stopTicking?.();
    this.stopTicking = undefined;
    if (this.pull && this.socket?.readyState === this.socket?.OPEN) {
      this.socket?.send(JSON.stringify({ type: "call_event", data: { event: "call.terminated" } }));
    }
    this.socket?.close();
    this.socket = undefined;
  }

  /** From the pacer. */
  tick(): void {
    if (this.realTime) this.playOut();
    if (this.muted) return;
    const frame = Buffer.from(TEMPLATE);
    stampSent(frame, 1, this.index, this.sequence++, machineMs());
    if (!this.realTime) this.traffic.sent();
    this.socket?.send(frame, BINARY);
  }

  private playOut(): void {
    this.heldBytes = Math.max(0, this.heldBytes - FRAME_BYTES);
    const room = FIRST_CREDIT_BYTES - this.heldBytes - this.openCredit;
    if (room >= FRAME_BYTES) this.ask(room);
  }

  private begin(): void {
    this.answeredMs = machineMs();
    this.stopTicking ??= this.traffic.pacer.add(this.index, this);
  }

  private ask(bytes: number): void {
    this.openCredit += bytes;
    this.socket?.send(
      JSON.stringify({
        type: "buffer_request",
        data: { requested_bytes: bytes, prefer_audio_frame_bytes: FRAME_BYTES, channelId: 0 },
      }),
    );
  }

  private receiveAudio(data: Buffer): void {
    const nowMs = machineMs();
    this.lastAudioMs = nowMs;
    const bytes = data.length - 1;
    this.openCredit -= bytes;
    if (this.realTime) {
      this.heldBytes += bytes;
      return;
    }
    this.usedBytes += bytes;
    this.cutter.push(data.subarray(1), (buffer, at) => {
      const stamp = readStamp(buffer, at);
      if (!stamp || stamp.call !== this.index) this.traffic.misplaced("corrupt");
      else {
        if (stamp.sequence <= this.lastBack) this.traffic.misplaced("outOfOrder");
        this.lastBack = stamp.sequence;
        this.traffic.back(stamp, nowMs);
      }
    });
    if (this.pull && this.usedBytes >= REFILL_BYTES) {
      this.ask(this.usedBytes);
      this.usedBytes = 0;
    }
  }

  private receiveCommand(text: string): void {
    const { type, data } = JSON.parse(text) as {
      type: string;
      data: { command_id: string; command: string };
    };
    if (type !== "command") return;
    if (data.command === "agent.interrupt") {
      this.interruptedMs = machineMs();
      this.heldBytes = 0;
    }
    const response = { command_id: data.command_id, success: true, result: null };
    this.socket?.send(JSON.stringify({ type: "command_response", data: response }));
    if (data.command === "call.answer") this.begin();
  }
}
