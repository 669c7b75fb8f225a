import type {
  CallServiceDefinition,
  PendingCommand,
  ServiceHandlers,
  WatchCallsResponse,
} from "@callweave/proto";
import { AudioSource } from "@callweave/proto";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { CallCommand, CommandReply } from "../call/call-commands.js";
import type { Credential } from "./auth.js";
import { toPbAudioFormat, toPbEscalationResult } from "./convert.js";
import { fromPbFilter, toPbCall, toPbEvent } from "./convert-call.js";
import {
  closeCommand,
  confirmCommand,
  connectCommand,
  disconnectCommand,
  escalateCommand,
  noteCommand,
  setAgentModeCommand,
  transferCommand,
  waitMs,
} from "./convert-command.js";
import { ListenWriter } from "./listen.js";
import { pageOfCalls } from "./page-token.js";
import { toServiceError } from "./status.js";
import { clientActor, type EdgeContext, requireReadable, unary } from "./unary.js";
import { audioFormat, callId, enumName, requestId, text, whole } from "./validate.js";
import { fail, pump } from "./watch.js";

type Handlers = ServiceHandlers<typeof CallServiceDefinition>;

/** The handlers of CallService. */
export function callService(context: EdgeContext): Handlers {
  const { calls, events } = context.api;

  const execute = (
    credential: Credential,
    request: { callId: string; requestId: string },
    command: CallCommand,
    wait = 0,
  ): Promise<CommandReply> => {
    const id = callId("call_id", request.callId);
    return calls.execute(
      clientActor(credential),
      id,
      requestId("request_id", request.requestId),
      command,
      wait,
    );
  };

  return {
    answerCall: unary(context, async (request, credential) => {
      return withCall(await execute(credential, request, { verb: "AnswerCall" }));
    }),
    connectCall: unary(context, async (request, credential) => {
      const reply = await execute(credential, request, connectCommand(request), waitMs(request.wait));
      return withPending(reply);
    }),
    setAgentMode: unary(context, async (request, credential) => {
      return withCall(await execute(credential, request, setAgentModeCommand(request)));
    }),
    escalateCall: unary(context, async (request, credential) => {
      const reply = await execute(credential, request, escalateCommand(request), waitMs(request.wait));
      const result = reply.escalation && toPbEscalationResult(reply.escalation);
      return { ...withPending(reply), result };
    }),
    confirmEscalation: unary(context, async (request, credential) => {
      return withCall(await execute(credential, request, confirmCommand(request)));
    }),
    transferCall: unary(context, async (request, credential) => {
      const reply = await execute(credential, request, transferCommand(request), waitMs(request.wait));
      return withPending(reply);
    }),
    releaseCall: unary(context, async (request, credential) => {
      return withCall(await execute(credential, request, { verb: "ReleaseCall" }));
    }),
    closeCall: unary(context, async (request, credential) => {
      return withPending(await execute(credential, request, closeCommand(request), waitMs(request.wait)));
    }),
    disconnectCall: unary(context, async (request, credential) => {
      return withPending(
        await execute(credential, request, disconnectCommand(request), waitMs(request.wait)),
      );
    }),
    cancelCommand: unary(context, async (request, credential) => {
      // Its request_id names the command to cancel; the cancelling itself may be repeated freely.
      const targetRequestId = requestId("request_id", request.requestId);
      const own = { callId: request.callId, requestId: "" };
      return withCall(await execute(credential, own, { verb: "CancelCommand", targetRequestId }));
    }),
    sendNote: unary(context, async (request, credential) => {
      const reply = await execute(credential, request, noteCommand(request));
      return { delivered: reply.delivered ?? false };
    }),
    listCalls: unary(context, (request, { tenant }) => {
      const filter = fromPbFilter(request.filter);
      const pageSize = whole("page_size", request.pageSize, 1, 1_000, 100);
      text("page_token", request.pageToken, 0, 2_000);
      // The cursor first: what happens between the two is then watched twice rather than never.
      const head = events.head(tenant);
      const all = calls.list(tenant, filter);
      const page = pageOfCalls(all, tenant, filter, pageSize, request.pageToken, head);
      return { calls: page.calls.map(toPbCall), nextPageToken: page.nextPageToken, cursor: page.cursor };
    }),
    getCall: unary(context, (request, { tenant }) => {
      return { call: toPbCall(calls.get(tenant, callId("call_id", request.callId))) };
    }),
    watchCalls: (call) => {
      void pump(
        context,
        call,
        ({ tenant }, signal) => {
          const { callIds, pools } = fromPbFilter(call.request.filter);
          const cursor = text("cursor", call.request.cursor, 0, 1_000);
          return events.watch(tenant, cursor, { callIds, pools }, signal);
        },
        (item): WatchCallsResponse =>
          "event" in item
            ? { item: { $case: "event", value: toPbEvent(item.event) } }
            : { item: { $case: "live", value: { cursor: item.live.cursor } } },
      );
    },
    listenCall: (call) => listen(context, call),
  };
}

function listen(context: EdgeContext, call: Parameters<Handlers["listenCall"]>[0]): void {
  try {
    const credential = context.authenticator.authenticate(call.metadata, call.getPeer());
    requireReadable(call.request);
    open(context, call, credential);
  } catch (error) {
    call.emit("error", toServiceError(error, context.logger, call.getPath()));
  }
}

function open(
  context: EdgeContext,
  call: Parameters<Handlers["listenCall"]>[0],
  credential: Credential,
): void {
  const id = callId("call_id", call.request.callId);
  const sources = ["MIXED", "AGENT"] as const;
  const source = enumName("source", AudioSource, call.request.source, sources, "MIXED");
  const format = audioFormat("format", call.request.format);
  const { sampleRateHz } = context.api.calls.get(credential.tenant, id);
  const writer = new ListenWriter(sinkOf(call), sampleRateHz, context.options.maxListenMs);
  const listening = context.api.calls.listen(clientActor(credential), id, source, format, writer);
  const leave: Parameters<typeof context.lasting.add>[0] = (reason) => {
    fail(call, reason);
    stop();
  };
  const stop = () => {
    if (!context.lasting.delete(leave)) return;
    writer.close();
    context.stats.droppedAudioMs += writer.droppedMs;
    listening.stop();
  };
  context.lasting.add(leave);
  call.once("cancelled", stop);
  call.once("close", stop);
  writer.start(toPbAudioFormat(listening.format));
}

function sinkOf<Q, S>(call: ServerWritableStream<Q, S>) {
  return {
    write: (message: S, done: (error?: Error | null) => void) => {
      call.write(message, done);
    },
    finish: () => {
      call.end();
    },
  };
}

function withCall(reply: CommandReply) {
  return { call: toPbCall(reply.call) };
}

function withPending(reply: CommandReply) {
  const pending: PendingCommand | undefined = reply.pending && { ...reply.pending };
  return { call: toPbCall(reply.call), pending };
}
