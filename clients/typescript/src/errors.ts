import {
  decodeStatusDetails,
  ERROR_DOMAIN,
  ErrorReason as ProtoReason,
  STATUS_DETAILS_KEY,
  type Error as WireError,
} from "@callweave/proto";
import { type ServiceError, status } from "@grpc/grpc-js";

/** The name of a gRPC status code. */
export type StatusName = Exclude<keyof typeof status, "OK">;

/** A reason that a gateway gives: the names of `ErrorReason` in the contract, without the prefix. */
export type GatewayReason = Exclude<keyof typeof ProtoReason, "UNSPECIFIED" | "UNRECOGNIZED">;

/**
 * A reason that this library gives:
 * - `CALL_OVER`: the call ended or its seat went to somebody else. `metadata`: `call_id`, `cause`.
 * - `CLOSED`: the worker or client was closed.
 * - `QUEUE_FULL`: a queue of this library is full. `metadata`: `queue`, `max`.
 * - `TRANSPORT`: no reason came from a gateway: not reachable, deadline passed, stream broken. See `code`.
 */
export type ClientReason = "CALL_OVER" | "CLOSED" | "QUEUE_FULL" | "TRANSPORT";

/** Why something was refused; stable, programs look at this. */
export type Reason = GatewayReason | ClientReason;

/** The one error that this library throws. */
export class CallweaveError extends Error {
  /** Always "CallweaveError". */
  override readonly name = "CallweaveError";

  constructor(
    /** Why; stable. A reason newer than this library is `TRANSPORT` with its name in `metadata.reason`. */
    readonly reason: Reason,
    /** The gRPC status that goes with it. */
    readonly code: StatusName,
    message: string,
    /** All variable parts of the message; the contract lists the keys at each reason. */
    readonly metadata: Readonly<Record<string, string>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The call that it is about, when it is about one. */
  get callId(): string | undefined {
    return this.metadata.call_id;
  }

  /** Whether the same request may succeed a little later without any change. */
  get retryable(): boolean {
    return this.code === "UNAVAILABLE";
  }

  /** Any thrown thing as a CallweaveError, the original as `cause`. */
  static from(error: unknown): CallweaveError {
    if (error instanceof CallweaveError) return error;
    if (isServiceError(error)) return fromService(error);
    const message = error instanceof Error ? error.message : String(error);
    return new CallweaveError("TRANSPORT", "UNKNOWN", message, {}, { cause: error });
  }
}

/** @internal An Error item of a stream or event. */
export function fromWire(error: WireError): CallweaveError {
  const name = ProtoReason[error.reason];
  const metadata = { ...error.metadata };
  if (isGatewayReason(name)) return new CallweaveError(name, statusName(error.code), error.message, metadata);
  return new CallweaveError("TRANSPORT", statusName(error.code), error.message, {
    ...metadata,
    reason: String(error.reason),
  });
}

/** @internal The call is over, for whatever waits for it. */
export function callOver(callId: string, cause: string): CallweaveError {
  return new CallweaveError("CALL_OVER", "ABORTED", `the call is over for this agent: ${cause}`, {
    call_id: callId,
    cause,
  });
}

/** @internal A queue of this library is full. */
export function queueFull(queue: string, max: string, callId?: string): CallweaveError {
  return new CallweaveError("QUEUE_FULL", "RESOURCE_EXHAUSTED", `${queue} is full: at most ${max}`, {
    queue,
    max,
    ...(callId === undefined ? {} : { call_id: callId }),
  });
}

/** @internal A field of an option breaks its rule; the same reason as the gateway would give. */
export function invalidField(field: string, rule: string, value: unknown): CallweaveError {
  return new CallweaveError("INVALID_FIELD", "INVALID_ARGUMENT", `${field} must be ${rule}`, {
    field,
    rule,
    value: String(value).slice(0, 100),
  });
}

/** @internal The worker or client was closed. */
export function closedError(what: string): CallweaveError {
  return new CallweaveError("CLOSED", "CANCELLED", `the ${what} was closed`);
}

function fromService(error: ServiceError): CallweaveError {
  const code = statusName(error.code);
  const text = error.details || error.message;
  const raw = error.metadata?.get(STATUS_DETAILS_KEY)[0];
  if (raw instanceof Buffer) {
    try {
      const info = decodeStatusDetails(raw).errorInfo;
      if (info && info.domain === ERROR_DOMAIN) {
        if (isGatewayReason(info.reason)) {
          return new CallweaveError(info.reason, code, text, info.metadata, { cause: error });
        }
        const metadata = { ...info.metadata, reason: info.reason };
        return new CallweaveError("TRANSPORT", code, text, metadata, { cause: error });
      }
    } catch {
      // Not a google.rpc.Status: the status code alone has to do.
    }
  }
  const reason = error.code === status.UNAUTHENTICATED ? "UNAUTHENTICATED" : "TRANSPORT";
  return new CallweaveError(reason, code, text, {}, { cause: error });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === "number";
}

function isGatewayReason(name: string | undefined): name is GatewayReason {
  return name !== undefined && name !== "UNSPECIFIED" && name !== "UNRECOGNIZED" && name in ProtoReason;
}

function statusName(code: number): StatusName {
  const name = status[code];
  return name === undefined || name === "OK" ? "UNKNOWN" : (name as StatusName);
}
