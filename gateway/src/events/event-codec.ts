import { CallError, REASON_STATUS, type Reason } from "../call/call-error.js";
import type { CallEvent, CallEventBody } from "../call/call-events.js";
import { isObject, parseTagged, stringifyTagged } from "../util/tagged-json.js";

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
  const { tenant, callId, pool, sequence, ownerEpoch, time, position, body } = event;
  return stringifyTagged(
    { v: EVENT_CODEC_VERSION, tenant, callId, pool, sequence, ownerEpoch, time, position, body },
    packError,
  );
}

/** An event from its stored form. Throws EventCodecError. */
export function decodeEvent(text: string): CallEvent {
  let value: unknown;
  try {
    value = parseTagged(text, unpackError);
  } catch (error) {
    throw new EventCodecError("not JSON", { cause: error });
  }
  if (!isObject(value) || typeof value.v !== "number") throw new EventCodecError("not an event");
  if (value.v > EVENT_CODEC_VERSION)
    throw new EventCodecError(`version ${value.v} is newer than this gateway`);
  const { tenant, callId, pool, sequence, time, position, body } = value;
  // Events of the first version of the gateway have none.
  const ownerEpoch = typeof value.ownerEpoch === "number" ? value.ownerEpoch : 1;
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
  return {
    tenant,
    callId,
    pool,
    sequence,
    ownerEpoch,
    time,
    position,
    body: body as unknown as CallEventBody,
  };
}

/** A CallError as plain JSON; for parseTagged and stringifyTagged. */
export function packError(value: object): Record<string, unknown> | undefined {
  if (!(value instanceof CallError)) return undefined;
  return { $error: { reason: value.reason, message: value.message, metadata: value.metadata } };
}

/** A reason that this version does not know becomes INTERNAL, with its name in `reason`. */
export function unpackError(value: Record<string, unknown>): CallError | undefined {
  const raw = value.$error;
  if (!isObject(raw)) return undefined;
  const reason = String(raw.reason);
  const metadata = isObject(raw.metadata)
    ? Object.fromEntries(Object.entries(raw.metadata).map(([key, v]) => [key, String(v)]))
    : {};
  const message = String(raw.message);
  if (Object.hasOwn(REASON_STATUS, reason)) return new CallError(reason as Reason, message, metadata);
  return new CallError("INTERNAL", message, { ...metadata, reason });
}
