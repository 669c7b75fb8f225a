import type { AgentMode } from "../../call/call-state.js";
import type { Clock, Timer } from "../../util/clock.js";
import type { CallLeg, CallLegHandler, ConnectOutcome, PlaybackSource } from "../telephony.js";
import { RateMeter } from "./backoff.js";
import type { TelcoflowCounters } from "./counters.js";
import type { Logger } from "./logger.js";
import { type MediaAddress, MediaConnection } from "./media-connection.js";
import type { CommandName } from "./messages.js";
import type { TelcoflowSettings } from "./options.js";
import { redactUrl } from "./redact.js";
import type { SocketEnd } from "./socket.js";
import { closeReasonOf, commandUnavailable, connectOutcomeOf } from "./vendor-error.js";

/** What a leg needs of its connector. */
export interface LegOwner {
  /** The leg is over: closed, disconnected, terminated or abandoned. Once. */
  onLegOver(): void;
  isAlive(): Promise<boolean | undefined>;
}

const MODE_COMMANDS: { readonly [m in AgentMode]: CommandName } = {
  BARGE: "agent.barge",
  WHISPER: "agent.whisper",
  SPY: "agent.spy",
};

/**
 * Whether the provider ended the connection with a code of its own (4000 to 4999), such as for one replaced by a newer
 * connection of another process. Opening it again would take the call back from there.
 */
function isDeliberate(code: number): boolean {
  return code >= 4000 && code <= 4999;
}

/** Where the media of a leg stands. */
type Media =
  | { readonly t: "closed" }
  | { readonly t: "opening"; readonly done: Promise<MediaConnection> }
  | { readonly t: "open"; readonly connection: MediaConnection };

/**
 * One call. The media connection is opened by the first command. Lost without our doing, it is opened once more, with the
 * newest address the provider gave, and the handler is told onMediaRestored; when that fails it is told onMediaLost, and
 * a later command or a newer address tries again. It is not opened again, and onMediaLost told at once, when the provider
 * closed it with a code of its own, when the session is closed, or when it was lost too often in a minute.
 */
export class TelcoflowLeg implements CallLeg {
  private handler: CallLegHandler | undefined;
  private playback: PlaybackSource | undefined;
  private media: Media = { t: "closed" };
  private current: MediaConnection | undefined;
  private spare: MediaAddress | undefined;
  private reopenTimer: Timer | undefined;
  private graceTimer: Timer | undefined;
  private readonly reopens: RateMeter;
  /** An ending command was sent and not refused: the end of the media is expected. */
  private ending = false;
  private sessionClosed = false;
  /** onMediaLost was told and onMediaRestored not yet. */
  private lostTold = false;
  private wasOpen = false;
  private isOver = false;
  private abandoned = false;
  private terminatedTold = false;

  constructor(
    private address: MediaAddress,
    private readonly settings: TelcoflowSettings,
    private readonly clock: Clock,
    private readonly counters: TelcoflowCounters,
    private readonly log: Logger,
    private readonly owner: LegOwner,
  ) {
    this.reopens = new RateMeter(settings.mediaReopensPerMinute, 60_000, clock);
  }

  /** True once nothing more can be done with the call. */
  get over(): boolean {
    return this.isOver;
  }

  /** True while the media connection is up or being made again. */
  get mediaUp(): boolean {
    return this.media.t !== "closed" || this.reopenTimer !== undefined;
  }

  /** True after attach(). */
  get attached(): boolean {
    return this.handler !== undefined;
  }

  attach(handler: CallLegHandler, playback: PlaybackSource): void {
    if (this.handler) throw new Error("attached twice");
    this.handler = handler;
    this.playback = playback;
  }

  answer(): Promise<void> {
    return this.command("call.answer");
  }

  resume(): void {
    // As after a loss: what fails is told, and a newer address opens it again.
    this.wasOpen = true;
    this.open().catch(() => {});
  }

  async connect(ringTimeSeconds: number): Promise<ConnectOutcome> {
    if (!Number.isInteger(ringTimeSeconds) || ringTimeSeconds < 1 || ringTimeSeconds > 120) {
      throw commandUnavailable("call.connect", "ring time must be 1 to 120 whole seconds");
    }
    const timeoutMs = ringTimeSeconds * 1000 + this.settings.connectExtraMs;
    try {
      await this.command("call.connect", timeoutMs, { ringTimeSeconds });
      return "connected";
    } catch (error) {
      const outcome = connectOutcomeOf(error);
      if (outcome) return outcome;
      throw error;
    }
  }

  setAgentMode(mode: AgentMode): Promise<void> {
    return this.command(MODE_COMMANDS[mode]);
  }

  interrupt(): Promise<void> {
    return this.command("agent.interrupt");
  }

  close(): Promise<void> {
    return this.end("call.close");
  }

  disconnect(): Promise<void> {
    return this.end("call.disconnect");
  }

  audioReady(): void {
    this.current?.audioReady();
  }

  abandon(): void {
    this.abandoned = true;
    this.graceTimer?.cancel();
    this.finish();
    this.current?.close(1000);
  }

  isAlive(): Promise<boolean | undefined> {
    return this.owner.isAlive();
  }

  // From the connector.

