import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type CallOptions,
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  type MethodDefinition,
  makeClientConstructor,
  type ServiceDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { ServeRequest, ServeResponse } from "./gen/callweave/v1/agent_service.js";
import * as audit from "./gen/callweave/v1/audit_service.js";
import * as call from "./gen/callweave/v1/call_service.js";
import * as context from "./gen/callweave/v1/context_service.js";
import * as fleet from "./gen/callweave/v1/fleet_service.js";

/** What a generated message offers. */
export interface MessageCodec<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(input: Uint8Array): T;
}

/** Above this many bytes the writer's buffer is given back after use, so that one large message is not kept for ever. */
const MAX_KEPT_BYTES = 1 << 20;

let writer = new BinaryWriter();
let encoding = false;

/**
 * Encodes a message with one writer for the whole process: its buffer is grown once instead of per message. The bytes
 * are the same as those of the generated `encode`; the result is the caller's. Throws what the generated code throws
 * (a value outside the range of its field); the writer is then replaced, since it holds half a message.
 */
export function encodeMessage<T>(codec: MessageCodec<T>, message: T): Buffer {
  // A getter or toString of a message could encode another one meanwhile.
  const own = encoding ? new BinaryWriter() : writer;
  encoding = true;
  try {
    const bytes = codec.encode(message, own).finish();
    if (own === writer) {
      encoding = false;
      if (bytes.length > MAX_KEPT_BYTES) writer = new BinaryWriter();
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (own === writer) {
      encoding = false;
      writer = new BinaryWriter();
    }
    throw error;
  }
}

/**
 * Decodes a message without copying: its bytes fields are views (plain Uint8Array) that keep the whole message alive.
 * Throws when the bytes are not such a message.
 */
export function decodeMessage<T>(codec: MessageCodec<T>, bytes: Uint8Array): T {
  return codec.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** One request, one response. */
export interface UnaryMethod<Q, S> extends MethodDefinition<Q, S> {
  readonly requestStream: false;
  readonly responseStream: false;
}

/** One request, a stream of responses. */
export interface ServerStreamMethod<Q, S> extends MethodDefinition<Q, S> {
  readonly requestStream: false;
  readonly responseStream: true;
}

/** A stream each way. */
export interface BidiMethod<Q, S> extends MethodDefinition<Q, S> {
  readonly requestStream: true;
  readonly responseStream: true;
}

function method<Q, S, A extends boolean, B extends boolean>(
  path: string,
  requestStream: A,
  responseStream: B,
  request: MessageCodec<Q>,
  response: MessageCodec<S>,
) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (value: Q) => encodeMessage(request, value),
    requestDeserialize: (bytes: Buffer) => decodeMessage(request, bytes),
    responseSerialize: (value: S) => encodeMessage(response, value),
    responseDeserialize: (bytes: Buffer) => decodeMessage(response, bytes),
  };
}

function unary<Q, S>(path: string, request: MessageCodec<Q>, response: MessageCodec<S>): UnaryMethod<Q, S> {
  return method(path, false, false, request, response);
}

function serverStream<Q, S>(
  path: string,
  request: MessageCodec<Q>,
  response: MessageCodec<S>,
): ServerStreamMethod<Q, S> {
  return method(path, false, true, request, response);
}

function bidi<Q, S>(path: string, request: MessageCodec<Q>, response: MessageCodec<S>): BidiMethod<Q, S> {
  return method(path, true, true, request, response);
}

const AGENT = "/callweave.v1.AgentService/";
const AUDIT = "/callweave.v1.AuditService/";
const CALL = "/callweave.v1.CallService/";
const CONTEXT = "/callweave.v1.ContextService/";
const FLEET = "/callweave.v1.FleetService/";

/** `callweave.v1.AgentService` for grpc-js. */
export const AgentServiceDefinition = {
  serve: bidi(`${AGENT}Serve`, ServeRequest, ServeResponse),
} as const;

/** `callweave.v1.CallService` for grpc-js. */
export const CallServiceDefinition = {
  answerCall: unary(`${CALL}AnswerCall`, call.AnswerCallRequest, call.AnswerCallResponse),
  connectCall: unary(`${CALL}ConnectCall`, call.ConnectCallRequest, call.ConnectCallResponse),
  setAgentMode: unary(`${CALL}SetAgentMode`, call.SetAgentModeRequest, call.SetAgentModeResponse),
  escalateCall: unary(`${CALL}EscalateCall`, call.EscalateCallRequest, call.EscalateCallResponse),
  confirmEscalation: unary(
    `${CALL}ConfirmEscalation`,
    call.ConfirmEscalationRequest,
    call.ConfirmEscalationResponse,
  ),
  transferCall: unary(`${CALL}TransferCall`, call.TransferCallRequest, call.TransferCallResponse),
  releaseCall: unary(`${CALL}ReleaseCall`, call.ReleaseCallRequest, call.ReleaseCallResponse),
  closeCall: unary(`${CALL}CloseCall`, call.CloseCallRequest, call.CloseCallResponse),
  disconnectCall: unary(`${CALL}DisconnectCall`, call.DisconnectCallRequest, call.DisconnectCallResponse),
  cancelCommand: unary(`${CALL}CancelCommand`, call.CancelCommandRequest, call.CancelCommandResponse),
  sendNote: unary(`${CALL}SendNote`, call.SendNoteRequest, call.SendNoteResponse),
  listCalls: unary(`${CALL}ListCalls`, call.ListCallsRequest, call.ListCallsResponse),
  getCall: unary(`${CALL}GetCall`, call.GetCallRequest, call.GetCallResponse),
  watchCalls: serverStream(`${CALL}WatchCalls`, call.WatchCallsRequest, call.WatchCallsResponse),
  listenCall: serverStream(`${CALL}ListenCall`, call.ListenCallRequest, call.ListenCallResponse),
} as const;

