import type { CallLeg, CallLegHandler, PlaybackSource } from "./telephony/telephony.js";

/** What is kept of the audio that comes meanwhile: none; of everything else all, up to this many. */
const MAX_HELD_NEWS = 100;

/**
 * A leg whose call is not made yet, because its earlier events are being read: it takes the news of the provider (audio is
 * counted by nobody and dropped) and gives them to the call as soon as that attaches. Nothing is given to the provider
 * to play meanwhile.
 */
export class WaitingLeg {
  private readonly held: ((handler: CallLegHandler) => void)[] = [];
  private handler: CallLegHandler | undefined;
  private playback: PlaybackSource | undefined;

  constructor(private readonly leg: CallLeg) {
    leg.attach(
      {
        onAudio: (channel, pcm) => this.handler?.onAudio(channel, pcm),
        onTerminated: () => this.tell((h) => h.onTerminated()),
        onMediaLost: (detail) => this.tell((h) => h.onMediaLost(detail)),
        onMediaRestored: () => this.tell((h) => h.onMediaRestored()),
        onSessionClosed: (reason) => this.tell((h) => h.onSessionClosed(reason)),
        onProviderError: (code) => this.tell((h) => h.onProviderError(code)),
      },
      {
        available: () => this.playback?.available() ?? 0,
        read: (target, offset, maxBytes) => this.playback?.read(target, offset, maxBytes) ?? 0,
        flushTail: () => this.playback?.flushTail() ?? false,
      },
    );
  }

  /** The leg for the call: the same, but its attach() begins with what was held back. */
  open(): CallLeg {
    const { leg } = this;
    return {
      attach: (handler, playback) => {
        this.handler = handler;
        this.playback = playback;
        // Not inside the constructor of the call.
        queueMicrotask(() => {
          for (const news of this.held.splice(0)) news(handler);
        });
      },
      answer: () => leg.answer(),
      resume: () => leg.resume(),
      connect: (ringTimeSeconds) => leg.connect(ringTimeSeconds),
      setAgentMode: (mode) => leg.setAgentMode(mode),
      interrupt: () => leg.interrupt(),
      close: () => leg.close(),
      disconnect: () => leg.disconnect(),
      audioReady: () => leg.audioReady(),
      abandon: () => leg.abandon(),
      isAlive: () => leg.isAlive(),
    };
  }

  private tell(news: (handler: CallLegHandler) => void): void {
    if (this.handler) news(this.handler);
    else if (this.held.length < MAX_HELD_NEWS) this.held.push(news);
  }
}
