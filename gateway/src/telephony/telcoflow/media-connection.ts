import { randomUUID } from "node:crypto";
import type { Clock, Timer } from "../../util/clock.js";
import type { PlaybackSource } from "../telephony.js";
import { AudioCredit } from "./audio-credit.js";
import { RateMeter } from "./backoff.js";
import type { TelcoflowCounters } from "./counters.js";
import { AUDIO_HEADER_BYTES, AudioFrameReader, agentFrame } from "./frames.js";
import type { Logger } from "./logger.js";
import {
  type CommandName,
  dispatch,
  type MediaCommand,
  type MediaMessage,
  type MessageHandlers,
} from "./messages.js";
import { maxFrameBytes, type TelcoflowSettings } from "./options.js";
import { redactRemote } from "./redact.js";
import { ProviderSocket, type SocketEnd } from "./socket.js";
import { parseMediaFrame } from "./validators.js";
import { commandRefused, commandUnavailable, commandUnknown } from "./vendor-error.js";

/** Where and with which token; the token is secret. */
export interface MediaAddress {
  readonly url: string;
  readonly token: string;
}

/** What the connection tells its call. Nothing comes after onEnd. */
export interface MediaHandler {
  onOpen(): void;
  /** Whole samples. Never written to again: it may be kept. */
  onAudio(channel: number, pcm: Uint8Array): void;
  onTerminated(): void;
  onCallError(code: string): void;
  /** After the commands without an answer were settled. */
  onEnd(end: SocketEnd): void;
}

interface PendingCommand {
  readonly name: CommandName;
  readonly timer: Timer;
  resolve(): void;
  reject(error: Error): void;
}

/** Commands whose effect ends the connection, so that its end is their answer. */
const ENDING: ReadonlySet<CommandName> = new Set(["call.close", "call.disconnect"]);

/**
 * One media connection of a call: commands and their answers, the caller's audio in, the agent's audio out as the provider
 * asks for it. It is opened once and never comes back; the call makes a new one.
 */
export class MediaConnection {
  private readonly socket: ProviderSocket;
  private readonly credit: AudioCredit;
  private readonly reader = new AudioFrameReader();
  private readonly pending = new Map<string, PendingCommand>();
  private readonly meter: RateMeter;
  private stalled = false;
  private readonly unstall = () => {
    this.stalled = false;
    this.pump();
  };

  constructor(
    private readonly address: MediaAddress,
    private readonly settings: TelcoflowSettings,
    private readonly clock: Clock,
    private readonly counters: TelcoflowCounters,
    private readonly log: Logger,
    private readonly playback: PlaybackSource,
    private readonly handler: MediaHandler,
  ) {
    this.meter = new RateMeter(settings.badFramesPerMinute, 60_000, clock);
    this.credit = new AudioCredit({
      maxFrameBytes: maxFrameBytes(settings),
      defaultPreferBytes: settings.defaultPreferBytes,
      maxRequests: settings.maxCreditRequests,
      maxOutstandingBytes: settings.maxCreditBytes,
    });
    const { ca } = settings.identity.tls;
    this.socket = new ProviderSocket(
      {
        url: address.url,
        headers: { authorization: `Bearer ${address.token}`, "x-sdk-version": settings.sdkVersion },
        tls: ca === undefined ? {} : { ca },
        handshakeTimeoutMs: settings.handshakeTimeoutMs,
        pingMs: settings.mediaPingMs,
        pongTimeoutMs: settings.mediaPongTimeoutMs,
        closeTimeoutMs: settings.closeTimeoutMs,
        maxPayloadBytes: settings.mediaMaxPayloadBytes,
        maxFragments: settings.maxFragments,
        maxBufferedChunks: settings.maxBufferedChunks,
      },
      clock,
      counters,
      {
        onOpen: () => this.handler.onOpen(),
        onText: (text) => this.receiveText(text),
        onBinary: (bytes, start, end) => this.receiveAudio(bytes, start, end),
        onEnd: (end) => this.ended(end),
      },
    );
  }

  get isOpen(): boolean {
    return this.socket.isOpen;
  }

  /** Credit that waits for audio, bytes. */
  get outstandingBytes(): number {
    return this.credit.outstandingBytes;
  }

  /**
   * Sends a command; resolves when the provider says that it succeeded. The provider gets `timeoutMs`, we wait longer
   * by the slack. Rejects with TelephonyError: refused, unavailable (not sent) or unknown (no answer). The answer to a
   * close or disconnect is often cut off by what it does, so the end of the call or of the connection after it was sent
   * counts as its success.
   */
  command(name: CommandName, timeoutMs: number, data?: { ringTimeSeconds: number }): Promise<void> {
    if (this.pending.size >= this.settings.maxPendingCommands) {
      return Promise.reject(commandUnavailable(name, "too many commands without an answer"));
    }
    const id = randomUUID();
    const frame: MediaCommand = {
      type: "command",
      data: { command_id: id, command: name, timeout_ms: timeoutMs, ...(data && { data }) },
    };
    return new Promise((resolve, reject) => {
      if (!this.socket.send(JSON.stringify(frame))) {
        reject(commandUnavailable(name, "the media connection is not open"));
        return;
      }
      const timer = this.clock.after(timeoutMs + this.settings.commandSlackMs, () => {
        this.pending.delete(id);
        reject(commandUnknown(name, "no answer in time"));
      });
      this.pending.set(id, { name, timer, resolve, reject });
    });
  }

