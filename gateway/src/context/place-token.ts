import { createHash } from "node:crypto";
import { invalidField } from "../call/call-error.js";
import type { ContextPlace } from "./context-store.js";

/** The opaque token of the next page. `scope` is what the list was asked for; another list refuses it. */
export function encodePlace(place: ContextPlace, scope: string): string {
  return Buffer.from(JSON.stringify([place.createTimeMs, place.callId, digest(scope)])).toString("base64url");
}

/** The place of a token. Throws INVALID_FIELD when it is none, or of another list. */
export function decodePlace(token: string, scope: string): ContextPlace {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    if (Array.isArray(parsed)) {
      const [createTimeMs, callId, of] = parsed as unknown[];
      if (Number.isSafeInteger(createTimeMs) && typeof callId === "string" && of === digest(scope))
        return { createTimeMs: createTimeMs as number, callId };
    }
  } catch {
    // Not JSON: the same error as below.
  }
  throw invalidField("page_token", "the next_page_token of the same list");
}

function digest(scope: string): string {
  return createHash("sha256").update(scope).digest("base64url").slice(0, 12);
}
