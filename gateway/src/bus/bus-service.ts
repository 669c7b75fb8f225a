import { randomBytes } from "node:crypto";
import type { Bus, BusEndpoint, BusMessage, BusSubscription } from "./bus.js";
import { isInbox } from "./subjects.js";

const ROOT = "$SRV";
const TYPE = "io.nats.micro.v1";

/** Requests of one endpoint that may be under way; further ones are answered at once with code 429. */
const MAX_CONCURRENT = 1000;

interface Counters {
  running: number;
  requests: number;
  errors: number;
  lastError: string;
  processingNs: number;
}

/**
 * Serves endpoints as a NATS service by ADR-32: any tool finds it by $SRV.PING, .INFO and .STATS. Several instances of
 * one name share the requests.
 */
export function startService(
  bus: Pick<Bus, "subscribe">,
  about: { readonly name: string; readonly version: string; readonly description: string },
  endpoints: readonly BusEndpoint[],
): BusSubscription {
  const identity = {
    name: about.name,
    id: randomBytes(11).toString("hex"),
    version: about.version,
    metadata: {},
  };
  const started = new Date().toISOString();
  const served = endpoints.map((endpoint) => {
    const counters: Counters = { running: 0, requests: 0, errors: 0, lastError: "", processingNs: 0 };
    const subscription = bus.subscribe(endpoint.subject, (message) => serve(endpoint, message, counters), {
      queue: "q",
    });
    return { endpoint, counters, subscription };
  });
  const pages = {
    PING: () => ({ type: `${TYPE}.ping_response`, ...identity }),
    INFO: () => ({
      type: `${TYPE}.info_response`,
      ...identity,
      description: about.description,
      endpoints: served.map(({ endpoint: { name, subject, metadata = {} } }) => ({
        name,
        subject,
        queue_group: "q",
        metadata,
      })),
    }),
    STATS: () => ({
      type: `${TYPE}.stats_response`,
      ...identity,
      started,
      endpoints: served.map(({ endpoint: { name, subject }, counters }) => ({
        name,
        subject,
        queue_group: "q",
        num_requests: counters.requests,
        num_errors: counters.errors,
        last_error: counters.lastError,
        processing_time: counters.processingNs,
        average_processing_time:
          counters.requests === 0 ? 0 : Math.round(counters.processingNs / counters.requests),
      })),
    }),
  };
  const monitors = Object.entries(pages).flatMap(([verb, page]) =>
    ["", `.${identity.name}`, `.${identity.name}.${identity.id}`].map((suffix) =>
      bus.subscribe(`${ROOT}.${verb}${suffix}`, (message) => {
        if (isInbox(message.reply)) message.respond(Buffer.from(JSON.stringify(page())));
      }),
    ),
  );
  return {
    stop() {
      for (const { subscription } of served) subscription.stop();
      for (const subscription of monitors) subscription.stop();
    },
  };
}

// Not awaited by the subscription: an endpoint that takes long must not hold up the requests after it.
function serve(endpoint: BusEndpoint, message: BusMessage, counters: Counters): void {
  const began = performance.now();
  counters.requests++;
  const failed = (description: string) => {
    counters.errors++;
    counters.lastError = description;
  };
  const counted: BusMessage = {
    ...message,
    respond(data, headers) {
      if (!isInbox(message.reply)) return;
      if (headers?.["Nats-Service-Error-Code"])
        failed(`${headers["Nats-Service-Error-Code"]}:${headers["Nats-Service-Error"] ?? ""}`);
      message.respond(data, headers);
    },
  };
  if (counters.running >= MAX_CONCURRENT) {
    refuse(counted, "too many requests", 429);
    return;
  }
  counters.running++;
  void (async () => {
    try {
      await endpoint.handler(counted);
    } catch {
      // What went wrong inside is no business of the one who asked.
      refuse(counted, "internal error", 500);
    }
    counters.running--;
    counters.processingNs += Math.round((performance.now() - began) * 1e6);
  })();
}

function refuse(message: BusMessage, description: string, code: number): void {
  message.respond(new Uint8Array(), {
    "Nats-Service-Error": description,
    "Nats-Service-Error-Code": String(code),
  });
}
