import type { SimClock } from "../clock.js";

/** How a control connection is dropped. */
export interface DropOptions {
  /** Only this connector's connections. Default: all. */
  readonly connectorUuid?: string;
  /** Close code. Default 1011. 1013 means "try again later". */
  readonly code?: number;
  /** TCP reset instead of a close frame. */
  readonly abrupt?: boolean;
}

/** How new control connections are refused. */
export interface RefuseOptions {
  /** HTTP status. Default 503; 429 adds `retry-after`. */
  readonly status?: number;
  /** Text of the answer. */
  readonly body?: string;
  /** `retry-after`, in seconds. Default 1 with status 429. */
  readonly retryAfterSeconds?: number;
  /** Refuse so many. Default: no limit. */
  readonly count?: number;
  /** Refuse for so long, ms. Default: until `acceptControl()`. */
  readonly forMs?: number;
  /** Refuse REST requests as well. Default false. */
  readonly rest?: boolean;
}

/** A fault on answers (`response`) of the control connection. */
export interface ControlResponseFault {
  /** Type of the request, such as `session.open`. Default: any. */
  readonly type?: string;
  /** How many are hit. Default 1. */
  readonly count?: number;
  /** Answer so much later, ms. */
  readonly delayMs?: number;
  /** The request takes effect, but no answer comes. */
  readonly swallow?: boolean;
  /** No effect; answered with this `errorCode`. */
  readonly errorCode?: string;
}

/** Malformed control frames, by name. */
export const MALFORMED_CONTROL = {
  not_json: '{"type": "session.notify", ',
  not_object: '"session.notify"',
  no_type: '{"sessionId": "x"}',
  unknown_type: '{"type": "session.sneezed", "sessionId": "x"}',
  unknown_session:
    '{"type": "call.in", "sessionId": "unknown", "callId": "c", "orgUuid": "o", "from": "", "to": "", "url": "ws://127.0.0.1:1/", "token": "t"}',
  wrong_field_types: '{"type": "session.notify", "sessionId": 7, "channel": [], "createdAt": "now"}',
  unknown_activity:
    '{"type": "session.notify", "sessionId": "unknown", "channel": "TELCO", "remoteAddress": "", "localAddress": "", "activity": "NEW_INCOMING_FAX", "createdAt": 0}',
  unknown_response: '{"type": "response", "reqId": "unknown", "ok": true}',
  binary: Buffer.from([1, 2, 3]),
  oversize: `{"type": "session.notify", "sessionId": "${"x".repeat(1024 * 1024)}"}`,
} as const satisfies Record<string, string | Buffer>;

/** Name of a malformed control frame. */
export type MalformedControl = keyof typeof MALFORMED_CONTROL;

/** A control connection as faults see it. @internal */
export interface FaultyConnection {
  readonly connectorUuid: string;
  sendRaw(data: Buffer | string): void;
  drop(code: number, abrupt: boolean): void;
  freeze(frozen: boolean): void;
}

/** What a refused upgrade or request is answered with. @internal */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  readonly retryAfterSeconds: number | undefined;
}

/** Faults of the control connections and of the server, on demand. */
export class SimFaults {
  readonly #clock: SimClock;
  readonly #connections: () => Iterable<FaultyConnection>;
  readonly #responses: { fault: ControlResponseFault; left: number }[] = [];
  #refuse: (RefuseOptions & { left: number; untilMs: number }) | undefined;
  #duplicates = 0;
  #reorderLeft = 0;
  #heldBack: (() => void)[] = [];
  /** `setup.done` comes this much later, in ms. Default 0. */
  setupDelayMs = 0;

  /** @internal */
  constructor(clock: SimClock, connections: () => Iterable<FaultyConnection>) {
    this.#clock = clock;
    this.#connections = connections;
  }

  /** Drops control connections. Returns how many. */
  dropControl(options: DropOptions = {}): number {
    let dropped = 0;
    for (const connection of [...this.#connections()]) {
      if (options.connectorUuid !== undefined && connection.connectorUuid !== options.connectorUuid) continue;
      connection.drop(options.code ?? 1011, options.abrupt ?? false);
      dropped += 1;
    }
    return dropped;
  }

  /** Control connections stay open, but nothing is read or sent on them for so long, ms: not even a pong. */
  freezeControl(forMs: number): void {
    for (const connection of [...this.#connections()]) {
      connection.freeze(true);
      this.#clock.setTimeout(() => connection.freeze(false), forMs);
    }
  }

  /** Refuses new control connections (upgrades). */
  refuseControl(options: RefuseOptions = {}): void {
    this.#refuse = {
      ...options,
      left: options.count ?? Number.POSITIVE_INFINITY,
      untilMs: this.#clock.now() + (options.forMs ?? Number.POSITIVE_INFINITY),
    };
  }

  /** Too many requests: upgrades and REST answer 429 with `retry-after`. */
  rateLimit(options: { count?: number; forMs?: number; retryAfterSeconds?: number } = {}): void {
    this.refuseControl({ ...options, status: 429, body: "Too many requests", rest: true });
  }

  /** Takes new control connections again. */
  acceptControl(): void {
    this.#refuse = undefined;
  }

  /** Delays, swallows or refuses answers on the control connection. */
  onControlResponse(fault: ControlResponseFault): void {
    this.#responses.push({ fault, left: fault.count ?? 1 });
  }

  /** Each of the next `count` pushed control frames is sent twice. */
  duplicateControlEvents(count = 1): void {
    this.#duplicates += count;
  }

  /** The next `count` pushed control frames are held back and sent in reverse order after the last. */
  reorderControlEvents(count = 2): void {
    this.#reorderLeft = count;
  }

  /** Sends raw text or bytes on every control connection. */
  sendControlRaw(data: Buffer | string): void {
    for (const connection of this.#connections()) connection.sendRaw(data);
  }

  /** Sends one of {@link MALFORMED_CONTROL} on every control connection. */
  sendMalformedControl(kind: MalformedControl): void {
    this.sendControlRaw(MALFORMED_CONTROL[kind]);
  }

  /** @internal */
  refusal(kind: "upgrade" | "rest"): Refusal | undefined {
    const refuse = this.#refuse;
    if (!refuse || (kind === "rest" && !refuse.rest)) return undefined;
    if (refuse.left <= 0 || this.#clock.now() > refuse.untilMs) {
      this.#refuse = undefined;
      return undefined;
    }
    refuse.left -= 1;
    const status = refuse.status ?? 503;
    return {
      status,
      body: refuse.body ?? "Service unavailable",
      retryAfterSeconds: refuse.retryAfterSeconds ?? (status === 429 ? 1 : undefined),
    };
  }

  /** @internal */
  takeResponseFault(type: string): ControlResponseFault | undefined {
    const index = this.#responses.findIndex(({ fault }) => !fault.type || fault.type === type);
    const entry = this.#responses[index];
    if (!entry) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#responses.splice(index, 1);
    return entry.fault;
  }

  /** Sends a pushed frame, or what the faults make of it. @internal */
  push(send: () => void): void {
    if (this.#reorderLeft > 0) {
      this.#heldBack.unshift(send);
      this.#reorderLeft -= 1;
      if (this.#reorderLeft > 0) return;
      const all = this.#heldBack;
      this.#heldBack = [];
      for (const held of all) held();
      return;
    }
    send();
    if (this.#duplicates > 0) {
      this.#duplicates -= 1;
      send();
    }
  }
}
