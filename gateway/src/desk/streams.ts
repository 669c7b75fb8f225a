import { decodeMessage, ServeRequest } from "@callweave/proto";
import { type CallError, invalidField } from "../call/call-error.js";
import { encodeServeResponse } from "../contract/audio-wire.js";
import { openListening } from "../contract/listening.js";
import { ServeSession } from "../contract/serve-session.js";
import type { Method } from "./methods.js";
import type { DeskWire, Visitor } from "./wire.js";

/** Where a stream writes. */
export interface StreamSink {
  /** For the log. */
  readonly name: string;
  /** Sends a message; `done` once it has left, or with an error when it never will. */
  send(message: Uint8Array, done?: (error?: Error | null) => void): void;
  /** Ends the stream; more than once is the same as once. */
  end(error?: unknown): void;
}

/** A stream as the connection drives it. */
export interface BrowserStream {
  /** A further message of the browser. */
  message(bytes: Uint8Array): void;
  /** The browser sends nothing more. */
  halfClose(): void;
  /** Nobody reads any more; nothing is to be written. */
  cancel(): void;
  /** Ends it with an error, which is told. */
  end(error: CallError): void;
}

/** Opens a stream of a method. Throws CallError. */
export function openStream(
  wire: DeskWire,
  visitor: Visitor,
  method: Method,
  request: Uint8Array,
  sink: StreamSink,
): BrowserStream {
  switch (method.kind) {
    case "serve":
      return serve(wire, visitor, sink);
    case "unary": {
      const { run, read, write } = method;
      const asked = read(request);
      return oneRequest(sink, async (signal) => {
        const response = await run(asked, visitor.credential);
        if (!signal.aborted) sink.send(write(response));
      });
    }
    case "watch": {
      const { watch, read, write } = method;
      const asked = read(request);
      return oneRequest(sink, async (signal) => {
        for await (const item of watch(asked, visitor.credential, signal)) {
          if (signal.aborted) return;
          await sent(sink, write(item));
        }
      });
    }
    case "listen": {
      const { read, write } = method;
      const asked = read(request);
      return oneRequest(sink, (signal) => listen(wire, visitor, asked, signal, sink, write));
    }
  }
}

/** A stream whose only message from the browser is its request. It ends with `run`. */
function oneRequest(sink: StreamSink, run: (signal: AbortSignal) => Promise<void>): BrowserStream {
  const abort = new AbortController();
  // Later, so that the connection knows the stream before it can end.
  void Promise.resolve()
    .then(() => run(abort.signal))
    .then(
      () => !abort.signal.aborted && sink.end(),
      (error: unknown) => !abort.signal.aborted && sink.end(error),
    );
  const stop = (error?: CallError) => {
    abort.abort();
    if (error) sink.end(error);
  };
  return {
    message: () => stop(invalidField("message", "none: this method takes one request")),
    halfClose: () => {},
    cancel: () => stop(),
    end: stop,
  };
}

/** Resolves when the message has left, so that a slow browser is waited for. */
function sent(sink: StreamSink, message: Uint8Array): Promise<void> {
  return new Promise((resolve) => sink.send(message, () => resolve()));
}

async function listen(
  wire: DeskWire,
  visitor: Visitor,
  request: Parameters<typeof openListening>[1],
  signal: AbortSignal,
  sink: StreamSink,
  write: Extract<Method, { kind: "listen" }>["write"],
): Promise<void> {
  let over = () => {};
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  signal.addEventListener("abort", over);
  const listening = await openListening(
    wire.api,
    request,
    visitor.credential,
    { write: (message, done) => sink.send(write(message), done), finish: over },
    wire.options,
    signal,
    wire.options.audit,
  );
  await ended;
  wire.stats.droppedAudioMs += listening.stop();
}

function serve(wire: DeskWire, visitor: Visitor, sink: StreamSink): BrowserStream {
  const { api, authenticator, options, logger, stats } = wire;
  const session = new ServeSession(
    { agents: api.agents, authenticator, limits: options.stream, logger, stats, audit: options.audit },
    {
      name: sink.name,
      peer: visitor.peer,
      write: (message, done) => sink.send(encodeServeResponse(message), done),
      finish: (error) => {
        sink.end(error);
        // Later: it may be the core that ends it.
        setImmediate(() => session.gone());
      },
    },
  );
  session.admit(visitor.credential);
  return {
    message(bytes) {
      let request: ServeRequest;
      try {
        request = decodeMessage(ServeRequest, bytes);
      } catch {
        stats.malformed++;
        session.refuse(invalidField("message", "a well-formed ServeRequest"));
        return;
      }
      if (bytes.length > options.stream.maxMessageBytes)
        session.refuse(
          invalidField("message", `at most ${options.stream.maxMessageBytes} bytes`, bytes.length),
        );
      else session.message(request);
    },
    halfClose: () => session.halfClosed(),
    cancel: () => session.gone(),
    end(error) {
      sink.end(error);
      session.gone();
    },
  };
}
