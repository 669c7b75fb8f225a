import type { FrameToneBand } from "../audio/frame-tone.js";
import type { Pcm } from "../audio/wav.js";
import type { VoiceName } from "../voice/voice.js";

/**
 * One thing a person on the phone does. A script begins when the person is in the conversation (a caller:
 * answered or connected; a callee: picked up); after its last step the person stays on the line, silent.
 */
export type ScriptStep =
  | { readonly do: "wait"; readonly seconds: number }
  | { readonly do: "waitForAgentSpeech"; readonly timeoutSeconds: number }
  | {
      readonly do: "waitForAgentSilence";
      readonly silenceSeconds: number;
      readonly timeoutSeconds: number;
    }
  | { readonly do: "waitUntil"; readonly predicate: () => boolean; readonly timeoutSeconds: number }
  | { readonly do: "say"; readonly text: string; readonly voice: VoiceName }
  | { readonly do: "play"; readonly audio: Pcm | string }
  | {
      readonly do: "tone";
      readonly frequencyHz: number;
      readonly seconds: number;
      readonly amplitude: number;
    }
  | { readonly do: "frameTone"; readonly band: FrameToneBand; readonly seconds: number }
  | { readonly do: "noise"; readonly seconds: number; readonly amplitude: number }
  | { readonly do: "source"; readonly read: FrameSource }
  | { readonly do: "live"; readonly seconds: number }
  | { readonly do: "hangUp" };

/**
 * Audio made frame by frame: fills `frame` (20 ms at the call's rate, comes zeroed) and returns true, or
 * returns false when it has ended. Called on the real-time tick: it must not block.
 */
export type FrameSource = (frame: Int16Array, frameIndex: number, sampleRate: number) => boolean;

/** A person's script. */
export type Script = readonly ScriptStep[];

/** Says nothing for `seconds`. */
export function wait(seconds: number): ScriptStep {
  return { do: "wait", seconds };
}

/**
 * Waits until speech is heard after this person's own last words ended; goes on at once if it was heard
 * since. After `timeoutSeconds` (default 30) goes on anyway.
 */
export function waitForAgentSpeech(timeoutSeconds = 30): ScriptStep {
  return { do: "waitForAgentSpeech", timeoutSeconds };
}

/** Waits until nothing was heard for `silenceSeconds` (default 1); at most `timeoutSeconds` (default 60). */
export function waitForAgentSilence(silenceSeconds = 1, timeoutSeconds = 60): ScriptStep {
  return { do: "waitForAgentSilence", silenceSeconds, timeoutSeconds };
}

/** Lets the agent speak and finish: speech, then `silenceSeconds` of silence. */
export function waitForAgent(silenceSeconds = 1, timeoutSeconds = 30): ScriptStep[] {
  return [waitForAgentSpeech(timeoutSeconds), waitForAgentSilence(silenceSeconds, timeoutSeconds)];
}

/** Waits until `predicate` is true (looked at every 20 ms), at most `timeoutSeconds` (default 60). */
export function waitUntil(predicate: () => boolean, timeoutSeconds = 60): ScriptStep {
  return { do: "waitUntil", predicate, timeoutSeconds };
}

/** Says `text` with a synthetic voice (English). The step waits for the synthesis if it is not ready. */
export function say(text: string, voice: VoiceName = "slt"): ScriptStep {
  return { do: "say", text, voice };
}

/** Lets the agent finish, then says `text`. */
export function sayAfterAgent(text: string, voice: VoiceName = "slt", silenceSeconds = 1): ScriptStep[] {
  return [...waitForAgent(silenceSeconds), say(text, voice)];
}

/** Plays audio: samples or the path of a WAV file, converted to the call's rate. */
export function play(audio: Pcm | string): ScriptStep {
  return { do: "play", audio };
}

/** A pure tone, for `seconds` (default: for ever), of peak `amplitude` (default 8000). */
export function tone(frequencyHz: number, seconds = Number.POSITIVE_INFINITY, amplitude = 8000): ScriptStep {
  return { do: "tone", frequencyHz, seconds, amplitude };
}

/** Numbered frames 0, 1, 2 … (see `encodeFrameTone`), for `seconds` (default: for ever). */
export function frameTone(seconds = Number.POSITIVE_INFINITY, band: FrameToneBand = "a"): ScriptStep {
  return { do: "frameTone", band, seconds };
}

/** White noise from the call's seed, for `seconds` (default: for ever), of peak `amplitude` (default 1000). */
export function noise(seconds = Number.POSITIVE_INFINITY, amplitude = 1000): ScriptStep {
  return { do: "noise", seconds, amplitude };
}

/** Audio of one's own making, see {@link FrameSource}. */
export function source(read: FrameSource): ScriptStep {
  return { do: "source", read };
}

/** Audio pushed from outside by `party.push()`: a person with a microphone. Default: for ever. */
export function live(seconds = Number.POSITIVE_INFINITY): ScriptStep {
  return { do: "live", seconds };
}

/** Hangs up. */
export function hangUp(): ScriptStep {
  return { do: "hangUp" };
}

/** What the person called does when the phone rings. Times count from the first ring. */
export type CalleeBehaviour =
  | { readonly kind: "picksUp"; readonly afterSeconds: number; readonly script: Script }
  | { readonly kind: "never" }
  | { readonly kind: "rejects"; readonly afterSeconds: number };

/** Ready-made callees. */
export const callee = {
  /** Picks up after `afterSeconds` (default 1) and follows `script` (default: listens). */
  picksUp(options: { afterSeconds?: number; script?: Script } = {}): CalleeBehaviour {
    return { kind: "picksUp", afterSeconds: options.afterSeconds ?? 1, script: options.script ?? [] };
  },
  /** Lets it ring. */
  never(): CalleeBehaviour {
    return { kind: "never" };
  },
  /** Rejects the call after `afterSeconds` (default 1): `CALL_UNANSWERED` before the ring time is over. */
  rejects(afterSeconds = 1): CalleeBehaviour {
    return { kind: "rejects", afterSeconds };
  },
  /** A voicemail: picks up, speaks its greeting, beeps, then records in silence. */
  voicemail(options: { afterSeconds?: number; greeting?: string; voice?: VoiceName } = {}): CalleeBehaviour {
    const greeting = options.greeting ?? "The person you called is not available. Leave a message.";
    return {
      kind: "picksUp",
      afterSeconds: options.afterSeconds ?? 1,
      script: [wait(0.5), say(greeting, options.voice ?? "rms"), tone(1000, 0.4)],
    };
  },
  /** Picks up and hangs up again `staysSeconds` later (default 0: in the very next frame). */
  hangsUpAfterPickUp(options: { afterSeconds?: number; staysSeconds?: number } = {}): CalleeBehaviour {
    return {
      kind: "picksUp",
      afterSeconds: options.afterSeconds ?? 1,
      script: [wait(options.staysSeconds ?? 0), hangUp()],
    };
  },
} as const;
