import type { Duration, AudioFormat as PbAudioFormat, Timestamp } from "@callweave/proto";
import { AudioEncoding } from "@callweave/proto";
import { invalidField } from "../call/call-error.js";
import type { AudioFormat } from "../dispatch/agent-port.js";

// Every function checks one bound of the contract and throws INVALID_FIELD naming the field and the rule.

const ID = /^[\p{L}\p{N}\p{P}\p{S}]+$/u;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const LOCALE = /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/;
const CONTROL = /\p{Cc}/u;

const CALL_ID_RULE = "1 to 200 printable characters without spaces, '/', '*' and '>'";

/** A call id or another id of the provider's. */
export function callId(field: string, value: string): string {
  if (value.length < 1 || value.length > 200 || !ID.test(value) || /[/*>]/.test(value)) {
    throw invalidField(field, CALL_ID_RULE, value);
  }
  return value;
}

/** As callId, or empty. */
export function optionalCallId(field: string, value: string): string {
  return value === "" ? value : callId(field, value);
}

/** A request id; empty where it may be. */
export function requestId(field: string, value: string, required = false): string {
  if (value === "" && !required) return value;
  if (value.length < 1 || value.length > 100 || !ID.test(value)) {
    throw invalidField(field, "1 to 100 printable characters without spaces", value);
  }
  return value;
}

/** The name of an agent or a pool. */
export function name(field: string, value: string): string {
  if (!NAME.test(value)) throw invalidField(field, "1 to 64 of A-Z a-z 0-9 . _ -", value);
  return value;
}

/** A UUID, lower case in the result; empty where it may be. */
export function uuid(field: string, value: string, required = false): string {
  if (value === "" && !required) return value;
  if (!UUID.test(value)) throw invalidField(field, "a UUID", value);
  return value.toLowerCase();
}

/** Text of bounded length in characters (code points). `min` 0 allows the empty text. */
export function text(field: string, value: string, min: number, max: number): string {
  // UTF-16 units are never fewer than characters, so most texts need no counting.
  const length = value.length <= max ? value.length : value.length > 2 * max ? Infinity : [...value].length;
  if (value.length < min || length > max) {
    throw invalidField(field, min > 0 ? `${min} to ${max} characters` : `at most ${max} characters`);
  }
  return value;
}

/** Text of one line, without control characters. */
export function line(field: string, value: string, min: number, max: number): string {
  text(field, value, min, max);
  if (CONTROL.test(value)) throw invalidField(field, "without control characters");
  return value;
}

/** A BCP 47 tag or empty. */
export function locale(field: string, value: string): string {
  if (value !== "" && (value.length > 35 || !LOCALE.test(value))) {
    throw invalidField(field, "a BCP 47 tag such as en or de-AT", value);
  }
  return value;
}

/** A phone number in any common writing; empty where it may be. The value is not repeated in the error. */
export function phone(field: string, value: string, required: boolean): string {
  if (value === "" && !required) return value;
  if (value.length > 64 || !/\d/.test(value) || CONTROL.test(value)) {
    throw invalidField(field, "a phone number of at most 64 characters");
  }
  return value;
}

/** A whole number within bounds; 0 becomes `whenZero`. */
export function whole(field: string, value: number, min: number, max: number, whenZero: number): number {
  if (value === 0) return whenZero;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw invalidField(field, `from ${min} to ${max}`, value);
  }
  return value;
}

/** At most so many entries. */
export function atMost<T>(field: string, values: readonly T[], max: number): readonly T[] {
  if (values.length > max) throw invalidField(field, `at most ${max} entries`, values.length);
  return values;
}

/** A duration in ms within bounds (ms, both included); unset becomes `whenUnset`. Less than a ms is rounded. */
export function durationMs<D>(
  field: string,
  value: Duration | undefined,
  minMs: number,
  maxMs: number,
  whenUnset: D,
): number | D {
  if (value === undefined) return whenUnset;
  const ms = value.seconds * 1000 + Math.round(value.nanos / 1e6);
  if (!isDuration(value) || ms < minMs || ms > maxMs) {
    throw invalidField(field, `from ${seconds(minMs)} to ${seconds(maxMs)}`, shown(value));
  }
  return ms;
}

/** Whole seconds within bounds, both included; unset becomes `whenUnset`. */
export function wholeSeconds(
  field: string,
  value: Duration | undefined,
  min: number,
  max: number,
  whenUnset: number,
): number {
  if (value === undefined) return whenUnset;
  if (value.nanos !== 0 || value.seconds < min || value.seconds > max) {
    throw invalidField(field, `whole seconds from ${min} to ${max}`, shown(value));
  }
  return value.seconds;
}

/** A moment of the years 1 to 9999; unset stays undefined. */
export function date(field: string, value: Timestamp | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const fits = value.seconds >= -62_135_596_800 && value.seconds <= 253_402_300_799;
  if (!fits || value.nanos < 0 || value.nanos > 999_999_999) throw invalidField(field, "a valid timestamp");
  return new Date(value.seconds * 1000 + Math.floor(value.nanos / 1e6));
}

/**
 * The name of an enum value. 0 becomes `whenUnset`, or is refused where that is undefined; values that this contract
 * does not know are refused.
 */
export function enumName<N extends string>(
  field: string,
  type: Readonly<Record<string, string | number>>,
  value: number,
  names: readonly N[],
  whenUnset?: N,
): N {
  if (value === 0 && whenUnset !== undefined) return whenUnset;
  const found = type[value];
  if (value === 0 || !names.includes(found as N))
    throw invalidField(field, `one of ${names.join(", ")}`, value);
  return found as N;
}

/** Data for programs, at most `maxBytes` as JSON; unset becomes `{}`. */
export function data(
  field: string,
  value: Record<string, unknown> | undefined,
  maxBytes = 64 * 1024,
): Record<string, unknown> {
  if (value === undefined) return {};
  let size: number;
  try {
    size = Buffer.byteLength(JSON.stringify(value));
  } catch {
    size = Infinity;
  }
  if (size > maxBytes) throw invalidField(field, `at most ${maxBytes} bytes as JSON`, size);
  return value;
}

/** A format; sampleRateHz 0 where the rate of the call is meant. */
export function audioFormat(field: string, value: PbAudioFormat | undefined): AudioFormat {
  if (value === undefined) return { encoding: "S16LE", sampleRateHz: 0 };
  const encoding = enumName(
    `${field}.encoding`,
    AudioEncoding,
    value.encoding,
    ["S16LE", "MULAW", "ALAW"] as const,
    "S16LE",
  );
  const rate = value.sampleRateHertz;
  if (encoding !== "S16LE") {
    if (rate !== 0 && rate !== 8000) {
      throw invalidField(`${field}.sample_rate_hertz`, `8000 or 0 with ${encoding}`, rate);
    }
    return { encoding, sampleRateHz: 8000 };
  }
  if (![0, 8000, 16000, 24000].includes(rate)) {
    throw invalidField(`${field}.sample_rate_hertz`, "8000, 16000, 24000 or 0", rate);
  }
  return { encoding, sampleRateHz: rate };
}

function isDuration(value: Duration): boolean {
  const { seconds, nanos } = value;
  return (
    Number.isSafeInteger(seconds) &&
    Math.abs(nanos) <= 999_999_999 &&
    (seconds >= 0 ? nanos >= 0 : nanos <= 0)
  );
}

function shown(value: Duration): string {
  return `${value.seconds + value.nanos / 1e9}s`;
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