  /** The provider gave a newer address: kept for the next time the media is opened; opens it now if it was lost. */
  renew(address: MediaAddress): void {
    if (this.isOver) return;
    this.spare = address;
    if (this.wasOpen && !this.mediaUp && !this.ending) this.open().catch(() => {});
  }

  /** `session.closed` came, or the provider does not know the session any more ("OTHER"). Told once. */
  sessionEnded(reason: string): void {
    if (this.sessionClosed) return;
    this.sessionClosed = true;
    if (this.reopenTimer) {
      this.reopenTimer.cancel();
      this.reopenTimer = undefined;
      this.tellLost("SESSION_CLOSED");
    }
    this.tell((handler) => handler.onSessionClosed(closeReasonOf(reason)));
  }

  private async command(
    name: CommandName,
    timeoutMs = this.settings.commandTimeoutMs,
    data?: { ringTimeSeconds: number },
  ): Promise<void> {
    if (this.isOver) throw commandUnavailable(name, "the call is over");
    const connection = await this.open().catch((error: unknown) => {
      const why = error instanceof Error ? error.message : "failed";
      throw commandUnavailable(name, `no media connection: ${why}`);
    });
    if (this.isOver) throw commandUnavailable(name, "the call is over");
    return connection.command(name, timeoutMs, data);
  }

  private async end(name: CommandName): Promise<void> {
    if (this.isOver) return;
    const before = this.ending;
    this.ending = true;
    try {
      await this.command(name);
    } catch (error) {
      // The end of the call while the media was being opened is what was wanted.
      if (this.isOver) return;
      this.ending = before;
      throw error;
    }
    this.finish();
    this.graceTimer = this.clock.after(this.settings.endGraceMs, () => this.current?.close(1000));
  }

  /** The open connection, making one if need be. Rejects with an Error whose message is a word. */
  private open(): Promise<MediaConnection> {
    if (this.media.t === "open") return Promise.resolve(this.media.connection);
    if (this.media.t === "opening") return this.media.done;
    this.reopenTimer?.cancel();
    this.reopenTimer = undefined;
    const done = this.dial();
    this.media = { t: "opening", done };
    return done;
  }

  private dial(): Promise<MediaConnection> {
    const playback = this.playback;
    if (!playback) return Promise.reject(new Error("NOT_ATTACHED"));
    if (this.spare) {
      this.address = this.spare;
      this.spare = undefined;
    }
    return new Promise((resolve, reject) => {
      const connection: MediaConnection = new MediaConnection(
        this.address,
        this.settings,
        this.clock,
        this.counters,
        this.log,
        playback,
        {
          onOpen: () => {
            this.opened(connection);
            resolve(connection);
          },
          onAudio: (channel, pcm) => {
            if (!this.isOver) this.handler!.onAudio(channel, pcm);
          },
          onTerminated: () => this.terminated(),
          onCallError: (code) => this.tell((handler) => handler.onProviderError(code)),
          onEnd: (end) => {
            this.mediaEnded(end);
            reject(new Error(end.detail));
          },
        },
      );
      this.current = connection;
    });
  }

  private opened(connection: MediaConnection): void {
    this.media = { t: "open", connection };
    this.counters.mediaOpened++;
    if (this.isOver) {
      connection.close(1000);
      return;
    }
    if (!this.wasOpen) {
      this.wasOpen = true;
      return;
    }
    this.counters.mediaReopened++;
    this.log.info({ url: redactUrl(this.address.url) }, "media connection is back");
    this.lostTold = false;
    this.tell((handler) => handler.onMediaRestored());
  }

  private mediaEnded(end: SocketEnd): void {
    this.media = { t: "closed" };
    this.current = undefined;
    this.graceTimer?.cancel();
    if (this.isOver) return;
    if (!end.opened) {
      this.counters.mediaOpenFailures++;
      this.log.warn({ url: redactUrl(this.address.url), detail: end.detail }, "media connection failed");
      if (this.wasOpen) this.tellLost(end.detail);
      return;
    }
    // The end after a close or disconnect was settled as its success already, before this is called.
    if (this.ending) return;
    this.counters.mediaDropped++;
    if (this.sessionClosed || isDeliberate(end.code) || this.reopens.hit()) {
      this.tellLost(end.detail);
      return;
    }
    this.log.warn(
      { url: redactUrl(this.address.url), detail: end.detail },
      "media connection lost: reopening",
    );
    this.reopenTimer = this.clock.after(this.settings.mediaReopenDelayMs, () => {
      this.reopenTimer = undefined;
      this.open().catch(() => {});
    });
  }

  private terminated(): void {
    if (this.terminatedTold) return;
    this.terminatedTold = true;
    this.finish();
    this.current?.close(1000);
    this.tell((handler) => handler.onTerminated());
  }

  private tellLost(detail: string): void {
    if (this.lostTold || this.isOver) return;
    this.lostTold = true;
    this.tell((handler) => handler.onMediaLost(detail));
  }

  private finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.reopenTimer?.cancel();
    this.reopenTimer = undefined;
    this.owner.onLegOver();
  }

  private tell(what: (handler: CallLegHandler) => void): void {
    if (!this.handler || this.abandoned) return;
    try {
      what(this.handler);
    } catch (error) {
      this.counters.handlerErrors++;
      this.log.error({ err: error }, "error in a handler of a call");
    }
  }
}
