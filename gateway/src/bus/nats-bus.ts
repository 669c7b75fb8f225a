import {
  type Authenticator,
  connect,
  createInbox,
  credsAuthenticator,
  type Msg,
  type MsgHdrs,
  headers as makeHeaders,
  type NatsConnection,
  type NatsError,
  nkeyAuthenticator,
  type Subscription,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "nats";
import {
  type Bus,
  type BusBucket,
  type BusBucketOptions,
  type BusEndpoint,
  BusError,
  type BusHeaders,
  type BusMessage,
  type BusStream,
  type BusStreamOptions,
  type BusSubscription,
  type SubscribeOptions,
} from "./bus.js";
import type { BusCore, StatusMessage } from "./bus-core.js";
import type { BusCredentials, BusOptions } from "./bus-options.js";
import { startService } from "./bus-service.js";
import { Delivery } from "./delivery.js";
import { openBucket } from "./nats-bucket.js";
import { openStream } from "./nats-stream.js";
import { isPlainSubject } from "./subjects.js";

export type { BusCredentials, BusOptions, BusTls } from "./bus-options.js";

const DEFAULT_MAX_PAYLOAD = 1_048_576;
/** The library's own sign of life is off: it cannot end a connection whose buffers are full. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Makes a bus on NATS. Resolves at once: the bus begins away, connects in the background, and again for ever.
 * Rejects for options that can never work.
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  if (options.urls.length === 0) throw new BusError("refused", "no URL of a NATS server");
  return new NatsBus(options);
}

interface Sub {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handler: (message: StatusMessage) => void;
  native: Subscription | undefined;
}

/** One connection; a lost one is never used again, so that nothing old is sent by the next. */
interface Link {
  readonly nc: NatsConnection;
  readonly lost: Promise<void>;
  lose(): void;
}

class NatsBus implements Bus, BusCore {
  readonly requestTimeoutMs: number;
  closed = false;
  /** Messages that `publish` refused. */
  refused = 0;
  private readonly settings;
  private readonly subs = new Set<Sub>();
  private readonly listeners = new Set<(connected: boolean) => void>();
  private readonly told = new Set<string>();
  private link: Link | undefined;
  private wake: () => void = () => {};
  private payloadLimit = DEFAULT_MAX_PAYLOAD;
  /** URLs of the cluster as the server told them. */
  private discovered: readonly string[] = [];
  private readonly done: Promise<void>;

  constructor(options: BusOptions) {
    this.settings = {
      credentials: { kind: "none" } as BusCredentials,
      tls: undefined,
      pingIntervalMs: 5000,
      maxPingsOut: 2,
      connectTimeoutMs: 5000,
      reconnectMinMs: 100,
      reconnectMaxMs: 2000,
      maxBufferedBytes: 8 * 2 ** 20,
      onError: () => {},
      ...options,
    };
    this.requestTimeoutMs = options.requestTimeoutMs ?? 5000;
    if (options.onStatus) this.listeners.add(options.onStatus);
    this.done = this.run();
  }

  get connected(): boolean {
    return this.link !== undefined;
  }

  get maxPayloadBytes(): number {
    return this.payloadLimit;
  }

  onStatus(listener: (connected: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  publish(
    subject: string,
    data: Uint8Array,
    options: { headers?: BusHeaders; reply?: string } = {},
  ): boolean {
    const { link } = this;
    if (link && isPlainSubject(subject) && !this.crowded(link)) {
      try {
        link.nc.publish(subject, data, {
          ...(options.reply === undefined ? {} : { reply: options.reply }),
          ...toHeaders(options.headers),
        });
        return true;
      } catch (error) {
        // Too large, or closed in this moment.
        this.report(toBusError(error));
      }
    }
    this.refused++;
    return false;
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): BusSubscription {
    const delivery = new Delivery(handler, options, (error) => this.report(error));
    const raw = this.attach(subject, options.queue, (message) => delivery.push(message));
    return {
      stop() {
        raw.stop();
        delivery.stop();
      },
    };
  }

  subscribeRaw(subject: string, handler: (message: StatusMessage) => void): BusSubscription {
    return this.attach(subject, undefined, handler);
  }

  async request(
    subject: string,
    data: Uint8Array,
    options: { readonly timeoutMs: number; readonly headers?: BusHeaders },
  ): Promise<BusMessage> {
    const { link } = this;
    if (!link || this.crowded(link)) throw away();
    if (!isPlainSubject(subject)) throw new BusError("refused", "not a subject to publish under");
    try {
      const answer = link.nc.request(subject, data, {
        timeout: Math.max(1, options.timeoutMs),
        ...toHeaders(options.headers),
      });
      const lost = link.lost.then(() => {
        throw new BusError("timeout", "the connection was lost before the answer");
      });
      answer.catch(() => {});
      return toMessage(await Promise.race([answer, lost]));
    } catch (error) {
      throw toBusError(error);
    }
  }

  async flush(): Promise<void> {
    const { link } = this;
    if (!link) throw away();
    const flushed = link.nc.flush();
    flushed.catch(() => {});
    const lost = link.lost.then(() => {
      throw away();
    });
    await Promise.race([flushed, lost]).catch((error: unknown) => {
      throw error instanceof BusError ? error : away(error);
    });
  }

  async service(
    about: { readonly name: string; readonly version: string; readonly description: string },
    endpoints: readonly BusEndpoint[],
  ): Promise<BusSubscription> {
    return startService(this, about, endpoints);
  }

  stream(options: BusStreamOptions): Promise<BusStream> {
    return openStream(this, options);
  }

  bucket(options: BusBucketOptions): Promise<BusBucket> {
    return openBucket(this, options);
  }

  async close(timeoutMs = 2000): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const { link } = this;
    if (link) await Promise.race([this.flush().catch(() => {}), sleep(timeoutMs)]);
    link?.lose();
    this.wake();
    this.tell(false);
    await Promise.race([this.done, sleep(timeoutMs)]);
    this.subs.clear();
    this.listeners.clear();
  }

  inbox(): string {
    return createInbox();
  }

  whenConnected(): Promise<void> {
    if (this.closed) return Promise.reject(away());
    if (this.link) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = this.onStatus((connected) => {
        if (!connected && !this.closed) return;
        stop();
        if (connected) resolve();
        else reject(away());
      });
    });
  }

  report(error: unknown, permanent = false): void {
    const text = String(error);
    if (this.told.has(text)) return;
    if (this.told.size >= 100) this.told.clear();
    this.told.add(text);
    this.settings.onError(error instanceof Error ? error : new Error(text), permanent);
  }

  private attach(
    subject: string,
    queue: string | undefined,
    handler: (message: StatusMessage) => void,
  ): BusSubscription {
    if (!isPlainSubject(subject.replace(/(^|\.)\*(?=\.|$)/g, "$1x").replace(/(^|\.)>$/, "$1x")))
      throw new BusError("refused", "not a subject to subscribe to");
    const sub: Sub = { subject, queue, handler, native: undefined };
    this.subs.add(sub);
    if (this.link) this.install(this.link.nc, sub);
    return {
      stop: () => {
        this.subs.delete(sub);
        try {
          sub.native?.unsubscribe();
        } catch {
          // The connection it belonged to is gone.
        }
      },
    };
  }

  private install(nc: NatsConnection, sub: Sub): void {
    sub.native = nc.subscribe(sub.subject, {
      ...(sub.queue === undefined ? {} : { queue: sub.queue }),
      callback: (error, message) => {
        // Whatever is thrown here would end the library's reading of this connection.
        try {
          if (error) this.report(toBusError(error), true);
          else sub.handler(toMessage(message));
        } catch (thrown) {
          this.report(thrown);
        }
      },
    });
  }

  /** More waits to be sent than may. */
  private crowded(link: Link): boolean {
    const { protocol } = link.nc as unknown as {
      protocol?: { transport?: { socket?: { writableLength: number } }; outbound?: { size(): number } };
    };
    const waiting = (protocol?.transport?.socket?.writableLength ?? 0) + (protocol?.outbound?.size() ?? 0);
    return waiting > this.settings.maxBufferedBytes;
  }

  private async run(): Promise<void> {
    let waitMs = this.settings.reconnectMinMs;
    while (!this.closed) {
      let nc: NatsConnection;
      try {
        nc = await this.dial();
      } catch (error) {
        const failure = toBusError(error);
        if (!this.closed) this.report(failure, failure.kind === "refused");
        await this.pause(Math.random() * waitMs);
        waitMs = Math.min(this.settings.reconnectMaxMs, waitMs * 2);
        continue;
      }
      const link = makeLink(nc);
      const since = performance.now();
      if (!this.closed) await this.use(link);
      void destroy(nc);
      // A connection that is lost at once, again and again, must not become a storm.
      if (performance.now() - since > this.settings.reconnectMaxMs) waitMs = this.settings.reconnectMinMs;
      if (!this.closed) await this.pause(Math.random() * waitMs);
      waitMs = Math.min(this.settings.reconnectMaxMs, waitMs * 2);
    }
  }

  private async dial(): Promise<NatsConnection> {
    const { credentials, urls, name, connectTimeoutMs, tls } = this.settings;
    const offered = typeof tls === "function" ? tls() : tls;
    const authenticator = toAuthenticator(
      typeof credentials === "function" ? await credentials() : credentials,
    );
    return connect({
      servers: [...new Set([...urls, ...this.discovered])],
      name,
      timeout: connectTimeoutMs,
      reconnect: false,
      pingInterval: NEVER_MS,
      noAsyncTraces: true,
      ...(authenticator ? { authenticator } : {}),
      ...(offered ? { tls: offered as TlsOptions } : {}),
    });
  }

  /** Serves one connection until it is lost. */
  private async use(link: Link): Promise<void> {
    const { nc } = link;
    this.payloadLimit = nc.info?.max_payload ?? DEFAULT_MAX_PAYLOAD;
    this.told.clear();
    for (const sub of this.subs) this.install(nc, sub);
    this.link = link;
    void this.watchErrors(nc);
    const { pingIntervalMs, maxPingsOut } = this.settings;
    let out = 0;
    const pings = setInterval(() => {
      if (out >= maxPingsOut) return link.lose();
      out++;
      nc.flush().then(
        () => {
          out = 0;
        },
        () => {},
      );
    }, pingIntervalMs);
    pings.unref();
    this.tell(true);
    await link.lost;
    clearInterval(pings);
    this.discovered = (nc.info?.connect_urls ?? []).slice(0, 32);
    this.link = undefined;
    for (const sub of this.subs) sub.native = undefined;
    if (!this.closed) this.tell(false);
  }

  private async watchErrors(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type !== "error") continue;
      const where = status.permissionContext;
      const what = where ? `${status.data}: ${where.operation} to ${where.subject}` : String(status.data);
      this.report(new BusError("refused", what), true);
    }
  }

  private tell(connected: boolean): void {
    for (const listener of [...this.listeners])
      try {
        listener(connected);
      } catch (error) {
        this.report(error);
      }
  }

  private pause(ms: number): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function makeLink(nc: NatsConnection): Link {
  let lose: () => void = () => {};
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  void nc.closed().then(lose, lose);
  return { nc, lost, lose };
}

