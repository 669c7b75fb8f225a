import { type SimCall, silenceGaps } from "@callweave/simulator";
import { agent, connect, type Worker } from "callweave";
import { endlessTone } from "../../test/harness/audio.js";
import { type GatewayProcess, TestCluster } from "../../test/harness/cluster.js";
import { until } from "../../test/harness/until.js";
import { Callers } from "../callers.js";
import { sleep } from "../clock.js";
import { type Spread, spreadOf } from "../figures.js";

/** What the rolling restart gives. Measures in ms. */
export interface RollingResult {
  readonly ok: boolean;
  /** Calls that are up at any time. */
  readonly calls: number;
  readonly callsInAll: number;
  readonly gatewaysRestarted: number;
  /** Calls that ended otherwise than by their caller. */
  readonly dropped: number;
  /** Calls that no agent talked in. */
  readonly unanswered: number;
  /** Until the caller heard the agent. */
  readonly answeredMs: Spread;
  /** The longest silence of each caller while the agent talks. */
  readonly silenceMs: Spread;
  readonly seconds: number;
  readonly failed: readonly string[];
}

const RATE_HZ = 8_000;
const TONE_HZ = 1_000;
/** Calls last so long. ms. */
const CALL_MS = { min: 3_000, max: 7_000 } as const;
const STEADY_MS = 3_000;
const EXIT_MS = 60_000;
/** Both gateways and all agents know of each other by then. ms. */
const KNOWN_MS = 30_000;

/**
 * Restarts both gateways by SIGTERM, one after the other, while so many calls are up, which come and go. Nobody may be
 * dropped or left without an answer. `onStarted` is given what takes everything down.
 */
export async function playRolling(
  count: number,
  seed: number,
  print: (text: string) => void,
  onStarted: (stop: () => Promise<void>) => void,
): Promise<RollingResult> {
  const cluster = await TestCluster.start({
    sampleRateHz: RATE_HZ,
    routes: [{ unserved: "queue" }],
    simulator: { keepEndedCalls: 10 },
  });
  onStarted(() => cluster.stop());
  const workers: Worker[] = [];
  const startMs = performance.now();
  const silences: number[] = [];
  const callers = new Callers({
    place: () => cluster.simulator.placeCall(),
    count,
    seed,
    callMs: CALL_MS,
    onDone: (phone) => silences.push(longestSilence(phone)),
  });
  const failed: string[] = [];
  let restarted = 0;
  try {
    const endpoints = cluster.gateways.map(({ address }) => address);
    for (const turned of [endpoints, [...endpoints].reverse()]) workers.push(await talker(turned, count));
    await known(cluster, workers.length);
    await callers.begin();
    await sleep(STEADY_MS);
    for (const gateway of [...cluster.gateways]) {
      print(`${gateway.id} is told to end, ${callers.up} calls are up`);
      gateway.child.signal("SIGTERM");
      const ended = await within(gateway.child.exit, EXIT_MS);
      if (ended?.code !== 0) failed.push(`${gateway.id} ended with ${JSON.stringify(ended ?? "nothing")}`);
      await cluster.revive(gateway);
      restarted++;
      print(`${gateway.id} is back, ${callers.up} calls are up`);
      await known(cluster, workers.length);
      await sleep(STEADY_MS);
    }
  } catch (error) {
    failed.push(error instanceof Error ? error.message : String(error));
  } finally {
    await callers.end();
    await Promise.all(workers.map((worker) => worker.close()));
    await cluster.stop();
  }
  const { inAll, dropped, unanswered } = callers;
  failed.push(...callers.troubles);
  if (dropped > 0) failed.push(`${dropped} calls were dropped`);
  if (unanswered > 0) failed.push(`${unanswered} calls were not answered`);
  return {
    ok: failed.length === 0 && inAll >= count,
    calls: count,
    callsInAll: inAll,
    gatewaysRestarted: restarted,
    dropped,
    unanswered,
    answeredMs: spreadOf(callers.answeredMs),
    silenceMs: spreadOf(silences),
    seconds: Math.round((performance.now() - startMs) / 1_000),
    failed,
  };
}

async function talker(endpoints: readonly string[], capacity: number): Promise<Worker> {
  const worker = agent(
    {
      endpoints,
      agentId: "talker",
      capacity,
      noAudio: true,
      whenHandlerReturns: "keep",
      onStatus: () => {},
      onError: () => {},
    },
    (call) => {
      void call.play(endlessTone(TONE_HZ, call.signal, RATE_HZ)).catch(() => {});
    },
  );
  await worker.start();
  return worker;
}

function longestSilence({ recording }: SimCall): number {
  const gaps = silenceGaps(recording.track("caller"), recording.sampleRate || RATE_HZ);
  return Math.max(0, ...gaps.map(({ startMs, endMs }) => endMs - startMs));
}

/** Every gateway that runs sees the others and the agents. */
async function known(cluster: TestCluster, agents: number): Promise<void> {
  for (const { address } of cluster.gateways as readonly GatewayProcess[]) {
    const client = connect({ endpoint: address });
    try {
      await until(
        async () => {
          const [gateways, all] = await Promise.all([client.fleet.gateways(), client.fleet.agents()]);
          const connected = all.filter((one) => one.connected).length;
          return gateways.length === cluster.gateways.length && connected >= agents;
        },
        "gateways and agents to know each other",
        KNOWN_MS,
      );
    } finally {
      client.close();
    }
  }
}

function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return Promise.race([promise, sleep(ms).then(() => undefined)]);
}
