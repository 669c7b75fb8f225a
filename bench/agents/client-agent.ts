/**
 * An agent on the client library for TypeScript, as its readers would write it: says back what it hears call by call, a chunk at a
 * time, with a mark each second of each call. Arguments: the gateway's address, how many calls it takes, how many streams it may open.
 * Can be told to say a whole answer instead, and to interrupt it.
 */
import { agent, type Call } from "callweave";
import { machineMs, sleep, until } from "../clock.js";
import { FRAME_BYTES, SAMPLE_RATE_HZ, stampAgent } from "../frame.js";
import { answerMain } from "../ipc.js";
import type { AgentCounters, ClearTimes } from "../processes/echo-agent.js";

const FRAMES_PER_MARK = 50;

const [address = "", capacity = "1", streams = "1"] = process.argv.slice(2);
const calls = new Map<string, Call>();
const speaking = new Set<string>();
const counters: AgentCounters = {
  marksSet: 0,
  marksPlayed: 0,
  refused: 0,
  lastRefusal: "",
  gaps: 0,
  oddFrames: 0,
};

async function echo(call: Call): Promise<void> {
  calls.set(call.id, call);
  let frames = 0;
  for await (const chunk of call.audio()) {
    const inMs = machineMs();
    if (!chunk.pcm) {
      counters.gaps++;
      continue;
    }
    if (speaking.has(call.id)) continue;
    const { pcm } = chunk;
    if (pcm.length % FRAME_BYTES !== 0) counters.oddFrames++;
    else for (let at = 0; at < pcm.length; at += FRAME_BYTES) stampAgent(pcm, at, inMs, machineMs());
    await call.play(pcm);
    if (++frames % FRAMES_PER_MARK === 0) mark(call);
  }
}

function mark(call: Call): void {
  counters.marksSet++;
  call.mark().then(
    () => counters.marksPlayed++,
    () => {},
  );
}

function callOf(callId: string): Call {
  const call = calls.get(callId);
  if (!call) throw new Error(`not assigned: ${callId}`);
  return call;
}

/** Begins a whole answer in each call, `apartMs` after each other. */
async function speak(about: { callIds: string[]; seconds: number; apartMs: number }): Promise<void> {
  const whole = Buffer.alloc(about.seconds * SAMPLE_RATE_HZ * 2, 1);
  for (const callId of about.callIds) {
    speaking.add(callId);
    callOf(callId).play(whole).catch(failed);
    await sleep(about.apartMs);
  }
}

/** Interrupts each call, `apartMs` after each other. */
async function clear({ callIds, apartMs }: { callIds: string[]; apartMs: number }): Promise<ClearTimes[]> {
  const clears: Promise<ClearTimes>[] = [];
  for (const callId of callIds) {
    const sentMs = machineMs();
    const cleared = callOf(callId).clear();
    clears.push(cleared.then(({ droppedMs }) => ({ callId, sentMs, answeredMs: machineMs(), droppedMs })));
    await sleep(apartMs);
  }
  return Promise.all(clears);
}

function failed(error: unknown): void {
  counters.refused++;
  counters.lastRefusal = String(error);
}

const worker = agent(
  {
    endpoint: address,
    agentId: "bench-client",
    capacity: Number(capacity),
    maxStreams: Number(streams),
    callsPerStream: Math.max(1, Math.floor(Number(capacity) / Number(streams))),
    whenHandlerReturns: "keep",
    audioFormat: { sampleRateHertz: SAMPLE_RATE_HZ },
    onError: failed,
  },
  echo,
);
await worker.start();
answerMain(
  {
    counters: () => counters,
    speak,
    clear,
    waitFor: ({ callIds }: { callIds: string[] }) =>
      until(() => callIds.every((id) => calls.has(id)), "the calls of the agent", 10_000).then(() => true),
  },
  null,
);