/** Ends a connection in whatever state it is; by its own close it would wait for a server that does not read. */
async function destroy(nc: NatsConnection): Promise<void> {
  const { protocol } = nc as unknown as { protocol?: { transport?: { socket?: { destroy(): void } } } };
  protocol?.transport?.socket?.destroy();
  await nc.close().catch(() => {});
}

function toAuthenticator(credentials: BusCredentials): Authenticator | undefined {
  switch (credentials.kind) {
    case "none":
      return undefined;
    case "creds":
      return credsAuthenticator(new TextEncoder().encode(credentials.text));
    case "password":
      return usernamePasswordAuthenticator(credentials.user, credentials.password);
    case "token":
      return tokenAuthenticator(credentials.token);
    case "nkey":
      return nkeyAuthenticator(new TextEncoder().encode(credentials.seed));
  }
}

function toMessage(message: Msg): StatusMessage {
  const { subject, data, reply = "" } = message;
  const lines = message.headers;
  return {
    subject,
    data,
    reply,
    headers: lines ? fromHeaders(lines) : {},
    status: lines?.code ?? 0,
    description: lines?.description ?? "",
    respond(answer, headers) {
      try {
        message.respond(answer, toHeaders(headers));
      } catch {
        // The bus is away, or the answer is too large: who asked sees a timeout.
      }
    },
  };
}

