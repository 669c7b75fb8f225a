import { CallError, REASON_STATUS, type Reason } from "../call/call-error.js";
import type { CallEvent, CallEventBody } from "../call/call-events.js";

/**
 * The form in which events are stored: JSON of one line. Added fields and new event types keep the version; a reader
 * passes on what it does not know. The version grows only when an old reader would misread.
 */
export const EVENT_CODEC_VERSION = 1;

/** A stored event that this version cannot read. */
export class EventCodecError extends Error {
  override readonly name = "EventCodecError";
}

/** The stored form of an event. */
export function encodeEvent(event: CallEvent): string {
  const { tenant, callId, pool, sequence, time, position, body } = event;
  const packed = pack({ tenant, callId, pool, sequence, time, position, body });
  return JSON.stringify({ v: EVENT_CODEC_VERSION, ...(packed as object) });
}

/** An event from its stored form. Throws EventCodecError. */
export function decodeEvent(text: string): CallEvent {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new EventCodecError("not JSON", { cause: error });
  }
  if (!isObject(raw) || typeof raw.v !== "number") throw new EventCodecError("not an event");
  if (raw.v > EVENT_CODEC_VERSION) throw new EventCodecError(`version ${raw.v} is newer than this gateway`);
  const value = unpack(raw) as Record<string, unknown>;
  const { tenant, callId, pool, sequence, time, position, body } = value;
  if (
    typeof tenant !== "string" ||
    typeof callId !== "string" ||
    typeof pool !== "string" ||
    typeof sequence !== "number" ||
    typeof position !== "number" ||
    !(time instanceof Date) ||
    !isObject(body) ||
    typeof body.type !== "string"
  )
    throw new EventCodecError("a field of the event is missing");
  return { tenant, callId, pool, sequence, time, position, body: body as unknown as CallEventBody };
}

/** Plain JSON values: dates become {$date}, errors {$error}, keys that begin with $ get one more. */
function pack(value: unknown): unknown {
  if (value instanceof Date) return { $date: value.getTime() };
  if (value instanceof CallError) {
    return { $error: { reason: value.reason, message: value.message, metadata: value.metadata } };
  }
  if (Array.isArray(value)) return value.map(pack);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([key, v]) => [key.startsWith("$") ? `$${key}` : key, pack(v)]),
  );
}

function unpack(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpack);
  if (!isObject(value)) return value;
  if (typeof value.$date === "number") return new Date(value.$date);
  if (isObject(value.$error)) return unpackError(value.$error);
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key.startsWith("$$") ? key.slice(1) : key, unpack(v)]),
  );
}

/** A reason that this version does not know becomes INTERNAL, with its name in `reason`. */
function unpackError(raw: Record<string, unknown>): CallError {
  const reason = String(raw.reason);
  const metadata = isObject(raw.metadata)
    ? Object.fromEntries(Object.entries(raw.metadata).map(([key, v]) => [key, String(v)]))
    : {};
  const message = String(raw.message);
  if (Object.hasOwn(REASON_STATUS, reason)) return new CallError(reason as Reason, message, metadata);
  return new CallError("INTERNAL", message, { ...metadata, reason });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
