import * as contract from "@callweave/proto";
import { ErrorReason, type MessageCodec, type Error as PbError } from "@callweave/proto";
import { status } from "@grpc/grpc-js";
import type { AuditSink } from "../audit/audit-sink.js";
import type { BusEndpoint, BusMessage } from "../bus/bus.js";
import { isInbox } from "../bus/subjects.js";
import { CallError, invalidField } from "../call/call-error.js";
import type { Credential } from "../contract/authenticator.js";
import { recordDenied } from "../contract/guard.js";
import { OPERATION_DEFINITIONS, type Operation, type Operations } from "../contract/operations.js";
import { publicError } from "../contract/public-error.js";
import { rpcName } from "../contract/rules.js";
import {
  contentHeaders,
  type Encoding,
  encodingOf,
  errorBody,
  HEADERS,
  header,
  Message,
  respondError,
} from "./messages.js";
import type { WireContext } from "./wire-context.js";
import { anyTenantRpcSubject, tenantOf } from "./wire-subjects.js";

/** Room that the headers of an answer may need beside its body. */
const HEADER_ROOM_BYTES = 4_096;
const MAX_TIMEOUT_MS = 3_600_000;

/** One method on the wire. */
export interface Method<Q, S> {
  /** As in the contract: "GetCall". */
  readonly name: string;
  /** As the rules name it: "CallService/GetCall". */
  readonly rpc: string;
  readonly subject: string;
  readonly request: Message<Q>;
  readonly response: Message<S>;
  readonly run: (request: Q, credential: Credential, message: BusMessage) => S | Promise<S>;
  /** A smaller answer that says so in itself, for one that no message can hold; undefined when there is none. */
  readonly shrink?: (response: S) => S | undefined;
}

/** The message of the contract that is called so. */
export function contractMessage<T>(name: string): Message<T> {
  const codec = (contract as unknown as Readonly<Record<string, MessageCodec<T> | undefined>>)[name];
  if (!codec) throw new Error(`the contract has no message ${name}`);
  return new Message(name, codec);
}

/** All unary RPCs of the contract. */
export function unaryMethods(operations: Operations): Method<unknown, unknown>[] {
  return (["call", "context", "fleet", "audit"] as const).flatMap((service) =>
    Object.entries(operations[service]).map(([key, run]) => {
      const definition = (OPERATION_DEFINITIONS[service] as Readonly<Record<string, { path: string }>>)[key];
      const name = definition?.path.split("/").at(-1) ?? key;
      return {
        name,
        rpc: rpcName(definition?.path ?? key),
        subject: anyTenantRpcSubject(name),
        request: contractMessage<unknown>(`${name}Request`),
        response: contractMessage<unknown>(`${name}Response`),
        run: run as Operation<unknown, unknown>,
        ...(name === "GetContext" && { shrink: fewerTurns as (response: unknown) => unknown }),
      };
    }),
  );
}

function fewerTurns(response: contract.GetContextResponse): contract.GetContextResponse | undefined {
  const { context } = response;
  if (!context || context.turns.length === 0) return undefined;
  const turns = context.turns.slice(Math.ceil(context.turns.length / 2));
  return { context: { ...context, turns, truncated: true } };
}

/** A method as endpoint of the service. */
export function endpointOf<Q, S>(context: WireContext, method: Method<Q, S>): BusEndpoint {
  return {
    name: method.name,
    subject: method.subject,
    metadata: {
      request: `callweave.v1.${method.request.name}`,
      response: `callweave.v1.${method.response.name}`,
      encodings: "application/json, application/protobuf",
    },
    handler: (message) => serve(context, method, message),
  };
}

/** Who sent a message. Throws UNAUTHENTICATED. */
export function authenticated(context: WireContext, message: BusMessage): Promise<Credential> {
  const value = header(message.headers, HEADERS.authorization);
  return context.authenticator.authenticate(value === undefined ? [] : [value], context.peer);
}

/**
 * On a subject of another tenant there is nothing, whatever is asked for and whether or not there is such a tenant: the
 * error that says so, CALL_NOT_FOUND, written down.
 */
