/**
 * The agent behind the gateway: generated stubs and grpc-js, or the NATS library, alone. Takes every offer, says back what it hears call by
 * call, sets a mark each second of each call and sends heartbeats. Arguments: the address of the gateway or of NATS, the capacity,
 * the number of streams, and "each" (an answer is a message of its own, as from independent conversations) or
 * "together" (the answers to one message are one message).
 */
import {
  type AgentItem,
  AgentServiceClient,
  type Assigned,
  type GatewayItem,
  Register,
  type ServeResponse,
} from "@callweave/proto";
import { credentials } from "@grpc/grpc-js";
import { machineMs, sleep, until } from "../clock.js";
import { FRAME_BYTES, SAMPLE_RATE_HZ, stampAgent } from "../frame.js";
import { answerMain } from "../ipc.js";
import { openNatsStream, type AgentStream as Stream } from "./nats-stream.js";

type Item = NonNullable<GatewayItem["item"]>;

/** When a call made its steps, in machine ms; 0: not yet. */
export interface CallTimes {
  offerMs: number;
  assignedMs: number;
  answeredMs: number;
}

/** One ClearPlayback. */
export interface ClearTimes {
  readonly callId: string;
  readonly sentMs: number;
  /** When PlaybackCleared came. */
  readonly answeredMs: number;
  /** What the gateway still had, in ms of audio. */
  readonly droppedMs: number;
}

/** What went wrong or was counted. */
export interface AgentCounters {
  marksSet: number;
  marksPlayed: number;
  refused: number;
  lastRefusal: string;
  gaps: number;
  oddFrames: number;
}

interface AgentCall {
  readonly callId: string;
  readonly stream: Stream;
  readonly handle: number;
  frames: number;
  speaking: boolean;
  clearedMs: number;
  droppedMs: number;
}

const FRAMES_PER_MARK = 50;
/** Audio of one item of speech: half a second. */
const SPEECH_ITEM_BYTES = SAMPLE_RATE_HZ;

const [address = "", capacity = "1", streamCount = "1", answers = "each"] = process.argv.slice(2);
const together = answers === "together";
const times = new Map<string, CallTimes>();
const calls = new Map<string, AgentCall>();
const byStream = new Map<Stream, Map<number, AgentCall>>();
const counters: AgentCounters = {
  marksSet: 0,
  marksPlayed: 0,
  refused: 0,
  lastRefusal: "",
  gaps: 0,
  oddFrames: 0,
};
let registrations = 0;
/** Says nothing back. */
let silent = false;
let token = "";

function open(): Stream {
  const client = new AgentServiceClient(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc-node.flow_control_window": 1 << 20,
  });
  const stream = client.serve();
  byStream.set(stream, new Map());
  stream.on("data", (message: ServeResponse) => receive(stream, message));
  stream.on("error", (error) => {
    console.error(String(error));
    process.exit(1);
  });
  return stream;
}

function send(stream: Stream, ...items: AgentItem[]): void {
  stream.write({ items });
}

function receive(stream: Stream, { items }: ServeResponse): void {
  const inMs = machineMs();
  const out: AgentItem[] = [];
  for (const { item } of items) {
    if (item?.$case !== "audio") {
      if (item) control(stream, item, inMs);
      continue;
    }
    const { handle, pcm } = item.value;
    const call = byStream.get(stream)?.get(handle);
    if (!call || call.speaking || silent) continue;
    if (pcm.length === FRAME_BYTES) stampAgent(pcm, 0, inMs, machineMs());
    else counters.oddFrames++;
    out.push({ item: { $case: "audio", value: { handle, pcm } } });
    if (++call.frames % FRAMES_PER_MARK === 0) {
      counters.marksSet++;
      out.push({ item: { $case: "mark", value: { handle, name: "second" } } });
    }
    if (!together) send(stream, ...out.splice(0));
  }
  if (out.length > 0) send(stream, ...out);
}

