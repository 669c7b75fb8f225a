import type { ServerWritableStream } from "@grpc/grpc-js";
import type { CallError } from "../call/call-error.js";
import { ExpiryWatch } from "../contract/expiry.js";
import type { Watch } from "../contract/watches.js";
import { directWriteAll } from "./direct-stream.js";
import { serviceError, toServiceError } from "./status.js";
import { type EdgeContext, identify, requireReadable } from "./unary.js";
import { WatchWriter } from "./watch-writer.js";

/**
 * Sends what a source yields until the client cancels, the source ends or throws, or the edge drains. It asks the
 * source for more only when the client has taken what was sent: a slow client costs the memory of `watchBundleBytes` on their
 * way and as many that wait, and a message.
 */
export async function pump<Q, S>(
  context: EdgeContext,
  call: ServerWritableStream<Q, S>,
  watch: Watch<Q, S>,
  encode: (message: S) => Uint8Array,
): Promise<void> {
  const abort = new AbortController();
  const writer = new WatchWriter(directWriteAll(call), context.options.watchBundleBytes);
  const cancelled = () => {
    abort.abort();
    writer.close();
  };
  const leave = (reason: CallError) => {
    writer.finish();
    fail(call, reason);
    abort.abort();
  };
  const expiry = new ExpiryWatch(context.authenticator, 0, () => {}, leave);
  call.once("cancelled", cancelled);
  context.lasting.add(leave);
  try {
    const credential = await identify(context, call);
    requireReadable(call.request);
    expiry.follow(credential);
    for await (const item of watch(call.request, credential, abort.signal)) {
      if (abort.signal.aborted || writer.isClosed) break;
      if (!writer.add(encode(item))) await writer.room();
    }
    if (!abort.signal.aborted) {
      writer.finish();
      call.end();
    }
  } catch (error) {
    if (!abort.signal.aborted) {
      writer.finish();
      call.emit("error", toServiceError(error, context.logger, call.getPath()));
    }
  } finally {
    expiry.stop();
    context.lasting.delete(leave);
    call.off("cancelled", cancelled);
    abort.abort();
  }
}

/** Ends a server stream with a status. */
export function fail(call: { emit(event: "error", error: Error): boolean }, error: CallError): void {
  call.emit("error", serviceError(error));
}