export function foreignSubject(audit: AuditSink, operation: string, credential: Credential): CallError {
  const text = "no such call: the subject is not one of the credential's tenant";
  const error = new CallError("CALL_NOT_FOUND", text, { call_id: "" });
  recordDenied(audit, operation, credential, "", error);
  return error;
}

/** Serves one request, always with exactly one answer. */
async function serve<Q, S>(context: WireContext, method: Method<Q, S>, message: BusMessage): Promise<void> {
  const { stats, options } = context;
  stats.requests++;
  if (!isInbox(message.reply)) {
    // Nobody could be told what became of it, so nothing is done. An answer elsewhere would be published in our name.
    stats.withoutReply++;
    return;
  }
  let encoding: Encoding = "json";
  const fail = (error: PbError) => {
    stats.errors++;
    respondError(message, error, encoding);
  };
  if (stats.requestsRunning >= options.maxConcurrentRequests) {
    try {
      encoding = encodingOf(message.headers);
    } catch {
      // Then in JSON.
    }
    fail(errorBody(limitReached("max_concurrent_requests", options.maxConcurrentRequests)));
    return;
  }
  stats.requestsRunning++;
  let timer: NodeJS.Timeout | undefined;
  try {
    encoding = encodingOf(message.headers);
    const credential = await authenticated(context, message);
    if (tenantOf(message.subject) !== credential.tenant)
      throw foreignSubject(options.audit, method.rpc, credential);
    const timeoutMs = timeoutOf(message);
    const request = readRequest(context, method, encoding, message);
    const running = Promise.resolve(method.run(request, credential, message));
    const late = new Promise<"late">((resolve) => {
      if (timeoutMs !== undefined) timer = setTimeout(() => resolve("late"), timeoutMs);
    });
    const result = await Promise.race([running.then((response) => ({ response })), late]);
    if (result === "late") {
      fail(deadlineExceeded(timeoutMs ?? 0));
      await running.catch(() => {});
    } else respond(context, method, encoding, message, result.response);
  } catch (error) {
    fail(errorBody(publicError(error, context.logger, method.name)));
  } finally {
    clearTimeout(timer);
    stats.requestsRunning--;
  }
}

function readRequest<Q, S>(
  context: WireContext,
  method: Method<Q, S>,
  encoding: Encoding,
  message: BusMessage,
): Q {
  try {
    return method.request.decode(encoding, message.data, context.options.maxRequestBytes);
  } catch (error) {
    context.stats.malformed++;
    throw error;
  }
}

function respond<Q, S>(
  context: WireContext,
  method: Method<Q, S>,
  encoding: Encoding,
  message: BusMessage,
  response: S,
): void {
  const maxBytes = context.bus.maxPayloadBytes - HEADER_ROOM_BYTES;
  let fitting: S | undefined = response;
  while (fitting !== undefined) {
    const bytes = method.response.encode(encoding, fitting);
    if (bytes.length <= maxBytes) {
      message.respond(bytes, contentHeaders(encoding));
      return;
    }
    fitting = method.shrink?.(fitting);
  }
  throw limitReached("max_payload_bytes", maxBytes);
}

/** Milliseconds that the one who asks will wait; undefined when it does not say. */
function timeoutOf(message: BusMessage): number | undefined {
  const text = header(message.headers, HEADERS.timeout);
  if (text === undefined) return undefined;
  const ms = /^[0-9]{1,7}$/.test(text.trim()) ? Number(text) : 0;
  if (ms < 1 || ms > MAX_TIMEOUT_MS)
    throw invalidField(HEADERS.timeout, `milliseconds from 1 to ${MAX_TIMEOUT_MS}`, text);
  return ms;
}

/** As on gRPC the end of a deadline has no reason of its own: what was asked for goes on. */
function deadlineExceeded(timeoutMs: number): PbError {
  return {
    code: status.DEADLINE_EXCEEDED,
    reason: ErrorReason.UNSPECIFIED,
    message: `no result within ${timeoutMs} ms; what was asked for goes on`,
    metadata: { timeout_ms: String(timeoutMs) },
  };
}

/** A bound of the gateway is reached. */
export function limitReached(limit: string, max: number): CallError {
  return new CallError("LIMIT_REACHED", `at most ${max}: ${limit}`, { limit, max: String(max) });
}
