import { isObject, parseTagged, stringifyTagged } from "../util/tagged-json.js";
import type { CallContext } from "./context-types.js";

/** Grows only when an old reader would misread; added fields do not count. */
export const CONTEXT_CODEC_VERSION = 1;

/** The stored form of a context: JSON of one line. */
export function encodeContext(context: CallContext): string {
  return stringifyTagged({ v: CONTEXT_CODEC_VERSION, context });
}

/** A context from its stored form. Throws when it is none, or of a newer version. */
export function decodeContext(text: string): CallContext {
  const value = parseTagged(text);
  if (!isObject(value) || typeof value.v !== "number" || !isObject(value.context))
    throw new Error("not a stored context");
  if (value.v > CONTEXT_CODEC_VERSION)
    throw new Error(`context of version ${value.v}, newer than this gateway`);
  return value.context as unknown as CallContext;
}
