import { randomUUID } from "node:crypto";
import { CallError } from "../call/call-error.js";
import type { Logger } from "../util/logger.js";

/**
 * An error as it may leave the process: a CallError with its reason passes; anything else, and an INTERNAL one, is
 * logged under a new error_id and becomes INTERNAL with that id alone. `where` names the RPC or item.
 */
export function publicError(error: unknown, logger: Logger, where: string): CallError {
  if (error instanceof CallError && error.reason !== "INTERNAL") return error;
  if (error instanceof CallError && error.metadata.error_id !== undefined) return error;
  const errorId = randomUUID();
  const cause = error instanceof CallError ? (error.cause ?? error) : error;
  logger.error({ err: cause, error_id: errorId, where }, "internal error");
  return new CallError("INTERNAL", `internal error ${errorId}`, { error_id: errorId });
}
