import type { CallContext } from "callweave";
import { MongoClient } from "mongodb";
import { DeliverPolicy, type NatsConnection } from "nats";
import type { ContextView, LoggedEvent, LoggedSeat } from "./evidence.js";

const EVENT_STREAM = "CALLWEAVE_EVENTS";
const CONTEXT_COLLECTION = "call_contexts";

/** The last number in the stream of events. */
export async function lastInLog(nats: NatsConnection): Promise<number> {
  const manager = await nats.jetstreamManager();
  return (await manager.streams.info(EVENT_STREAM)).state.last_seq;
}

/** Reads the event log from `after` on to its present end, by a consumer of its own: nothing of a gateway is in between. */
export async function readLog(
  nats: NatsConnection,
  after: number,
  toRoundMs: (time: Date) => number,
): Promise<LoggedEvent[]> {
  const last = await lastInLog(nats);
  if (last <= after) return [];
  const consumer = await nats.jetstream().consumers.get(EVENT_STREAM, {
    filterSubjects: "callweave.default.calls.*.events",
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: after + 1,
  });
  const events: LoggedEvent[] = [];
  const messages = await consumer.consume();
  for await (const message of messages) {
    events.push(eventOf(message.json(), toRoundMs));
    if (message.seq >= last || message.info.pending === 0) break;
  }
  await messages.close();
  return events;
}

interface EventJson {
  readonly callId: string;
  readonly sequence: string | number;
  readonly time: string;
  readonly [type: string]: unknown;
}

const ENVELOPE = new Set([
  "callId",
  "sequence",
  "time",
  "cursor",
  "durable",
  "position",
  "pool",
  "ownerEpoch",
]);

/** An event of the log as it is published: protobuf JSON. */
export function eventOf(json: EventJson, toRoundMs: (time: Date) => number): LoggedEvent {
  const type = Object.keys(json).find((key) => !ENVELOPE.has(key)) ?? "";
  const body = (json[type] ?? {}) as {
    call?: { gatewayId?: string };
    gatewayId?: string;
    seat?: { state?: string; agentId?: string; instanceId?: string; epoch?: string | number };
    cause?: string;
    verb?: string;
  };
  const gatewayId = body.call?.gatewayId ?? body.gatewayId;
  const holder = body.seat?.state === "SEAT_STATE_HELD" ? body.seat.agentId : undefined;
  return {
    callId: json.callId,
    sequence: Number(json.sequence),
    type,
    atMs: toRoundMs(new Date(json.time)),
    ...(gatewayId !== undefined && (type === "arrived" || type === "takenOver") ? { gatewayId } : {}),
    ...(holder !== undefined ? { holder } : {}),
    ...(body.verb !== undefined ? { verb: body.verb } : {}),
    ...(type === "seatChanged" ? { seat: seatOf(body) } : {}),
  };
}

function seatOf({
  seat = {},
  cause = "",
}: {
  seat?: { state?: string; agentId?: string; instanceId?: string; epoch?: string | number };
  cause?: string;
}): LoggedSeat {
  const { state = "", agentId = "", instanceId = "", epoch = 0 } = seat;
  return {
    state: state.replace("SEAT_STATE_", ""),
    cause: cause.replace("SEAT_CAUSE_", ""),
    epoch: Number(epoch),
    agentId,
    instanceId,
  };
}

/** A context as the API gives it. */
export function viewOf(context: CallContext): ContextView {
  const { callId, caller, callee, turns, summary = "", escalationReason } = context;
  return {
    callId,
    caller,
    callee,
    turns: turns.map(({ id = "", role, text }) => ({ id, role, text })),
    summary,
    reason: escalationReason ?? "",
  };
}

interface StoredDocument {
  readonly call_id: string;
  readonly caller: string;
  readonly callee: string;
  readonly summary: string;
  readonly escalation_reason?: string;
  readonly turns?: ReadonlyArray<{ readonly id: string; readonly role: string; readonly text: string }>;
}

/** The documents of the database, of all calls or of these, read by MongoDB's own driver. */
export async function readDatabase(url: string, callIds?: readonly string[]): Promise<ContextView[]> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 2_000, socketTimeoutMS: 5_000 });
  try {
    const found = await client
      .db()
      .collection<StoredDocument>(CONTEXT_COLLECTION)
      .find(callIds ? { call_id: { $in: [...callIds] } } : {})
      .toArray();
    return found.map(({ call_id, caller, callee, summary, escalation_reason, turns = [] }) => ({
      callId: call_id,
      caller,
      callee,
      turns: turns.map(({ id, role, text }) => ({ id, role, text })),
      summary,
      reason: escalation_reason ?? "",
    }));
  } finally {
    await client.close();
  }
}
