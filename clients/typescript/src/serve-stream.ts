import type { AgentItem, GatewayItem, ServeRequest, ServeResponse } from "@callweave/proto";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { Connection } from "./connection.js";
import { CallweaveError } from "./errors.js";
import { Outbox, type OutboxLimits, type PlaybackSource } from "./outbox.js";

/** What a stream tells. */
export interface ServeStreamHandler {
  item(item: GatewayItem): void;
  /** The stream is over; exactly once. */
  ended(error: CallweaveError): void;
}

/** One Serve stream on its own connection. */
export class ServeStream {
  /** Its first item is a Reattach. */
  reattaches = false;
  /** The gateway answered. */
  ready = false;
  /** The calls on it. */
  readonly sources = new Set<PlaybackSource>();
  readonly outbox: Outbox;
  private call: ClientDuplexStream<ServeRequest, ServeResponse> | undefined;
  private over = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly handler: ServeStreamHandler,
    limits: OutboxLimits,
  ) {
    this.outbox = new Outbox(
      {
        write: (items, done) => this.write(items, done),
        sources: () => this.sources,
        overflow: () =>
          this.fail(new CallweaveError("QUEUE_FULL", "RESOURCE_EXHAUSTED", "the control queue is full")),
      },
      limits,
    );
  }

  /** Opens the stream with its first item. Without a token and an answer within `connectTimeoutMs` it ends. */
  async open(first: AgentItem, connectTimeoutMs: number): Promise<void> {
    this.timer = setTimeout(() => {
      const what = this.call ? "the gateway does not answer" : "the token function does not answer";
      this.fail(new CallweaveError("TRANSPORT", "DEADLINE_EXCEEDED", what));
    }, connectTimeoutMs);
    try {
      // The timer above is the first to end: this bound only frees what waits.
      const metadata = await this.connection.metadata({ timeoutMs: connectTimeoutMs });
      if (this.over) return;
      const call = this.connection.agents.serve(metadata);
      this.call = call;
      call.on("data", (response: ServeResponse) => {
        clearTimeout(this.timer);
        for (const item of response.items) if (!this.over) this.handler.item(item);
      });
      call.on("error", (error) => this.finish(CallweaveError.from(error)));
      call.on("end", () => {
        const error = new CallweaveError("TRANSPORT", "UNAVAILABLE", "the gateway ended the stream");
        // A status that is not OK comes as an error right after the end.
        setImmediate(() => this.finish(error));
      });
      this.outbox.send(first);
    } catch (error) {
      this.fail(CallweaveError.from(error));
    }
  }

  /** Ends the stream from here; what is queued is still written. */
  async end(last: AgentItem | undefined, timeoutMs: number): Promise<void> {
    if (this.over || !this.call) return this.fail(new CallweaveError("CLOSED", "CANCELLED", "closed"));
    if (last) this.outbox.send(last);
    await this.outbox.flushed(timeoutMs);
    const call = this.call;
    this.over = true;
    this.outbox.close();
    clearTimeout(this.timer);
    const finished = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      call.once("status", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    call.end();
    await finished;
    call.cancel();
    this.connection.close();
    this.handler.ended(new CallweaveError("CLOSED", "CANCELLED", "the stream was ended by the client"));
  }

  /** Breaks the stream off. */
  fail(error: CallweaveError): void {
    this.finish(error);
  }

  private write(items: AgentItem[], done: () => void): void {
    const call = this.call;
    if (!call || this.over || !call.writable) return;
    try {
      call.write({ items }, (error?: Error | null) => {
        if (!error) done();
      });
    } catch (error) {
      this.fail(CallweaveError.from(error));
    }
  }

  private finish(error: CallweaveError): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    this.outbox.close();
    this.call?.cancel();
    this.connection.close();
    this.handler.ended(error);
  }
}
