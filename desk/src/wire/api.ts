import * as p from "@callweave/proto/messages";
import type { Connection, StreamHandlers } from "./connection.js";

/** How long a command is waited for, ms. */
const COMMAND_WAIT_MS = 15_000;
const SECONDS = (seconds: number) => ({ seconds, nanos: 0 });
const EMPTY_AFTER = undefined;

/** The RPCs that the page uses, typed. */
export function deskApi(connection: Connection) {
  const { call } = bind(connection);
  const id = () => crypto.randomUUID();
  return {
    listCalls: (pageToken: string) =>
      call("CallService/ListCalls", p.ListCallsRequest, p.ListCallsResponse, {
        filter: undefined,
        pageSize: 1_000,
        pageToken,
      }),
    getCall: (callId: string) => call("CallService/GetCall", p.GetCallRequest, p.GetCallResponse, { callId }),
    answer: (callId: string) =>
      call("CallService/AnswerCall", p.AnswerCallRequest, p.AnswerCallResponse, { callId, requestId: id() }),
    connectCallee: (callId: string, ringSeconds: number) =>
      call(
        "CallService/ConnectCall",
        p.ConnectCallRequest,
        p.ConnectCallResponse,
        {
          callId,
          requestId: id(),
          ringDuration: SECONDS(ringSeconds),
          after: EMPTY_AFTER,
          wait: SECONDS(ringSeconds + 5),
        },
        (ringSeconds + 5) * 1_000,
      ),
    setMode: (callId: string, mode: p.AgentMode) =>
      call("CallService/SetAgentMode", p.SetAgentModeRequest, p.SetAgentModeResponse, {
        callId,
        requestId: id(),
        mode,
      }),
    confirm: (callId: string, accepted: boolean) =>
      call("CallService/ConfirmEscalation", p.ConfirmEscalationRequest, p.ConfirmEscalationResponse, {
        callId,
        requestId: id(),
        accepted,
      }),
    transfer: (
      callId: string,
      to: NonNullable<p.TransferCallRequest["to"]>,
      expectedEpoch: number,
      seconds: number,
    ) =>
      call(
        "CallService/TransferCall",
        p.TransferCallRequest,
        p.TransferCallResponse,
        {
          callId,
          requestId: id(),
          to,
          after: EMPTY_AFTER,
          offerDuration: SECONDS(seconds),
          wait: SECONDS(seconds + 2),
          expectedEpoch,
        },
        (seconds + 2) * 1_000,
      ),
    release: (callId: string) =>
      call("CallService/ReleaseCall", p.ReleaseCallRequest, p.ReleaseCallResponse, {
        callId,
        requestId: id(),
      }),
    close: (callId: string) =>
      call(
        "CallService/CloseCall",
        p.CloseCallRequest,
        p.CloseCallResponse,
        { callId, requestId: id(), endCall: false, after: EMPTY_AFTER, wait: SECONDS(15) },
        COMMAND_WAIT_MS,
      ),
    disconnect: (callId: string) =>
      call(
        "CallService/DisconnectCall",
        p.DisconnectCallRequest,
        p.DisconnectCallResponse,
        { callId, requestId: id(), after: EMPTY_AFTER, wait: SECONDS(15) },
        COMMAND_WAIT_MS,
      ),
    note: (callId: string, text: string) =>
      call("CallService/SendNote", p.SendNoteRequest, p.SendNoteResponse, { callId, requestId: id(), text }),
    getContext: (callId: string) =>
      call("ContextService/GetContext", p.GetContextRequest, p.GetContextResponse, {
        key: { $case: "callId", value: callId },
      }),
    findContexts: (caller: string) =>
      call("ContextService/FindContexts", p.FindContextsRequest, p.FindContextsResponse, {
        number: { $case: "caller", value: caller },
        within: SECONDS(90 * 24 * 3_600),
        pageSize: 10,
      }),
    listContexts: (statuses: p.ContextStatus[], pageSize: number, pageToken = "") =>
      call("ContextService/ListContexts", p.ListContextsRequest, p.ListContextsResponse, {
        statuses,
        caller: "",
        pageSize,
        pageToken,
      }),
    updateContext: (context: Partial<p.CallContext>, paths: string[], revision: number, addNote = "") =>
      call("ContextService/UpdateContext", p.UpdateContextRequest, p.UpdateContextResponse, {
        context: p.CallContext.fromPartial(context as object),
        updateMask: paths.length > 0 ? paths : undefined,
        revision,
        addNote,
      } as p.UpdateContextRequest),
    audit: (callId: string) =>
      call("AuditService/ListAudit", p.ListAuditRequest, p.ListAuditResponse, {
        kinds: [],
        callId,
        actor: "",
        number: "",
        pageSize: 500,
        pageToken: "",
        gatewayId: "",
      }),
    pools: () => call("FleetService/ListPools", p.ListPoolsRequest, p.ListPoolsResponse, {}),
    agents: () => call("FleetService/ListAgents", p.ListAgentsRequest, p.ListAgentsResponse, { pool: "" }),
    gateways: () => call("FleetService/ListGateways", p.ListGatewaysRequest, p.ListGatewaysResponse, {}),
    watchCalls: (request: Partial<p.WatchCallsRequest>, handlers: Watching<p.WatchCallsResponse>) =>
      connection.open(
        "CallService/WatchCalls",
        p.WatchCallsRequest.encode(p.WatchCallsRequest.fromPartial(request as object)).finish(),
        reading(p.WatchCallsResponse, handlers),
      ),
    watchContexts: (handlers: Watching<p.WatchContextsResponse>) =>
      connection.open(
        "ContextService/WatchContexts",
        new Uint8Array(),
        reading(p.WatchContextsResponse, handlers),
      ),
    listen: (callId: string, source: p.AudioSource, handlers: Watching<p.ListenCallResponse>) =>
      connection.open(
        "CallService/ListenCall",
        p.ListenCallRequest.encode({
          callId,
          source,
          format: { encoding: p.AudioEncoding.S16LE, sampleRateHertz: 24_000 },
        }).finish(),
        reading(p.ListenCallResponse, handlers),
      ),
  };
}

/** The RPCs of the page. */
export type DeskApi = ReturnType<typeof deskApi>;

/** What a watch tells, decoded. */
export interface Watching<S> {
  message(message: S): void;
  end: StreamHandlers["end"];
}

function reading<S>(codec: { decode(bytes: Uint8Array): S }, handlers: Watching<S>): StreamHandlers {
  return { message: (bytes) => handlers.message(codec.decode(bytes)), end: handlers.end };
}

function bind(connection: Connection) {
  return { call: connection.call.bind(connection) as Connection["call"] };
}