/** `callweave.v1.ContextService` for grpc-js. */
export const ContextServiceDefinition = {
  saveContext: unary(`${CONTEXT}SaveContext`, context.SaveContextRequest, context.SaveContextResponse),
  updateContext: unary(
    `${CONTEXT}UpdateContext`,
    context.UpdateContextRequest,
    context.UpdateContextResponse,
  ),
  appendTurns: unary(`${CONTEXT}AppendTurns`, context.AppendTurnsRequest, context.AppendTurnsResponse),
  getContext: unary(`${CONTEXT}GetContext`, context.GetContextRequest, context.GetContextResponse),
  findContexts: unary(`${CONTEXT}FindContexts`, context.FindContextsRequest, context.FindContextsResponse),
  listContexts: unary(`${CONTEXT}ListContexts`, context.ListContextsRequest, context.ListContextsResponse),
  watchContexts: serverStream(
    `${CONTEXT}WatchContexts`,
    context.WatchContextsRequest,
    context.WatchContextsResponse,
  ),
  deleteContexts: unary(
    `${CONTEXT}DeleteContexts`,
    context.DeleteContextsRequest,
    context.DeleteContextsResponse,
  ),
} as const;

/** `callweave.v1.FleetService` for grpc-js. */
export const FleetServiceDefinition = {
  listPools: unary(`${FLEET}ListPools`, fleet.ListPoolsRequest, fleet.ListPoolsResponse),
  listAgents: unary(`${FLEET}ListAgents`, fleet.ListAgentsRequest, fleet.ListAgentsResponse),
  listGateways: unary(`${FLEET}ListGateways`, fleet.ListGatewaysRequest, fleet.ListGatewaysResponse),
} as const;

/** `callweave.v1.AuditService` for grpc-js. */
export const AuditServiceDefinition = {
  listAudit: unary(`${AUDIT}ListAudit`, audit.ListAuditRequest, audit.ListAuditResponse),
} as const;

/** The handlers a server gives for a service definition, typed. */
export type ServiceHandlers<D> = {
  [M in keyof D]: D[M] extends UnaryMethod<infer Q, infer S>
    ? handleUnaryCall<Q, S>
    : D[M] extends ServerStreamMethod<infer Q, infer S>
      ? handleServerStreamingCall<Q, S>
      : D[M] extends BidiMethod<infer Q, infer S>
        ? handleBidiStreamingCall<Q, S>
        : never;
};

/** A unary method of a client. `error` is null when it succeeded. */
export interface UnaryCall<Q, S> {
  (request: Q, callback: (error: ServiceError | null, response?: S) => void): ClientUnaryCall;
  (
    request: Q,
    metadata: Metadata,
    callback: (error: ServiceError | null, response?: S) => void,
  ): ClientUnaryCall;
  (
    request: Q,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: (error: ServiceError | null, response?: S) => void,
  ): ClientUnaryCall;
}

/** A server-streaming method of a client. */
export interface ServerStreamCall<Q, S> {
  (request: Q, metadata?: Metadata, options?: Partial<CallOptions>): ClientReadableStream<S>;
  (request: Q, options?: Partial<CallOptions>): ClientReadableStream<S>;
}

/** A bidirectional method of a client. */
export interface BidiCall<Q, S> {
  (metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<Q, S>;
  (options?: Partial<CallOptions>): ClientDuplexStream<Q, S>;
}

/** A grpc-js client with the methods of a service definition, typed. */
export type ServiceClient<D> = Client & {
  readonly [M in keyof D]: D[M] extends UnaryMethod<infer Q, infer S>
    ? UnaryCall<Q, S>
    : D[M] extends ServerStreamMethod<infer Q, infer S>
      ? ServerStreamCall<Q, S>
      : D[M] extends BidiMethod<infer Q, infer S>
        ? BidiCall<Q, S>
        : never;
};

/** Makes a client: `address` as "host:port", the credentials and grpc-js's options. */
export interface ServiceClientClass<D> {
  new (address: string, credentials: ChannelCredentials, options?: ClientOptions): ServiceClient<D>;
}

function clientOf<D extends ServiceDefinition>(definition: D, name: string): ServiceClientClass<D> {
  return makeClientConstructor(definition, name) as unknown as ServiceClientClass<D>;
}

/** A plain typed client of AgentService. */
export const AgentServiceClient = clientOf(AgentServiceDefinition, "callweave.v1.AgentService");
/** A plain typed client of AgentService. */
export type AgentServiceClient = ServiceClient<typeof AgentServiceDefinition>;
/** A plain typed client of CallService. */
export const CallServiceClient = clientOf(CallServiceDefinition, "callweave.v1.CallService");
/** A plain typed client of CallService. */
export type CallServiceClient = ServiceClient<typeof CallServiceDefinition>;
/** A plain typed client of ContextService. */
export const ContextServiceClient = clientOf(ContextServiceDefinition, "callweave.v1.ContextService");
/** A plain typed client of ContextService. */
export type ContextServiceClient = ServiceClient<typeof ContextServiceDefinition>;
/** A plain typed client of FleetService. */
export const FleetServiceClient = clientOf(FleetServiceDefinition, "callweave.v1.FleetService");
/** A plain typed client of FleetService. */
export type FleetServiceClient = ServiceClient<typeof FleetServiceDefinition>;
/** A plain typed client of AuditService. */
export const AuditServiceClient = clientOf(AuditServiceDefinition, "callweave.v1.AuditService");
/** A plain typed client of AuditService. */
export type AuditServiceClient = ServiceClient<typeof AuditServiceDefinition>;
