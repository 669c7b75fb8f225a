import type { CallEvent } from "../call/call-events.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { WatchItem } from "../call/event-log.js";

/** The filter that leaves nothing out. */
export const ALL = { callIds: [], pools: [] };

/** A signal of nobody. */
export const never = new AbortController().signal;

/** A call that has just come. */
export const SNAPSHOT: CallSnapshot = {
  tenant: "t",
  callId: "c-1",
  sessionId: "s-1",
  connector: "main",
  direction: "INBOUND",
  caller: "+15550101",
  callee: "+15550100",
  rawCaller: "+15550101",
  rawCallee: "+15550100",
  pool: "p",
  locale: "en",
  state: "PENDING",
  seat: { state: "VACANT", agentId: "", instanceId: "", epoch: 0, attempt: 0 },
  sampleRateHz: 8000,
  playback: { queuedMs: 0, unheardAtProviderMs: 0, playedMs: 0 },
  createTime: new Date(0),
  gatewayId: "g-1",
  lastEventSequence: 0,
};

/** An event of a call, for tests. */
export function event(sequence: number, over: Partial<CallEvent> = {}): CallEvent {
  return {
    tenant: "t",
    callId: "c-1",
    pool: "p",
    sequence,
    ownerEpoch: 1,
    time: new Date(0),
    position: 0,
    body: { type: "answered" },
    ...over,
  };
}

/** Reads a number of items, then leaves. */
export async function take(items: AsyncIterable<WatchItem>, count: number): Promise<WatchItem[]> {
  const taken: WatchItem[] = [];
  if (count > 0) for await (const item of items) if (taken.push(item) === count) break;
  return taken;
}

/** A watched item in short: the call and the number of the event, with a mark when it is not durable; or that the past is over. */
export function label(item: WatchItem): string {
  if ("live" in item) return "live";
  const { callId, sequence, durable } = item.event;
  return `${callId}/${sequence}${durable ? "" : "!"}`;
}
