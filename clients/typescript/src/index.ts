// Taking calls.
export type {
  Call,
  CallEnd,
  CallListeners,
  Cleared,
  MarkEnd,
  PlaybackStatus,
  PlayEnd,
  PlaySource,
} from "./call.js";
// Watching, hearing and commanding calls.
export type {
  CallFilter,
  Calls,
  Listening,
  ListenOptions,
  UnaryVerbOptions,
  VerbResult,
  WatchItem,
  WatchOptions,
} from "./calls.js";
export { type CallweaveClient, connect } from "./client.js";
// Common to both.
export type { ConnectionOptions, TlsOptions } from "./connection.js";
export type { Contexts, ListContextsOptions, UpdateContextOptions } from "./contexts.js";
export {
  CallweaveError,
  type ClientReason,
  type GatewayReason,
  type Reason,
  type StatusName,
} from "./errors.js";
export type { AgentInfo, Fleet, GatewayInfo, PoolInfo } from "./fleet.js";
export type { Offer } from "./session.js";
export type {
  AgentMode,
  AudioChunk,
  AudioData,
  AudioEncoding,
  AudioFormat,
  AudioGap,
  CallContext,
  CallEvent,
  CallEventBody,
  CallInfo,
  CallState,
  Consent,
  ContextDurability,
  ContextFields,
  ContextStatus,
  EndReason,
  EscalationOutcome,
  EscalationReason,
  EscalationResult,
  PlaybackPosition,
  Seat,
  SeatCause,
  SeatState,
  SummarySource,
  Turn,
  WrittenContext,
} from "./types.js";
export type {
  AfterOptions,
  CalleeTarget,
  CloseOptions,
  ConnectOptions,
  DisconnectOptions,
  EscalateOptions,
  PoolTarget,
  TransferOptions,
  VerbOptions,
} from "./verbs.js";
export { type AgentOptions, agent, type CallHandler, type Worker, type WorkerStatus } from "./worker.js";
