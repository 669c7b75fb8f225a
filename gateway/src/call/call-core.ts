import type { CallLeg } from "../telephony/telephony.js";
import { TelephonyError } from "../telephony/telephony.js";
import type { Clock } from "../util/clock.js";
import type { AfterOptions } from "./after-wait.js";
import { cancelled } from "./after-wait.js";
import type { EscalationReason } from "./call-commands.js";
import { CallError } from "./call-error.js";
import type { CallSnapshot, EndReason, SeatCause, Verb } from "./call-state.js";
import type { CallContexts } from "./context-port.js";
import type { EventRecorder } from "./event-recorder.js";
import type { Lifecycle } from "./lifecycle.js";
import type { Marks } from "./marks.js";
import type { HoldSource, Playback, PlaybackOptions } from "./playback.js";
import type { Seat, SeatHolder } from "./seat.js";

/** What is fixed for the life of a call. */
export interface CallFacts {
  readonly tenant: string;
  readonly callId: string;
  readonly sessionId: string;
  readonly connector: string;
  /** E.164, empty when withheld. */
  readonly caller: string;
  readonly callee: string;
  readonly rawCaller: string;
  readonly rawCallee: string;
  readonly pool: string;
  readonly locale: string;
  readonly sampleRateHz: number;
  readonly gatewayId: string;
}

/** Options of every call. */
export interface CallOptions {
  readonly playback: Omit<PlaybackOptions, "sampleRateHz">;
  readonly after: AfterOptions;
  /** How long a call without media is kept when the provider gives no sign. Default 10,000. */
  readonly mediaGiveUpMs: number;
  /** How long the end of a call waits for its last write into the context. Default 1,500. */
  readonly finalSaveMs: number;
  /** Listeners of one call. Default 1,000. */
  readonly maxListeners: number;
  /** Takes out of the words of commands what must not be kept, before they are hashed for the event log. Default: nothing. */
  readonly redact?: (value: unknown) => unknown;
}

/** Who finds agents for seats; implemented by dispatch. */
export interface SeatingPort {
  /** The seat is free; `cause` says why, `last` who had it. Offers may begin. */
  seatVacated(call: CallCore, cause: SeatCause, last: SeatHolder | undefined): void;
  /** Offers the call to others while the holder keeps the seat. `done` resolves with whether somebody took it. */
  seek(
    call: CallCore,
    to: { readonly pool: string } | { readonly instanceId: string },
    durationMs: number,
    cause: "TRANSFERRED" | "ESCALATED",
    escalationReason?: EscalationReason,
  ): { readonly done: Promise<boolean>; cancel(): void };
  /** The call is over: its offers are revoked. */
  callEnded(call: CallCore): void;
}

/** What the outlet of the playback depends on besides state and seat. */
export interface OutletFlags {
  /** The callee rings: what the caller hears. */
  ringing: "HOLD_AUDIO" | "AGENT" | undefined;
  /** After pick-up of an escalation: nothing of the agent is let through. */
  muted: boolean;
  /** The gateway itself speaks (an announcement of an unserved route). */
  announcing: boolean;
  /** The agent leg stays as a spy without an agent: the empty seat is offered to nobody. */
  seatLeftEmpty: boolean;
}

/** A call as its behaviours see it. */
export interface CallCore {
  readonly facts: CallFacts;
  readonly options: CallOptions;
  readonly clock: Clock;
  readonly lifecycle: Lifecycle;
  readonly leg: CallLeg;
  readonly playback: Playback;
  readonly marks: Marks;
  readonly seat: Seat;
  readonly events: EventRecorder;
  readonly contexts: CallContexts;
  readonly seating: SeatingPort;
  readonly flags: OutletFlags;
  /** Aborted when the call is over. */
  readonly over: AbortSignal;
  /** The reason to end with when the provider's "terminated" is the echo of our own command. */
  expectedEnd: EndReason | undefined;
  /** The provider did not say whether it answered: audio of the caller tells. */
  answerUnknown: boolean;
  snapshot(): CallSnapshot;
  updateOutlet(): void;
  end(reason: EndReason): void;
}

/** Everything a call needs from outside. */
export interface CallDeps {
  readonly clock: Clock;
  readonly contexts: CallContexts;
  readonly seating: SeatingPort;
  /** Hold audio of a call: s16le mono at its rate, endless. */
  readonly hold: (facts: CallFacts) => HoldSource;
  readonly options: CallOptions;
}

/** The promise's result, or COMMAND_CANCELLED as soon as the signal aborts (its reason is the cause). */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, callId: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(cancelled(callId, String(signal.reason)));
    if (signal.aborted) {
      promise.catch(() => {});
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The promise's result, or `late` after `ms`. The promise itself goes on. */
export function within<T>(promise: Promise<T>, ms: number, clock: Clock, late: () => T): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.after(ms, () => {
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    });
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** A failed telephony command in the words of the core. */
export function fromTelephony(error: unknown, callId: string, verb: Verb): CallError {
  if (!(error instanceof TelephonyError)) return CallError.from(error);
  switch (error.kind) {
    case "refused":
      return new CallError("PROVIDER_REFUSED", `the provider refused ${verb}`, {
        call_id: callId,
        verb,
        provider_code: error.providerCode,
      });
    case "unknown":
      return outcomeUnknown(callId, verb);
    case "unavailable":
      return new CallError("PROVIDER_UNAVAILABLE", "the telephony connection of the call is away", {
        call_id: callId,
      });
  }
}

/** The provider gave no answer; nothing is repeated. */
export function outcomeUnknown(callId: string, verb: Verb): CallError {
  return new CallError(
    "OUTCOME_UNKNOWN",
    `the provider did not answer ${verb} in time; its outcome is unknown`,
    {
      call_id: callId,
      verb,
    },
  );
}
