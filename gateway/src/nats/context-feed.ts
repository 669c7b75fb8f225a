import { CallContext as PbContextCodec } from "@callweave/proto";
import type { Bus, BusMessage, BusSubscription } from "../bus/bus.js";
import { contextSubject } from "../bus/subjects.js";
import type { CallContext } from "../context/context-types.js";
import { toPbContext } from "../contract/convert-context.js";
import { contextHeaderFromPb } from "../contract/from-pb-context.js";
import { outwardContext } from "../contract/outward-context.js";
import type { Logger } from "../util/logger.js";
import { contentHeaders, type Encoding, encodingOf, HEADERS, header, Message } from "./messages.js";
import { ALL_CONTEXTS, parseContextSubject } from "./wire-subjects.js";

/** Options of the publication of contexts. */
export interface ContextFeedOptions {
  readonly gatewayId: string;
  /** Default "json". */
  readonly encoding?: Encoding;
  /** Bytes of words, about; beyond it the oldest turns are left out and `truncated` is set. Default 32 KiB. */
  readonly maxBytes?: number;
}

const CONTEXT = new Message("CallContext", PbContextCodec);

/**
 * Every written context on callweave.<tenant>.contexts.<call id>, for anybody who listens and for the watchers of other
 * gateways. At most once: while NATS is away nothing is published, and the store is what holds.
 */
export class ContextFeed {
  /** Published, and not published because the bus was away or refused. */
  published = 0;
  missed = 0;
  private subscription: BusSubscription | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly options: ContextFeedOptions,
    private readonly logger: Logger,
  ) {}

  /** A context was written here. Never throws: a context that cannot be published is none the worse saved. */
  readonly publish = (context: CallContext): void => {
    const { encoding = "json", maxBytes = 32_768, gatewayId } = this.options;
    try {
      const data = CONTEXT.encode(encoding, toPbContext(outwardContext(context, maxBytes), true));
      const headers = { ...contentHeaders(encoding), [HEADERS.gateway]: gatewayId };
      if (this.bus.publish(contextSubject(context.tenant, context.callId), data, { headers }))
        this.published++;
      else this.missed++;
    } catch (error) {
      this.missed++;
      this.logger.error({ err: String(error) }, "context not published");
    }
  };

  /** Tells `writtenElsewhere` of what other gateways publish; without turns. */
  start(writtenElsewhere: (context: CallContext) => void): void {
    this.subscription = this.bus.subscribe(ALL_CONTEXTS, (message) => {
      if (header(message.headers, HEADERS.gateway) === this.options.gatewayId) return;
      const context = this.read(message);
      if (context) writtenElsewhere(context);
    });
  }

  /** Listens no more. */
  stop(): void {
    this.subscription?.stop();
  }

  private read(message: BusMessage): CallContext | undefined {
    try {
      const about = parseContextSubject(message.subject);
      if (!about) return undefined;
      const pb = CONTEXT.decode(encodingOf(message.headers), message.data, this.bus.maxPayloadBytes);
      return pb.callId === about.callId ? contextHeaderFromPb(pb, about.tenant) : undefined;
    } catch (error) {
      this.logger.warn({ err: String(error) }, "a context on NATS cannot be read");
      return undefined;
    }
  }
}
