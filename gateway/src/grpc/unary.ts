import type {
  handleUnaryCall,
  MethodDefinition,
  ServerUnaryCall,
  ServiceDefinition,
  sendUnaryData,
} from "@grpc/grpc-js";
import { CallError, invalidField } from "../call/call-error.js";
import type { Authenticator, Credential } from "../contract/authenticator.js";
import type { Operation, Operations } from "../contract/operations.js";
import type { ServeStats } from "../contract/serve-session.js";
import type { Watches } from "../contract/watches.js";
import type { GatewayApi } from "../gateway-api.js";
import type { EdgeLogger, ResolvedOptions } from "./options.js";
import { toServiceError } from "./status.js";

/** What all services of the edge share. */
export interface EdgeContext {
  readonly api: GatewayApi;
  readonly operations: Operations;
  readonly watches: Watches;
  readonly authenticator: Authenticator;
  readonly options: ResolvedOptions;
  readonly logger: EdgeLogger;
  readonly stats: EdgeStats;
  /** Server streams that last until somebody ends them; ended with GOING_AWAY when the edge drains. */
  readonly lasting: Set<(reason: CallError) => void>;
}

/** Counters since the start, for metrics. */
export interface EdgeStats extends ServeStats {
  /** Requests that were no message of the contract. */
  malformed: number;
}

/** A request that could not be taken; it stands in for the message until the handler refuses it. */
export class BadRequest {
  constructor(readonly error: CallError) {}
}

/**
 * The same definition whose requests never throw while being read: what is malformed or larger than `maxBytes` arrives
 * as BadRequest, so that it is refused as INVALID_ARGUMENT with the rule instead of as an error of the server. A response that is
 * bytes is written as it is.
 */
export function guarded<D extends ServiceDefinition>(definition: D, stats: EdgeStats, maxBytes: number): D {
  const entries = Object.entries(definition).map(([name, method]) => {
    const responseSerialize = (value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value) : method.responseSerialize(value);
    return [name, { ...method, requestDeserialize: guardedRead(method, stats, maxBytes), responseSerialize }];
  });
  return Object.fromEntries(entries) as D;
}

// biome-ignore lint/suspicious/noExplicitAny: grpc-js's own type of a method of any messages
function guardedRead(method: MethodDefinition<any, any>, stats: EdgeStats, maxBytes: number) {
  return (bytes: Buffer): unknown => {
    if (bytes.length > maxBytes) {
      return new BadRequest(invalidField("message", `at most ${maxBytes} bytes`, bytes.length));
    }
    try {
      return method.requestDeserialize(bytes);
    } catch {
      stats.malformed++;
      return new BadRequest(invalidField("message", "a well-formed protobuf message of the contract"));
    }
  };
}

/** Throws the error of a request that could not be read. */
export function requireReadable(request: unknown): void {
  if (request instanceof BadRequest) throw request.error;
}

/** Who makes a call: by its metadata, or by the certificate of its connection. Throws UNAUTHENTICATED. */
export function identify(
  context: EdgeContext,
  call: Pick<ServerUnaryCall<unknown, unknown>, "metadata" | "getPeer" | "getAuthContext">,
): Promise<Credential> {
  const { sslPeerCertificate } = call.getAuthContext();
  return context.authenticator.authenticate(
    call.metadata.get("authorization"),
    call.getPeer(),
    sslPeerCertificate,
  );
}

/** A unary handler: authenticate, run, and answer every error as a status with details. */
function unary<Q, S>(context: EdgeContext, run: Operation<Q, S>): handleUnaryCall<Q, S> {
  return (call, callback) => {
    answer(context, call.getPath(), callback, async () => {
      const credential = await identify(context, call);
      requireReadable(call.request);
      return run(call.request, credential);
    });
  };
}

/** The handlers of a table of operations. */
// biome-ignore lint/suspicious/noExplicitAny: any request and response; the mapped type below keeps them apart
export function unaries<T extends { readonly [K in keyof T]: Operation<any, any> }>(
  context: EdgeContext,
  table: T,
): { [K in keyof T]: T[K] extends Operation<infer Q, infer S> ? handleUnaryCall<Q, S> : never } {
  const entries = Object.entries(table).map(([method, run]) => [
    method,
    unary(context, run as Operation<unknown, unknown>),
  ]);
  return Object.fromEntries(entries);
}

async function answer<S>(
  context: EdgeContext,
  path: string,
  callback: sendUnaryData<S>,
  run: () => S | Promise<S>,
): Promise<void> {
  let response: S;
  try {
    response = await run();
  } catch (error) {
    callback(toServiceError(error, context.logger, path));
    return;
  }
  callback(null, response);
}

/** The error of everything that begins, or would go on, while the edge drains. */
export function goingAway(): CallError {
  return new CallError("GOING_AWAY", "the gateway is going away; connect to another one");
}
