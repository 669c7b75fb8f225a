import {
  AudioEncoding,
  ContextDurability,
  type Duration,
  ErrorReason,
  EscalationOutcome,
  type AudioFormat as PbAudioFormat,
  type Error as PbError,
  type EscalationResult as PbEscalationResult,
  type Timestamp,
} from "@callweave/proto";
import { status } from "@grpc/grpc-js";
import type { EscalationResult } from "../call/call-commands.js";
import type { CallError } from "../call/call-error.js";
import type { AudioFormat } from "../dispatch/agent-port.js";

// What the converters of all nouns share. Generated types stop here: the core never sees them.

/** Milliseconds as a Duration, to the microsecond. Below 0 and what is no number counts as 0. */
export function toDuration(ms: number): Duration {
  const micros = ms > 0 ? Math.round(ms * 1000) : 0;
  return { seconds: Math.floor(micros / 1e6), nanos: (micros % 1e6) * 1000 };
}

/** A moment as a Timestamp. */
export function toTimestamp(time: Date): Timestamp {
  const ms = time.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** As toTimestamp; unset stays unset. */
export function toOptionalTimestamp(time: Date | undefined): Timestamp | undefined {
  return time && toTimestamp(time);
}

/** A count as an unsigned field takes it: whole and not below 0. */
export function toUint(value: number): number {
  return value > 0 ? Math.floor(value) : 0;
}

/** A refusal inside a stream or an event. INTERNAL ones go through publicError first. */
export function toPbError(error: CallError): PbError {
  return {
    code: status[error.status],
    reason: ErrorReason[error.reason],
    message: error.message,
    metadata: { ...error.metadata },
  };
}

/** The end of an escalation. */
export function toPbEscalationResult(result: EscalationResult): PbEscalationResult {
  return {
    outcome: EscalationOutcome[result.outcome],
    durability: result.durability ? ContextDurability[result.durability] : ContextDurability.UNSPECIFIED,
  };
}

/** A format. */
export function toPbAudioFormat(format: AudioFormat): PbAudioFormat {
  return { encoding: AudioEncoding[format.encoding], sampleRateHertz: format.sampleRateHz };
}
