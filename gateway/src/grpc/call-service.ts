import type {
  CallServiceDefinition,
  ListenCallRequest,
  ListenCallResponse,
  ServiceHandlers,
} from "@callweave/proto";
import type { ServerWritableStream } from "@grpc/grpc-js";
import { encodeListenCallResponse } from "../contract/audio-wire.js";
import type { Credential } from "../contract/authenticator.js";
import { ExpiryWatch } from "../contract/expiry.js";
import { openListening } from "../contract/listening.js";
import { WATCH_ENCODERS } from "../contract/watch-wire.js";
import { directWrite } from "./direct-stream.js";
import { toServiceError } from "./status.js";
import { type EdgeContext, identify, requireReadable, unaries } from "./unary.js";
import { fail, pump } from "./watch.js";

type Handlers = ServiceHandlers<typeof CallServiceDefinition>;

/** The handlers of CallService. */
export function callService(context: EdgeContext): Handlers {
  const { watchCalls } = context.watches;
  return {
    ...unaries(context, context.operations.call),
    watchCalls: (call) => void pump(context, call, watchCalls, WATCH_ENCODERS.watchCalls),
    listenCall: (call) => void listen(context, call),
  };
}

async function listen(context: EdgeContext, call: Parameters<Handlers["listenCall"]>[0]): Promise<void> {
  try {
    const credential = await identify(context, call);
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
  const { api, options, lasting, stats } = context;
  const gone = new AbortController();
  call.once("cancelled", () => gone.abort());
  call.once("close", () => gone.abort());
  const sink = sinkOf(call);
  const listening = await openListening(
    api,
    call.request,
    credential,
    sink,
    options,
    gone.signal,
    options.audit,
  );
  const leave: Parameters<typeof lasting.add>[0] = (reason) => {
    fail(call, reason);
    stop();
  };
  const expiry = new ExpiryWatch(context.authenticator, 0, () => {}, leave);
  const stop = () => {
    expiry.stop();
    lasting.delete(leave);
    stats.droppedAudioMs += listening.stop();
  };
  lasting.add(leave);
  gone.signal.addEventListener("abort", stop);
  if (gone.signal.aborted) stop();
  else expiry.follow(credential);
}

function sinkOf(call: ServerWritableStream<ListenCallRequest, ListenCallResponse>) {
  return {
    write: directWrite(call, encodeListenCallResponse),
    finish: () => {
      call.end();
    },
  };
}
