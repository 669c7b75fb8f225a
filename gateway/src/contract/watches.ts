import type {
  WatchCallsRequest,
  WatchCallsResponse,
  WatchContextsRequest,
  WatchContextsResponse,
} from "@callweave/proto";
import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import { invalidField } from "../call/call-error.js";
import type { EventLog, WatchItem } from "../call/event-log.js";
import type { GatewayApi } from "../gateway-api.js";
import type { Credential } from "./authenticator.js";
import { authorizeSomewhere, isNarrowed } from "./authorization.js";
import { clientActor } from "./client-actor.js";
import { fromPbFilter } from "./convert-call.js";
import { toPbContext } from "./convert-context.js";
import { recordDenied } from "./guard.js";
import { narrowedApi } from "./narrowed-api.js";
import { optionalCallId, text } from "./validate.js";
import { EventMessage } from "./watch-wire.js";

/** What a watch yields until the signal aborts, whatever wire it came by. Throws CallError. */
export type Watch<Q, S> = (request: Q, credential: Credential, signal: AbortSignal) => AsyncIterable<S>;

/** The server streams of the contract that follow something; ListenCall has its own writer. */
export interface Watches {
  readonly watchCalls: Watch<WatchCallsRequest, WatchCallsResponse>;
  readonly watchContexts: Watch<WatchContextsRequest, WatchContextsResponse>;
}

/** All watches over the core, behind the rules: one table for every wire. What matters is told to `audit`. */
export function watches(api: GatewayApi, audit: AuditSink = NO_AUDIT): Watches {
  const plain = plainWatches(api);
  const behind = <K extends keyof Watches>(operation: string, method: K): Watches[K] => {
    const watch = (request: never, credential: Credential, signal: AbortSignal) => {
      try {
        authorizeSomewhere(credential, operation);
      } catch (error) {
        recordDenied(audit, operation, credential, "", error);
        throw error;
      }
      if (method === "watchContexts")
        audit.record({
          tenant: credential.tenant,
          kind: "CONTEXT_READ",
          actor: clientActor(credential).name,
          operation,
        });
      const table = isNarrowed(credential, operation) ? plainWatches(narrowedApi(api, credential)) : plain;
      return (table[method] as Watch<never, unknown>)(request, credential, signal);
    };
    return watch as Watches[K];
  };
  return {
    watchCalls: behind("CallService/WatchCalls", "watchCalls"),
    watchContexts: behind("ContextService/WatchContexts", "watchContexts"),
  };
}

/** The same for somebody who may do everything. */
function plainWatches({ events, contexts }: GatewayApi): Watches {
  return {
    watchCalls(request, { tenant }, signal) {
      const { callIds, pools } = fromPbFilter(request.filter);
      const cursor = text("cursor", request.cursor, 0, 1_000);
      const [callId] = callIds;
      if (!request.fromBeginning) return toEvents(events.watch(tenant, cursor, { callIds, pools }, signal));
      if (callId === undefined || callIds.length !== 1 || cursor !== "")
        throw invalidField("from_beginning", "with one call in the filter and no cursor");
      return toEvents(wholeCall(events, tenant, callId, signal));
    },
    async *watchContexts(request, { tenant }, signal) {
      const callId = optionalCallId("call_id", request.callId);
      for await (const one of contexts.watch(tenant, callId, signal))
        yield { context: toPbContext(one, false) };
    },
  };
}

async function* toEvents(items: AsyncIterable<WatchItem>): AsyncIterable<WatchCallsResponse> {
  for await (const item of items) {
    yield "event" in item
      ? new EventMessage(item.event)
      : { item: { $case: "live", value: { cursor: item.live.cursor } } };
  }
}

/** What is stored of a call, then what comes. */
async function* wholeCall(
  events: EventLog,
  tenant: string,
  callId: string,
  signal: AbortSignal,
): AsyncIterable<WatchItem> {
  // The position first: what happens while the history is read is told twice here, and left out below.
  const head = await events.head(tenant);
  let last = 0;
  for (const event of await events.ofCall(tenant, callId, 0)) {
    if (signal.aborted) return;
    last = Math.max(last, event.sequence);
    yield { event };
  }
  for await (const item of events.watch(tenant, head, { callIds: [callId], pools: [] }, signal))
    if (!("event" in item) || item.event.sequence > last || !item.event.durable) yield item;
}
