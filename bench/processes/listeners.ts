/**
 * Observers that hear calls by ListenCall, one call each in turn, each on a connection of its own. Slow ones read the first message
 * and no other: grpc-js reads on for those who read none, and keeps all of it. Argument: the gateway's address.
 */
import { CallServiceClient, ListenCallRequest, type ListenCallResponse } from "@callweave/proto";
import { type ClientReadableStream, credentials } from "@grpc/grpc-js";
import { until } from "../clock.js";
import { answerMain } from "../ipc.js";

/** What they heard since they began. */
export interface ListenReport {
  readonly audio: number;
  readonly gaps: number;
  readonly ended: number;
}

interface Listener {
  readonly client: CallServiceClient;
  readonly stream: ClientReadableStream<ListenCallResponse>;
  /** Has been told that it lost audio. */
  lost: boolean;
}

const [address = ""] = process.argv.slice(2);
let listeners: Listener[] = [];
let started = 0;
const heard = { audio: 0, gaps: 0, ended: 0 };

function listen(callId: string, slow: boolean): Listener {
  const client = new CallServiceClient(address, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
  });
  const stream = client.listenCall(ListenCallRequest.fromPartial({ callId }));
  const listener: Listener = { client, stream, lost: false };
  stream.on("error", (error) => {
    if (!listeners.includes(listener)) return;
    console.error(String(error));
    process.exit(1);
  });
  stream.on("data", ({ item }: ListenCallResponse) => {
    if (item?.$case === "started") {
      started++;
      if (slow) stream.pause();
    } else if (item?.$case === "audio") heard.audio++;
    else if (item?.$case === "gap") {
      heard.gaps++;
      listener.lost = true;
    } else if (item?.$case === "ended") heard.ended++;
  });
  return listener;
}

/** Opens observers; resolves when all have begun. */
async function begin(about: { callIds: string[]; count: number; slow: boolean }): Promise<void> {
  const { callIds, count, slow } = about;
  started = 0;
  Object.assign(heard, { audio: 0, gaps: 0, ended: 0 });
  listeners = Array.from({ length: count }, (_, i) => listen(callIds[i % callIds.length] as string, slow));
  await until(() => started === count, `${count} observers`, 30_000);
}

/** Lets slow observers read on, until each has heard of what it lost; rejects when they have not within 10 s. */
async function readOn(): Promise<void> {
  for (const { stream } of listeners) stream.resume();
  await until(
    () => listeners.every(({ lost }) => lost),
    `gaps of ${listeners.length} slow observers`,
    10_000,
  );
}

function end(): ListenReport {
  const gone = listeners;
  listeners = [];
  for (const { client, stream } of gone) {
    stream.cancel();
    client.close();
  }
  return { ...heard };
}

answerMain({ begin, readOn, end }, null);
