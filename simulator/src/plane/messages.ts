/** Frames of the control connection, as they are on the wire. */

/** Channels of the provider. */
export type Channel = "TELCO" | "WA";

/** Why a session ended, as the control connection tells it. */
export type SessionCloseReason = "SDK_REQUEST" | "FORCE_CLOSE" | "CALL_TERMINATED";

/** `call_flow.setup`: what a connector wants delivered. */
export interface CallFlow {
  readonly inboundCall: "ALL" | "MISSED_ONLY" | "NO";
  readonly outboundCall: boolean;
  readonly inboundMessage: boolean;
  readonly outboundMessage: boolean;
}

/** A frame the provider pushes on the control connection. */
export type ControlPush =
  | { readonly type: "setup.done"; readonly smWsId: string }
  | {
      readonly type: "session.notify";
      readonly sessionId: string;
      readonly channel: Channel;
      readonly remoteAddress: string;
      readonly localAddress: string;
      readonly activity: string;
      readonly createdAt: number;
    }
  | {
      readonly type: "call.in";
      readonly sessionId: string;
      readonly callId: string;
      readonly orgUuid: string;
      readonly from: string;
      readonly to: string;
      readonly url: string;
      readonly token: string;
    }
  | { readonly type: "session.closed"; readonly sessionId: string; readonly reason: SessionCloseReason }
  | {
      readonly type: "wa.msg.in";
      readonly sessionId: string;
      readonly sender: string;
      readonly content: unknown;
    };

/** Answer to a control frame with a `reqId`. */
export interface ControlResponse {
  readonly type: "response";
  readonly reqId: string;
  readonly ok: boolean;
  readonly content: unknown;
  readonly errorCode: string | null;
  readonly errorContent: unknown;
}

/** A session as `session.open` and the REST list show it. Times in unix seconds. */
export interface SessionView {
  readonly id: string;
  readonly channel: Channel;
  readonly initiator: "CONNECTOR" | "SDK";
  readonly state: "OPEN" | "CLOSED";
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly openedAt: number | null;
  readonly closedAt: number | null;
}

/** A command of the media connection. */
export interface MediaCommand {
  readonly commandId: string;
  readonly command: string;
  readonly timeoutMs: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Verbs of the media connection. */
export const COMMANDS = [
  "call.answer",
  "call.connect",
  "agent.whisper",
  "agent.barge",
  "agent.spy",
  "agent.interrupt",
  "call.close",
  "call.disconnect",
] as const;

/** A verb of the media connection. */
export type CommandName = (typeof COMMANDS)[number];

/** Parses JSON that has to be an object; undefined for anything else. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // not JSON: the caller counts it
  }
  return undefined;
}

/** Reads a `{type: "command", data}` frame; undefined when it is not one. Default `timeout_ms`: 30000. */
export function parseCommand(frame: Readonly<Record<string, unknown>>): MediaCommand | undefined {
  if (frame.type !== "command") return undefined;
  const data = frame.data;
  if (typeof data !== "object" || data === null) return undefined;
  const fields = data as Record<string, unknown>;
  if (typeof fields.command_id !== "string" || typeof fields.command !== "string") return undefined;
  const inner = fields.data;
  return {
    commandId: fields.command_id,
    command: fields.command,
    timeoutMs: typeof fields.timeout_ms === "number" && fields.timeout_ms > 0 ? fields.timeout_ms : 30_000,
    data: typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>) : {},
  };
}

/** A binary audio frame: one byte of channel, then s16le samples. */
export function encodeAudioFrame(channel: number, samples: Int16Array): Buffer {
  const frame = Buffer.allocUnsafe(1 + samples.byteLength);
  frame[0] = channel;
  frame.set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength), 1);
  return frame;
}

/** Reads `call_flow.setup` data; undefined when a field is wrong. */
export function parseCallFlow(value: unknown): CallFlow | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { inboundCall, outboundCall, inboundMessage, outboundMessage } = value as Record<string, unknown>;
  if (inboundCall !== "ALL" && inboundCall !== "MISSED_ONLY" && inboundCall !== "NO") return undefined;
  for (const flag of [outboundCall, inboundMessage, outboundMessage])
    if (flag !== undefined && typeof flag !== "boolean") return undefined;
  return {
    inboundCall,
    outboundCall: outboundCall === true,
    inboundMessage: inboundMessage === true,
    outboundMessage: outboundMessage === true,
  };
}