  /** There may be audio to send. Cheap when there is no credit. */
  audioReady(): void {
    if (this.credit.outstandingBytes > 0) this.pump();
  }

  /** Closes the connection; onEnd follows. */
  close(code = 1000): void {
    this.socket.close(code);
  }

  /** Settles the commands without an answer: ending ones succeeded, the others are unknown. */
  private settlePending(why: string): void {
    const commands = [...this.pending.values()];
    this.pending.clear();
    for (const command of commands) {
      command.timer.cancel();
      if (ENDING.has(command.name)) command.resolve();
      else command.reject(commandUnknown(command.name, why));
    }
  }

  private ended(end: SocketEnd): void {
    this.credit.clear();
    this.settlePending("the media connection ended before an answer");
    this.guard(() => this.handler.onEnd(end));
  }

  private readonly sink = (channel: number, pcm: Uint8Array) => this.handler.onAudio(channel, pcm);

  private receiveAudio(bytes: Buffer, start: number, end: number): void {
    const { counters } = this;
    let kind: ReturnType<AudioFrameReader["read"]>;
    try {
      kind = this.reader.read(bytes, this.sink, start, end);
    } catch (error) {
      this.handlerFailed(error);
      return;
    }
    if (kind === "short") {
      counters.shortAudioFrames++;
      return;
    }
    counters.audioFramesIn++;
    counters.audioBytesIn += end - start - AUDIO_HEADER_BYTES;
    if (kind === "odd") counters.oddAudioFrames++;
  }

  private receiveText(text: string): void {
    this.settings.observer?.("media", text);
    const parsed = parseMediaFrame(text);
    if (!parsed.ok) {
      if (parsed.problem === "unknownType") {
        this.counters.unknownTypes++;
        return;
      }
      this.counters.badFrames++;
      this.meter.hit();
      if (this.meter.inWindow !== 1) return;
      const secrets = [...this.settings.identity.secrets, this.address.token];
      this.log.warn(
        {
          problem: redactRemote(`${parsed.problem} ${parsed.detail}`, secrets),
          frame: redactRemote(text, secrets),
        },
        "bad media frame ignored",
      );
      return;
    }
    dispatch<MediaMessage>(parsed.message, this.onMessage);
  }

  /** Made once: a request for audio comes several times a second for each call. */
  private readonly onMessage: MessageHandlers<MediaMessage> = {
    buffer_request: (message) => {
      const result = this.credit.add(message.requestedBytes, message.preferFrameBytes, message.channel);
      if (result === "otherChannel") this.counters.creditOtherChannel++;
      else if (result === "cut") this.counters.creditCut++;
      this.pump();
    },
    command_response: (message) => {
      const command = this.pending.get(message.commandId);
      if (!command) {
        this.counters.lateResponses++;
        return;
      }
      this.pending.delete(message.commandId);
      command.timer.cancel();
      if (message.success) command.resolve();
      else {
        const secrets = [...this.settings.identity.secrets, this.address.token];
        command.reject(commandRefused(command.name, message.errorCode, message.errorMessage, secrets));
      }
    },
    call_event: (message) => {
      if (message.event === "call.terminated") {
        this.settlePending("the call ended before an answer");
        this.guard(() => this.handler.onTerminated());
      } else if (message.event === "call.error") {
        this.guard(() =>
          this.handler.onCallError(redactRemote(message.errorCode, this.settings.identity.secrets)),
        );
      } else this.counters.unknownEvents++;
    },
  };

  /** Sends what credit, audio and the socket's buffer allow. */
  private pump(): void {
    if (this.stalled || !this.socket.isOpen) return;
    const { credit, playback, socket, counters } = this;
    try {
      for (;;) {
        const available = playback.available();
        let bytes = credit.next(available, false);
        if (bytes === 0) {
          if (available < 2 || credit.outstandingBytes === 0 || !playback.flushTail()) return;
          bytes = credit.next(available, true);
          if (bytes === 0) return;
        }
        if (socket.bufferedAmount >= this.settings.maxSendBufferBytes) {
          this.stall();
          return;
        }
        const frame = agentFrame(bytes);
        const read = playback.read(frame, AUDIO_HEADER_BYTES, bytes);
        if (read <= 0) return;
        credit.spend(read);
        const length = AUDIO_HEADER_BYTES + read;
        const fills = socket.bufferedAmount + length >= this.settings.maxSendBufferBytes;
        if (fills) {
          this.stalled = true;
          counters.sendStalls++;
        }
        socket.sendBinary(frame, length, fills ? this.unstall : undefined);
        counters.audioFramesOut++;
        counters.audioBytesOut += read;
        if (fills) return;
      }
    } catch (error) {
      this.handlerFailed(error);
    }
  }

  /** The buffer is full of something else than our last frame: look again soon. */
  private stall(): void {
    this.stalled = true;
    this.counters.sendStalls++;
    this.clock.after(20, this.unstall);
  }

  private guard(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.handlerFailed(error);
    }
  }

  private handlerFailed(error: unknown): void {
    if (this.counters.handlerErrors++ === 0) this.log.error({ err: error }, "error in a handler of a call");
  }
}
