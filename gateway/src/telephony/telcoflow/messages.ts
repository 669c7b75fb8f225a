/** Every message of the two websockets, as the adapter sees it after validation. Field names are ours, not the wire's. */

/** Channels of the provider. Only TELCO carries calls. */
export type Channel = "TELCO" | "WA";

/** What a connector wants delivered; sent after each sign-in. */
export interface CallFlow {
  readonly inboundCall: "ALL" | "MISSED_ONLY" | "NO";
  readonly outboundCall: boolean;
  readonly inboundMessage: boolean;
  readonly outboundMessage: boolean;
}

/** A control frame from the provider. */
export type ControlMessage =
  | { readonly type: "setup.done"; readonly connectionId: string }
  | {
      readonly type: "response";
      readonly requestId: string;
      readonly ok: boolean;
      readonly content: unknown;
      /** Empty when ok. */
      readonly errorCode: string;
      /** SESSION_BUSY: the connection that holds the session, if told. */
      readonly boundConnectionId: string;
    }
  | {
      readonly type: "session.notify";
      readonly sessionId: string;
      /** As on the wire; other channels than TELCO are not ours. */
      readonly channel: string;
      readonly remoteAddress: string;
      readonly localAddress: string;
      /** NEW_INCOMING_CALL, NEW_INCOMING_MESSAGE, RESUME, or one this version does not know. */
      readonly activity: string;
    }
  | {
      readonly type: "call.in";
      readonly sessionId: string;
      readonly callId: string;
      readonly from: string;
      readonly to: string;
      readonly mediaUrl: string;
      readonly mediaToken: string;
    }
  | { readonly type: "session.closed"; readonly sessionId: string; readonly reason: string }
  | { readonly type: "wa.msg.in"; readonly sessionId: string };

/** A control frame to the provider, without `reqId`. */
export type ControlRequest =
  | {
      readonly type: "setup";
      readonly data: { readonly sampleRate: number; readonly audioMode: "mixed" | "isolated" };
    }
  | { readonly type: "call_flow.setup"; readonly data: CallFlow }
  | { readonly type: "session.open"; readonly sessionId: string }
  | { readonly type: "session.ready"; readonly sessionId: string };

/** A text frame of a media connection, from the provider. */
export type MediaMessage =
  | {
      readonly type: "buffer_request";
      /** Above 0. */
      readonly requestedBytes: number;
      /** 0: not told. */
      readonly preferFrameBytes: number;
      readonly channel: number;
    }
  | {
      readonly type: "command_response";
      readonly commandId: string;
      readonly success: boolean;
      readonly errorCode: string;
      readonly errorMessage: string;
    }
  | { readonly type: "call_event"; readonly event: "call.terminated" }
  | { readonly type: "call_event"; readonly event: "call.error"; readonly errorCode: string }
  /** An event this version does not know. */
  | { readonly type: "call_event"; readonly event: "other" };

/** Commands of a media connection. */
export type CommandName =
  | "call.answer"
  | "call.connect"
  | "agent.whisper"
  | "agent.barge"
  | "agent.spy"
  | "agent.interrupt"
  | "call.close"
  | "call.disconnect";

/** A text frame of a media connection, to the provider. */
export interface MediaCommand {
  readonly type: "command";
  readonly data: {
    readonly command_id: string;
    readonly command: CommandName;
    readonly timeout_ms: number;
    readonly data?: { readonly ringTimeSeconds: number };
  };
}

/** One function per message type; a new type breaks the build until each dispatcher answers it. */
export type MessageHandlers<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: (message: Extract<M, { readonly type: T }>) => void;
};

/** Calls the function for the type of the message. */
export function dispatch<M extends { readonly type: string }>(
  message: M,
  handlers: MessageHandlers<M>,
): void {
  const handle = handlers[message.type as M["type"]] as (message: M) => void;
  handle(message);
}