function fromHeaders(lines: MsgHdrs): BusHeaders {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, values] of lines) headers[name] = values[0] ?? "";
  return headers;
}

function toHeaders(headers: BusHeaders | undefined): { headers?: MsgHdrs } {
  if (!headers) return {};
  const lines = makeHeaders();
  for (const [name, value] of Object.entries(headers)) lines.set(name, value.replace(/[\r\n]+/g, " "));
  return { headers: lines };
}

function away(cause?: unknown): BusError {
  return new BusError("away", "the bus is not connected", cause === undefined ? undefined : { cause });
}

const KINDS: Readonly<Record<string, BusError["kind"]>> = {
  "503": "no_responders",
  TIMEOUT: "timeout",
  DISCONNECT: "timeout",
  CANCELLED: "timeout",
  CONNECTION_CLOSED: "away",
  CONNECTION_DRAINING: "away",
  CONNECTION_REFUSED: "away",
  CONNECTION_TIMEOUT: "away",
  PERMISSIONS_VIOLATION: "refused",
  AUTHORIZATION_VIOLATION: "refused",
  AUTHENTICATION_EXPIRED: "refused",
  AUTHENTICATION_TIMEOUT: "away",
  ACCOUNT_EXPIRED: "refused",
  MAX_PAYLOAD_EXCEEDED: "refused",
  BAD_SUBJECT: "refused",
  BAD_HEADER: "refused",
  BAD_CREDS: "refused",
  INVALID_PAYLOAD: "refused",
};

/** An error of the library; what it does not name is a failing connection. */
function toBusError(error: unknown): BusError {
  if (error instanceof BusError) return error;
  const { code = "", message = String(error) } = (error ?? {}) as Partial<NatsError>;
  const kind = KINDS[code] ?? (/CERT|TLS|SSL/i.test(code) ? "refused" : "away");
  return new BusError(kind, kind === "no_responders" ? "nobody serves this subject" : message, {
    cause: error,
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
  });
}
