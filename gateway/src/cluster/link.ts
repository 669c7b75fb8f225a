import { type Bus, BusError, type BusMessage, type BusSubscription, encodeToken } from "../bus/bus.js";
import { CallError } from "../call/call-error.js";
import { packError, unpackError } from "../events/event-codec.js";
import type { Logger } from "../util/logger.js";
import { isObject, parseTagged, stringifyTagged } from "../util/tagged-json.js";

/** Questions among gateways, one to one. Bodies are tagged JSON: plain data, Date and CallError. */
export interface Link {
  /** Asks a gateway. Rejects with what its handler threw, or CALL_OWNER_AWAY {gateway_id} when it does not answer. */
  request(gatewayId: string, method: string, body: unknown, timeoutMs?: number): Promise<unknown>;
  /** Answers questions of others. */
  handle(method: string, handler: (body: unknown, fromGatewayId: string) => Promise<unknown>): void;
}

/** Options of the link. */
export interface LinkOptions {
  /** How long an answer is waited for. Default 2,000. */
  readonly timeoutMs: number;
  /** Questions of others under way at a time; beyond it LIMIT_REACHED. Default 2,000. */
  readonly maxInFlight: number;
}

const FROM = "Callweave-Gateway";

/** The subjects on which a gateway is asked. Only gateways may use them. */
export function linkSubject(gatewayId: string, method: string): string {
  return `callweave._gw.${encodeToken(gatewayId)}.ask.${method}`;
}

/** A link over the bus. */
export class BusLink implements Link {
  private readonly handlers = new Map<string, (body: unknown, from: string) => Promise<unknown>>();
  private subscription: BusSubscription | undefined;
  private inFlight = 0;

  constructor(
    private readonly bus: Bus,
    private readonly gatewayId: string,
    private readonly logger: Logger,
    private readonly options: LinkOptions,
  ) {}

  start(): void {
    this.subscription = this.bus.subscribe(linkSubject(this.gatewayId, "*"), (message) => {
      void this.answer(message);
    });
  }

  stop(): void {
    this.subscription?.stop();
  }

  handle(method: string, handler: (body: unknown, from: string) => Promise<unknown>): void {
    this.handlers.set(method, handler);
  }

  async request(gatewayId: string, method: string, body: unknown, timeoutMs?: number): Promise<unknown> {
    let reply: BusMessage;
    try {
      reply = await this.bus.request(linkSubject(gatewayId, method), encode({ body }), {
        timeoutMs: timeoutMs ?? this.options.timeoutMs,
        headers: { [FROM]: this.gatewayId },
      });
    } catch (error) {
      const kind = error instanceof BusError ? error.kind : "failed";
      throw new CallError(
        "CALL_OWNER_AWAY",
        `gateway ${gatewayId} did not answer (${kind})`,
        { gateway_id: gatewayId },
        { cause: error },
      );
    }
    const answer = decode(reply.data);
    if (answer.error instanceof CallError) throw answer.error;
    return answer.body;
  }

  private async answer(message: BusMessage): Promise<void> {
    const method = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    const handler = this.handlers.get(method);
    if (!handler) {
      message.respond(encode({ error: new CallError("INTERNAL", `no such question: ${method}`) }));
      return;
    }
    if (this.inFlight >= this.options.maxInFlight) {
      const max = String(this.options.maxInFlight);
      const error = new CallError("LIMIT_REACHED", "too many questions of other gateways at a time", {
        limit: "max_link_requests",
        max,
      });
      message.respond(encode({ error }));
      return;
    }
    this.inFlight++;
    try {
      const body = await handler(decode(message.data).body, message.headers[FROM] ?? "");
      message.respond(encode({ body }));
    } catch (error) {
      if (!(error instanceof CallError))
        this.logger.error({ err: error, method }, "a question of a gateway failed");
      message.respond(encode({ error: CallError.from(error) }));
    } finally {
      this.inFlight--;
    }
  }
}

function encode(value: { body?: unknown; error?: CallError }): Uint8Array {
  return Buffer.from(stringifyTagged(value, packError));
}

function decode(data: Uint8Array): { readonly body?: unknown; readonly error?: unknown } {
  const value = parseTagged(Buffer.from(data).toString(), unpackError);
  return isObject(value) ? value : {};
}
