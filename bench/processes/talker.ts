/**
 * An agent that talks, with the client library: a whole answer handed over at once, or word by word as a voice is made.
 * Arguments: the gateway's address, how many calls it takes.
 */
import { agent, type Call } from "callweave";
import { machineMs, sleep, until } from "../clock.js";
import { FRAME_BYTES, FRAME_MS, SAMPLE_RATE_HZ } from "../frame.js";
import { answerMain } from "../ipc.js";
import type { ClearTimes } from "./echo-agent.js";

/** How an answer is handed to the library. */
export type Manner = "paced" | "whole";

const [address = "", capacity = "1"] = process.argv.slice(2);
const calls = new Map<string, Call>();
const speaking = new Set<string>();
const FRAME = Buffer.alloc(FRAME_BYTES, 1);

async function* paced(callId: string): AsyncIterable<Buffer> {
  const startMs = machineMs();
  for (let sent = 0; speaking.has(callId); sent++) {
    await sleep(Math.max(0, startMs + sent * FRAME_MS - machineMs()));
    yield FRAME;
  }
}

function callOf(callId: string): Call {
  const call = calls.get(callId);
  if (!call) throw new Error(`not assigned: ${callId}`);
  return call;
}

/** Begins an answer in each call, `apartMs` after each other. */
async function speak(about: {
  callIds: string[];
  manner: Manner;
  seconds: number;
  apartMs: number;
}): Promise<void> {
  const whole = Buffer.alloc(about.seconds * SAMPLE_RATE_HZ * 2, 1);
  for (const callId of about.callIds) {
    speaking.add(callId);
    callOf(callId)
      .play(about.manner === "whole" ? whole : paced(callId))
      .catch((error: unknown) => {
        console.error(String(error));
        process.exit(1);
      });
    await sleep(about.apartMs);
  }
}

/** Interrupts each call, `apartMs` after each other. */
async function clear({ callIds, apartMs }: { callIds: string[]; apartMs: number }): Promise<ClearTimes[]> {
  const clears: Promise<ClearTimes>[] = [];
  for (const callId of callIds) {
    const sentMs = machineMs();
    const cleared = callOf(callId).clear();
    speaking.delete(callId);
    clears.push(cleared.then(({ droppedMs }) => ({ callId, sentMs, answeredMs: machineMs(), droppedMs })));
    await sleep(apartMs);
  }
  return Promise.all(clears);
}

const worker = agent(
  {
    endpoint: address,
    agentId: "bench-talker",
    capacity: Number(capacity),
    whenHandlerReturns: "keep",
    audioFormat: { sampleRateHertz: SAMPLE_RATE_HZ },
  },
  async (call) => {
    calls.set(call.id, call);
    for await (const _ of call.audio());
  },
);
await worker.start();
answerMain(
  {
    speak,
    clear,
    waitFor: ({ callIds }: { callIds: string[] }) =>
      until(() => callIds.every((id) => calls.has(id)), "the calls of the talker", 10_000).then(() => true),
  },
  null,
);
