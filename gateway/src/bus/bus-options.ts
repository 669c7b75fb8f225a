/** How the gateway shows who it is. */
export type BusCredentials =
  | { readonly kind: "none" }
  /** The text of a .creds file. */
  | { readonly kind: "creds"; readonly text: string }
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  | { readonly kind: "token"; readonly token: string }
  /** The seed of an nkey, "SU…". */
  | { readonly kind: "nkey"; readonly seed: string };

/** PEM texts: whom to trust, and a certificate of one's own. */
export interface BusTls {
  /** Default: the authorities of the system. */
  readonly ca?: string;
  /** Together with `key`. */
  readonly cert?: string;
  readonly key?: string;
}

/** How to reach NATS. */
export interface BusOptions {
  /** "nats://host:4222" or "tls://…", one or several of one cluster. */
  readonly urls: readonly string[];
  /** Shown by the server's tools. */
  readonly name: string;
  /** Default none. A function is asked before each connection, so that rotated secrets are taken up. */
  readonly credentials?: BusCredentials | (() => BusCredentials | Promise<BusCredentials>);
  /**
   * Without it TLS is used when the server offers it, with the certificates of the system. A function is asked before each
   * connection, so that renewed certificates are taken up.
   */
  readonly tls?: BusTls | (() => BusTls | undefined);
  /** How often the server is asked for a sign of life, in ms. Default 5,000. */
  readonly pingIntervalMs?: number;
  /** The connection is given up at the first ping after so many unanswered ones. Default 2. */
  readonly maxPingsOut?: number;
  /** How long one attempt to connect may take, in ms. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** First wait before connecting again, in ms; doubled each time, with full jitter. Default 100. */
  readonly reconnectMinMs?: number;
  /** Longest wait before connecting again, in ms. Default 2,000. */
  readonly reconnectMaxMs?: number;
  /** How long a request to the server itself (streams, buckets) may take, in ms. Default 5,000. */
  readonly requestTimeoutMs?: number;
  /** Bytes that may wait to be sent, at most; beyond it the bus refuses as if it were away. Default 8 MiB. */
  readonly maxBufferedBytes?: number;
  /**
   * Told of what goes wrong in the background, once until it changes. `permanent`: a fault of configuration
   * (credentials, permissions); the bus goes on trying all the same.
   */
  readonly onError?: (error: Error, permanent: boolean) => void;
  /** As `Bus.onStatus`, from the start. */
  readonly onStatus?: (connected: boolean) => void;
}
