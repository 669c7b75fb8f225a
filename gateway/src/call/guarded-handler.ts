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
  const guard =
    <A extends unknown[], R>(act: (...args: A) => R, afterwards: R) =>
    (...args: A): R => {
      if (broken) return afterwards;
      try {
        return act(...args);
      } catch (error) {
        broken = true;
        broke();
        throw error;
      }
    };
  return {
    handler: {
      onAudio: guard((channel, pcm) => handler.onAudio(channel, pcm), undefined),
      onTerminated: guard(() => handler.onTerminated(), undefined),
      onMediaLost: guard((detail) => handler.onMediaLost(detail), undefined),
      onMediaRestored: guard(() => handler.onMediaRestored(), undefined),
      onSessionClosed: guard((reason) => handler.onSessionClosed(reason), undefined),
      onProviderError: guard((code) => handler.onProviderError(code), undefined),
    },
    playback: {
      available: guard(() => playback.available(), 0),
      read: guard((target, offset, maxBytes) => playback.read(target, offset, maxBytes), 0),
      flushTail: guard(() => playback.flushTail(), false),
    },
  };
}
