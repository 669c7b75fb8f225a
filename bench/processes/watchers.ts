/**
 * Reads the events of all calls, each watcher on a connection of its own. The first reads what they say; of the others only
 * the number is counted, so that this process does not limit what it measures. Argument: the gateway's address.
 */
import {
  CallServiceClient,
  CallState,
  ListCallsRequest,
  WatchCallsRequest,
  WatchCallsResponse,
} from "@callweave/proto";
import { type ClientReadableStream, credentials } from "@grpc/grpc-js";
import { machineMs, until } from "../clock.js";
import { Samples, type Spread } from "../figures.js";
import { answerMain } from "../ipc.js";

/** What the watchers got since they began. */
export interface WatchReport {
  readonly watchers: number;
  /** Of the first watcher. */
  readonly events: number;
  /** Of the one that got least and most. */
  readonly fewest: number;
  readonly most: number;
  /** Places at which the numbers of a call's events do not follow each other. */
  readonly breaks: number;
  /** Calls of which the end was told. */
  readonly ended: number;
  /** From the event, by the wall clock, to here. ms. */
  readonly delayMs: Spread;
}

/** The past, read at once. */
export interface ReplayReport {
  readonly events: number;
  readonly seconds: number;
}

interface Watcher {
  readonly client: CallServiceClient;
  readonly stream: ClientReadableStream<unknown>;
  events: number;
  live: boolean;
}

const [address = ""] = process.argv.slice(2);
const METHOD = "/callweave.v1.CallService/WatchCalls";
const READY_TIMEOUT_MS = 30_000;
/** A message that says no more than that the past is over has no event. */
const EVENT_TAG = 10;

let watchers: Watcher[] = [];
let breaks = 0;
let ended = 0;
const sequences = new Map<string, number>();
const delays = new Samples();

function open(): CallServiceClient {
  return new CallServiceClient(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
  });
}

function read(message: WatchCallsResponse): void {
  if (message.item?.$case !== "event") return;
  const { callId, sequence, time, event } = message.item.value;
  const number = Number(sequence);
  const before = sequences.get(callId);
  if (before !== undefined && number !== before + 1) breaks++;
  sequences.set(callId, number);
  if (event?.$case === "ended") {
    ended++;
    sequences.delete(callId);
  }
  if (time) delays.add(Math.max(0, Date.now() - (time.seconds * 1000 + time.nanos / 1e6)));
}

function watch(index: number): Watcher {
  const client = open();
  const request = WatchCallsRequest.fromPartial({});
  const encode = (value: WatchCallsRequest) => Buffer.from(WatchCallsRequest.encode(value).finish());
  const stream: ClientReadableStream<unknown> = client.makeServerStreamRequest<WatchCallsRequest, Buffer>(
    METHOD,
    encode,
    (bytes) => bytes,
    request,
  );
  const watcher: Watcher = { client, stream, events: 0, live: false };
  stream.on("data", (bytes: Buffer) => {
    if (bytes[0] === EVENT_TAG) watcher.events++;
    else watcher.live = true;
    if (index === 0) read(WatchCallsResponse.decode(bytes));
  });
  stream.on("error", (error: Error) => {
    if (!watchers.includes(watcher)) return;
    console.error(String(error));
    process.exit(1);
  });
  return watcher;
}

/** Opens watchers; resolves when all are live. */
async function begin({ count }: { count: number }): Promise<void> {
  breaks = 0;
  ended = 0;
  sequences.clear();
  delays.clear();
  watchers = Array.from({ length: count }, (_, index) => watch(index));
  await until(() => watchers.every(({ live }) => live), `${count} live watchers`, READY_TIMEOUT_MS);
}

/** Closes them and tells what they got. */
function end(): WatchReport {
  const counts = watchers.map(({ events }) => events);
  const gone = watchers;
  watchers = [];
  for (const { client, stream } of gone) {
    stream.cancel();
    client.close();
  }
  return {
    watchers: gone.length,
    events: counts[0] ?? 0,
    fewest: counts.length > 0 ? Math.min(...counts) : 0,
    most: Math.max(0, ...counts),
    breaks,
    ended,
    delayMs: delays.spread(),
  };
}

/** The calls that are not over at the gateway, at most 100, and where its events are. */
function list(): Promise<{ calls: number; cursor: string }> {
  const client = open();
  return new Promise((resolve, reject) => {
    const states = [CallState.PENDING, CallState.ANSWERED, CallState.CONNECTED];
    client.listCalls(ListCallsRequest.fromPartial({ filter: { states } }), (error, answer) => {
      client.close();
      if (answer) resolve({ calls: answer.calls.length, cursor: answer.cursor });
      else reject(error);
    });
  });
}

/** Reads everything since a cursor, as fast as it comes. */
function replay({ from }: { from: string }): Promise<ReplayReport> {
  const client = open();
  const startMs = machineMs();
  let events = 0;
  return new Promise((resolve, reject) => {
    const stream = client.watchCalls(WatchCallsRequest.fromPartial({ cursor: from }));
    stream.on("error", reject);
    stream.on("data", ({ item }: WatchCallsResponse) => {
      if (item?.$case === "event") events++;
      if (item?.$case !== "live") return;
      resolve({ events, seconds: (machineMs() - startMs) / 1000 });
      stream.cancel();
      client.close();
    });
  });
}

answerMain({ begin, end, list, replay, counts: () => watchers.map(({ events }) => events) }, null);
