import type { CallLegHandler, PlaybackSource } from "../telephony/telephony.js";

/** What a leg is attached to. */
export interface LegParts {
  readonly handler: CallLegHandler;
  readonly playback: PlaybackSource;
}

/**
 * The same, except that an unexpected error in the handling of one call ends that call: nobody knows what state it is in.
 * `broke` is told first; then the error goes on to the adapter, which counts and logs it. Nothing reaches a call that broke.
 */
export function guarded({ handler, playback }: LegParts, broke: () => void): LegParts {
  let broken = false;
  const failed = (error: unknown): never => {
    broken = true;
    broke();
    throw error;
  };
  const guard =
    <A extends unknown[]>(act: (...args: A) => void) =>
    (...args: A): void => {
      if (broken) return;
      try {
        act(...args);
      } catch (error) {
        failed(error);
      }
    };
  // What comes with every frame is written out: no list of arguments is made for it.
  return {
    handler: {
      onAudio(channel, pcm) {
        if (broken) return;
        try {
          handler.onAudio(channel, pcm);
        } catch (error) {
          failed(error);
        }
      },
      onTerminated: guard(() => handler.onTerminated()),
      onMediaLost: guard((detail) => handler.onMediaLost(detail)),
      onMediaRestored: guard(() => handler.onMediaRestored()),
      onSessionClosed: guard((reason) => handler.onSessionClosed(reason)),
      onProviderError: guard((code) => handler.onProviderError(code)),
    },
    playback: {
      available() {
        if (broken) return 0;
        try {
          return playback.available();
        } catch (error) {
          return failed(error);
        }
      },
      read(target, offset, maxBytes) {
        if (broken) return 0;
        try {
          return playback.read(target, offset, maxBytes);
        } catch (error) {
          return failed(error);
        }
      },
      flushTail() {
        if (broken) return false;
        try {
          return playback.flushTail();
        } catch (error) {
          return failed(error);
        }
      },
    },
  };
}
