import type { BusHeaders, BusMessage, BusSubscription } from "./bus.js";

/** A message with the status line that servers put into the headers. */
export interface StatusMessage extends BusMessage {
  /** 0: an ordinary message. 100, 404, 408, 409, 503: a word of the server. */
  readonly status: number;
  readonly description: string;
}

/** What streams and buckets need of a connection to a server. */
export interface BusCore {
  readonly connected: boolean;
  readonly closed: boolean;
  /** As `Bus.request`. */
  request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: BusHeaders },
  ): Promise<BusMessage>;
  publish(subject: string, data: Uint8Array, options?: { headers?: BusHeaders; reply?: string }): boolean;
  /** Every message as it comes, in the turn in which it comes. */
  subscribeRaw(subject: string, handler: (message: StatusMessage) => void): BusSubscription;
  onStatus(listener: (connected: boolean) => void): () => void;
  /** A subject that nobody else uses. */
  inbox(): string;
  /** Resolves as soon as there is a connection; rejects with BusError away when the bus is closed. */
  whenConnected(): Promise<void>;
  /** Tells of what went wrong in the background. */
  report(error: unknown): void;
  /** How long a request to the server itself may take, in ms. */
  readonly requestTimeoutMs: number;
}