function control(stream: Stream, item: Item, nowMs: number): void {
  switch (item.$case) {
    case "registered":
      registrations++;
      token = item.value.sessionToken;
      break;
    case "offer": {
      const callId = item.value.call?.callId ?? "";
      times.set(callId, { offerMs: nowMs, assignedMs: 0, answeredMs: 0 });
      send(stream, { item: { $case: "accept", value: { offerId: item.value.offerId } } });
      break;
    }
    case "assigned":
      assigned(stream, item.value, nowMs);
      break;
    case "callEvent": {
      const known = times.get(item.value.callId);
      if (item.value.event?.$case === "answered" && known) known.answeredMs = nowMs;
      break;
    }
    case "unassigned":
      byStream.get(stream)?.delete(item.value.handle);
      calls.delete(item.value.callId);
      break;
    case "markReached":
      counters.marksPlayed++;
      break;
    case "playbackCleared": {
      const call = byStream.get(stream)?.get(item.value.handle);
      if (!call) break;
      call.clearedMs = nowMs;
      const { seconds = 0, nanos = 0 } = item.value.droppedLocal ?? {};
      call.droppedMs = Number(seconds) * 1000 + nanos / 1e6;
      break;
    }
    case "itemRefused":
      counters.refused++;
      counters.lastRefusal = `${item.value.item}: ${item.value.error?.message ?? ""}`;
      break;
    case "audioGap":
      counters.gaps++;
      break;
  }
}

function assigned(stream: Stream, { call, handle }: Assigned, nowMs: number): void {
  const callId = call?.callId ?? "";
  const known = times.get(callId);
  if (known) known.assignedMs = nowMs;
  const seat = { callId, stream, handle, frames: 0, speaking: false, clearedMs: 0, droppedMs: 0 };
  calls.set(callId, seat);
  byStream.get(stream)?.set(handle, seat);
}

function callOf(callId: string): AgentCall {
  const call = calls.get(callId);
  if (!call) throw new Error(`not assigned: ${callId}`);
  return call;
}

/** Instead of echoing: this many seconds of speech, all at once. */
function speak({ callIds, seconds }: { callIds: string[]; seconds: number }): void {
  const pcm = Buffer.alloc(SPEECH_ITEM_BYTES, 1);
  for (const callId of callIds) {
    const { stream, handle } = callOf(callId);
    callOf(callId).speaking = true;
    for (let bytes = 0; bytes < seconds * SAMPLE_RATE_HZ * 2; bytes += pcm.length)
      send(stream, { item: { $case: "audio", value: { handle, pcm } } });
  }
}

/** Interrupts, one call after the other. */
async function clear({ callIds }: { callIds: string[] }): Promise<ClearTimes[]> {
  const sent = new Map<string, number>();
  for (const callId of callIds) {
    const { stream, handle } = callOf(callId);
    callOf(callId).clearedMs = 0;
    sent.set(callId, machineMs());
    send(stream, { item: { $case: "clearPlayback", value: { handle } } });
    await sleep(7);
  }
  await until(() => callIds.every((id) => callOf(id).clearedMs > 0), "PlaybackCleared of every call", 5_000);
  return callIds.map((callId) => ({
    callId,
    sentMs: sent.get(callId) ?? 0,
    answeredMs: callOf(callId).clearedMs,
    droppedMs: callOf(callId).droppedMs,
  }));
}

const register = Register.fromPartial({
  agentId: "bench-echo",
  capacity: Number(capacity),
  answerOnAccept: true,
  heartbeat: true,
});

async function openFirst(): Promise<Stream> {
  if (address.startsWith("nats:")) {
    const stream = await openNatsStream(address, register, (from, message) => {
      if (!byStream.has(from)) byStream.set(from, new Map());
      receive(from, message);
    });
    byStream.set(stream, byStream.get(stream) ?? new Map());
    return stream;
  }
  const stream = open();
  send(stream, { item: { $case: "register", value: register } });
  return stream;
}

const first = await openFirst();
await until(() => registrations === 1, "Registered", 10_000);
for (let i = 1; i < Number(streamCount); i++) {
  send(open(), { item: { $case: "join", value: { sessionToken: token } } });
}
await until(() => registrations === Number(streamCount), "Registered on every stream", 10_000);
setInterval(() => send(first, { item: { $case: "heartbeat", value: { load: 0 } } }), 500);
answerMain(
  {
    times: ({ callIds }: { callIds: string[] }) => callIds.map((id) => times.get(id)),
    counters: () => counters,
    silent: ({ on }: { on: boolean }) => {
      silent = on;
    },
    speak,
    clear,
  },
  null,
);
