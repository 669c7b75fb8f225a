import { Duplex, type Readable } from "node:stream";
import { type ServerDuplexStream, type ServerWritableStream, status } from "@grpc/grpc-js";
import { type EachMessage, MessageCutter, PREFIX_BYTES } from "./message-cutter.js";

/** The parts of a call in grpc-js's server that have no public way in (1.14). */
interface CallInternals {
  /** Has been announced to the client: the interceptors have seen the metadata. */
  readonly metadataSent: boolean;
  readonly incomingEncoding: string;
  readonly maxReceiveMessageSize: number;
  readonly handler: { deserialize(bytes: Buffer): unknown };
  /** The HTTP/2 stream. */
  readonly stream: Duplex;
  readonly callEventTracker?: { addMessageReceived(): void } | null;
  /** True once the call is over. */
  checkCancelled(): boolean;
  /** Takes what came on the HTTP/2 stream. */
  handleDataFrame(chunk: Buffer): void;
  sendStatus(status: { code: status; details: string }): void;
  sendMessage(message: unknown, done: (error?: Error | null) => void): void;
  /** The message behind its prefix, as it goes out. */
  serializeMessage(message: unknown): Buffer;
}

/**
 * Hands the messages of a stream to `take` as they come, all of a chunk at once, instead of one for each turn of a
 * promise and a pause of the HTTP/2 stream as grpc-js does: 50 audio messages a second and call make that a tenth of what
 * a call costs. Messages that are compressed or too large, and all behind them, go grpc-js's own way to the "data"
 * listeners of the stream, which must give them to the same `take`. Begin it in the turn in which the first "data"
 * listener is added. Nothing is ever paused: `take` must not need it.
 *
 * `takeBytes` is given each message before it is read, as a part of `bytes`; true: it took it, and `take` is not called.
 *
 * Answers false, and does nothing, when the inside of grpc-js is not as expected; all messages come as "data" then.
 */
export function readDirectly<In>(
  stream: ServerDuplexStream<In, unknown>,
  take: (message: In) => void,
  takeBytes: EachMessage = () => false,
): boolean {
  const call = internalsOf(stream);
  if (call?.incomingEncoding !== "identity") return false;
  const cutter = new MessageCutter(call.maxReceiveMessageSize);
  const own = call.handleDataFrame;
  let unreadable = false;
  const each: EachMessage = (bytes, from, to) => {
    call.callEventTracker?.addMessageReceived();
    try {
      if (!takeBytes(bytes, from, to)) {
        const message = messageOf<In>(call, bytes.subarray(from, to));
        if (message === undefined) {
          unreadable = true;
          return false;
        }
        take(message);
      }
    } catch (error) {
      // What comes behind it is read all the same; told as grpc-js would, as what nobody caught.
      void Promise.reject(error);
    }
    return !call.checkCancelled();
  };
  const putBack = handOver(call.stream, (chunk) => call.handleDataFrame(chunk));
  call.handleDataFrame = (chunk) => {
    if (unreadable || call.checkCancelled()) return;
    const rest = cutter.cut(chunk, each);
    if (!rest || unreadable) return;
    putBack();
    call.handleDataFrame = own;
    own.call(call, rest);
  };
  return true;
}

/**
 * Writes a message without the two layers in front of the HTTP/2 stream, which queue what is never queued here: the next
 * message must be written after `done`, and the stream ended after the last. The first message of a stream takes all
 * layers, for the metadata. As `stream.write(message, done)` when the inside of grpc-js is not as expected.
 *
 * `encode` makes the bytes of a message behind `before` bytes of any content, where gRPC's prefix goes: grpc-js's own way copies
 * the message behind it. Used where it can be, for each message of the stream.
 */
export function directWrite<Out>(
  stream: Pick<ServerWritableStream<unknown, Out>, "write">,
  encode?: (message: Out, before: number) => Buffer,
): (message: Out, done: (error?: Error | null) => void) => void {
  const call = internalsOf(stream);
  if (call && encode) {
    call.serializeMessage = (message) => {
      const bytes = encode(message as Out, PREFIX_BYTES);
      writePrefix(bytes, 0, bytes.length - PREFIX_BYTES);
      return bytes;
    };
  }
  return (message, done) => {
    if (call?.metadataSent) send(call, message, done);
    else stream.write(message, done);
  };
}

