import { CallError } from "../call/call-error.js";
import { ContextSpoolFull, ContextStoreRefused } from "./context-store.js";

/** What a context was asked for by. */
export type ContextKey = { readonly callId: string } | { readonly sessionId: string };

function keyMetadata(key: ContextKey): Record<string, string> {
  return "callId" in key ? { call_id: key.callId } : { session_id: key.sessionId };
}

/** There is no such context. */
export function notFound(key: ContextKey): CallError {
  return new CallError("CONTEXT_NOT_FOUND", "there is no such context", keyMetadata(key));
}

/** The store cannot be asked, so nobody knows whether there is such a context. */
export function storeAway(key?: ContextKey, cause?: unknown): CallError {
  return new CallError(
    "CONTEXT_STORE_AWAY",
    "the context store is away and the context is not known here; ask again later",
    key ? keyMetadata(key) : {},
    { cause },
  );
}

/** A write that did not happen; `why` tells a full spool and a refused context from the rest. */
export function notSaved(callId: string, cause: unknown): CallError {
  const why =
    cause instanceof ContextSpoolFull
      ? {
          message: "the context could not be written: the store is away and the spool is full",
          why: "spool_full",
        }
      : cause instanceof ContextStoreRefused
        ? { message: `the context could not be written: ${cause.message}`, why: "refused" }
        : { message: "the context could not be written", why: "failed" };
  return new CallError("CONTEXT_NOT_SAVED", why.message, { call_id: callId, why: why.why }, { cause });
}
