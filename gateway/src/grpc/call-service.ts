import type { CallServiceDefinition, ServiceHandlers } from "@callweave/proto";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { Credential } from "../contract/authenticator.js";
import { toPbAudioFormat } from "../contract/convert.js";
import { ListenWriter } from "../contract/listen-writer.js";
import { clientActor, listenRequest } from "../contract/operations.js";
import { watches } from "../contract/watches.js";
import { toServiceError } from "./status.js";
import { type EdgeContext, requireReadable, unaries } from "./unary.js";
import { fail, pump } from "./watch.js";

type Handlers = ServiceHandlers<typeof CallServiceDefinition>;

/** The handlers of CallService. */
export function callService(context: EdgeContext): Handlers {
  const { watchCalls } = watches(context.api);
  return {
    ...unaries(context, context.operations.call),
    watchCalls: (call) => void pump(context, call, watchCalls),
    listenCall: (call) => void listen(context, call),
  };
}

async function listen(context: EdgeContext, call: Parameters<Handlers["listenCall"]>[0]): Promise<void> {
  try {
    const { authenticator } = context;
    const credential = authenticator.authenticate(call.metadata.get("authorization"), call.getPeer());
    requireReadable(call.request);
    await open(context, call, credential);
  } catch (error) {
    call.emit("error", toServiceError(error, context.logger, call.getPath()));
  }
}

async function open(
  context: EdgeContext,
  call: Parameters<Handlers["listenCall"]>[0],
  credential: Credential,
): Promise<void> {
  const { callId, source, format } = listenRequest(call.request);
  let gone = false;
  const onGone = () => {
    gone = true;
  };
  call.once("cancelled", onGone);
  call.once("close", onGone);
  const { sampleRateHz } = await context.api.calls.get(credential.tenant, callId);
  const writer = new ListenWriter(sinkOf(call), sampleRateHz, context.options.maxListenMs);
  const listening = await context.api.calls.listen(clientActor(credential), callId, source, format, writer);
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
  if (gone) stop();
  else writer.start(toPbAudioFormat(listening.format));
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
