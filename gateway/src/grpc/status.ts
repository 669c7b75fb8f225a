import { ERROR_DOMAIN, encodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { CallError } from "../call/call-error.js";
import { publicError } from "../contract/public-error.js";
import type { EdgeLogger } from "./options.js";

/** Keeps message and details under the 8 KiB of trailers that gRPC implementations take. */
const MAX_MESSAGE_CHARS = 500;
const MAX_VALUE_CHARS = 300;
const MAX_ENTRIES = 16;
const MAX_DETAILS_BYTES = 3_000;

/** A CallError as grpc-js wants it: code, message and, in the trailers, google.rpc.Status with ErrorInfo. */
export function serviceError(error: CallError): ServiceError {
  const code = status[error.status];
  const message = cut(error.message, MAX_MESSAGE_CHARS);
  const metadata = new Metadata();
  metadata.set(STATUS_DETAILS_KEY, details(code, message, error));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** Any thrown thing as grpc-js wants it. Internals stay in the log. */
export function toServiceError(error: unknown, logger: EdgeLogger, where: string): ServiceError {
  return serviceError(publicError(error, logger, where));
}

function details(code: number, message: string, error: CallError): Buffer {
  const entries = Object.entries(error.metadata).slice(0, MAX_ENTRIES);
  for (const maxChars of [MAX_VALUE_CHARS, 60, 0]) {
    const metadata = Object.fromEntries(entries.map(([key, value]) => [key, cut(String(value), maxChars)]));
    const info = { reason: error.reason, domain: ERROR_DOMAIN, metadata };
    const bytes = encodeStatusDetails({ code, message, errorInfo: info });
    if (bytes.length <= MAX_DETAILS_BYTES || maxChars === 0) return bytes;
  }
  throw new Error("unreachable");
}

/** Cut text can end in half a surrogate pair, which the percent-encoding of the status message does not survive. */
function cut(text: string, maxChars: number): string {
  return text.slice(0, maxChars).replace(/\p{Surrogate}/gu, "\uFFFD");
}