/**
 * Writes messages that are bytes already, all in one go, without the two layers in front of the HTTP/2 stream; the first
 * takes all layers, for the metadata. One by one by `stream.write` when the inside of grpc-js is not as expected: the
 * method's `responseSerialize` must take bytes as they are. `done` is called once they have left, or never when the call is over.
 */
export function directWriteAll(
  stream: Pick<ServerWritableStream<unknown, unknown>, "write">,
): (messages: readonly Uint8Array[], done: (error?: Error | null) => void) => void {
  const call = internalsOf(stream);
  if (call) call.serializeMessage = (messages) => framed(messages as readonly Uint8Array[]);
  return (messages, done) => {
    if (call?.metadataSent) send(call, messages, done);
    else if (call) stream.write(messages, done);
    else for (const [i, one] of messages.entries()) stream.write(one, i + 1 < messages.length ? noop : done);
  };
}

/** Behind the status, after a deadline, nothing may be written: it would destroy the stream with the status in it. */
function send(call: CallInternals, message: unknown, done: (error?: Error | null) => void): void {
  if (!call.stream.writableEnded) call.sendMessage(message, done);
}

/** Messages one behind the other, each behind its prefix. */
function framed(messages: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafe(messages.reduce((sum, { length }) => sum + PREFIX_BYTES + length, 0));
  let at = 0;
  for (const message of messages) {
    at = writePrefix(bytes, at, message.length);
    bytes.set(message, at);
    at += message.length;
  }
  return bytes;
}

/** gRPC's prefix of a message that is not compressed; answers where the message begins. */
function writePrefix(bytes: Buffer, at: number, length: number): number {
  bytes[at] = 0;
  return bytes.writeUInt32BE(length, at + 1);
}

function noop(): void {}

/**
 * Gives what a flowing stream reads to `take`, its one "data" listener, without the stream in between: for each chunk that would
 * call for more in a turn of its own, although HTTP/2 brings all there is unasked. What comes while the stream is
 * paused, or has something waiting, takes the way through it. Answers how to undo it.
 */
function handOver(stream: Readable, take: (chunk: Buffer) => void): () => void {
  const { push } = stream;
  stream.push = (chunk: Buffer | null, encoding) => {
    if (chunk === null || !stream.readableFlowing || stream.readableLength > 0) {
      return push.call(stream, chunk, encoding);
    }
    take(chunk);
    return true;
  };
  return () => {
    stream.push = push;
  };
}

/** The message, or undefined when it is none: the call is over then, as with grpc-js. */
function messageOf<In>(call: CallInternals, bytes: Buffer): In | undefined {
  try {
    return call.handler.deserialize(bytes) as In;
  } catch {
    call.sendStatus({ code: status.INTERNAL, details: "Error deserializing request" });
    return undefined;
  }
}

/** Below the interceptors of a stream: the call itself. */
function internalsOf(stream: object): CallInternals | undefined {
  let call: unknown = Reflect.get(stream, "call");
  while (typeof call === "object" && call !== null && "nextCall" in call) call = call.nextCall;
  return isCall(call) ? call : undefined;
}

function isCall(call: unknown): call is CallInternals {
  if (typeof call !== "object" || call === null) return false;
  const {
    metadataSent,
    incomingEncoding,
    maxReceiveMessageSize,
    handler,
    stream,
    checkCancelled,
    handleDataFrame,
    sendStatus,
    sendMessage,
    serializeMessage,
  } = call as Partial<CallInternals>;
  return (
    typeof metadataSent === "boolean" &&
    typeof incomingEncoding === "string" &&
    typeof maxReceiveMessageSize === "number" &&
    typeof handler?.deserialize === "function" &&
    stream instanceof Duplex &&
    [checkCancelled, handleDataFrame, sendStatus, sendMessage, serializeMessage].every(
      (method) => typeof method === "function",
    )
  );
}
