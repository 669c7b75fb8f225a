import { connect as connectNats, type NatsConnection } from "nats";
import type { LoggedEvent } from "../../demo/cluster/evidence.js";
import { eventOf } from "../../demo/cluster/read-outside.js";
import { TestCluster } from "../../test/harness/cluster.js";
import { type MongoTestServer, startMongo } from "../../test/harness/mongo.js";
import { AgentSlot, bundleAgent, type NoteListener } from "./agent-process.js";
import type { MarathonOptions } from "./options.js";

/** The call's rate; telephone speech, so that many calls take little. */
export const RATE_HZ = 8_000;
const THINK_MS = 100;
const TALK_MS = 500;
/** What the provider buffers, so that calls are short. ms. */
const PLAYOUT_MS = 300;

/** The number that leads to the agents of a lane. */
export const numberOf = (lane: number) => `+1555014${String(lane).padStart(4, "0")}`;

/** What calls are told of while they live. */
export interface StackListeners {
  readonly onNote: NoteListener;
  /** As NATS brings it; while NATS is away nothing comes. */
  readonly onEvent: (event: LoggedEvent) => void;
}

/** Provider, NATS, database, two gateways, and two agents for each lane: everything but the provider as processes. */
export interface MarathonStack {
  readonly cluster: TestCluster;
  readonly database: MongoTestServer;
  readonly nats: NatsConnection;
  /** By lane. */
  readonly agents: readonly (readonly AgentSlot[])[];
  stop(): Promise<void>;
}

/** Starts everything. `onStarting` is given what takes down what there is already. */
export async function startMarathonStack(
  options: Pick<MarathonOptions, "lanes" | "plant">,
  listeners: StackListeners,
  onStarting: (stop: () => Promise<void>) => void,
): Promise<MarathonStack> {
  const undo: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step().catch(() => {});
  };
  onStarting(stop);
  const lanes = Array.from({ length: options.lanes }, (_, lane) => lane);
  try {
    const program = await bundleAgent();
    undo.push(() => program.remove());
    const database = await startMongo();
    undo.push(() => database.stop());
    const cluster = await TestCluster.start({
      simulator: {
        orphan: "renotify",
        playoutBufferMs: PLAYOUT_MS,
        keepEndedCalls: 2 * options.lanes,
      },
      sampleRateHz: RATE_HZ,
      mongoUrl: database.url,
      pools: lanes.map((lane) => ({ name: `lane-${lane}` })),
      routes: lanes.map((lane) => ({ callee: [numberOf(lane)], pool: `lane-${lane}`, unserved: "queue" })),
    });
    undo.push(() => cluster.stop());
    const nats = await connectNats({
      servers: cluster.natsUrl,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      noAsyncTraces: true,
    });
    undo.push(() => nats.close());
    void follow(nats, listeners.onEvent);
    const addresses = cluster.gateways.map(({ address }) => address);
    const agents = lanes.map((lane) =>
      ([0, 1] as const).map((voice) => {
        // The two of a lane at different gateways, until one dies: then wherever they find one.
        const endpoints = (lane + voice) % 2 === 0 ? addresses : [...addresses].reverse();
        const { plant } = options;
        const settings = { endpoints, lane, voice, thinkMs: THINK_MS, talkMs: TALK_MS, plant };
        return new AgentSlot(program.file, settings, listeners.onNote);
      }),
    );
    undo.push(() => Promise.all(agents.flat().map((one) => one.stop())));
    await Promise.all(agents.flat().map((one) => one.start()));
    return { cluster, database, nats, agents, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function follow(nats: NatsConnection, onEvent: (event: LoggedEvent) => void): Promise<void> {
  for await (const message of nats.subscribe("callweave.default.calls.*.events"))
    onEvent(eventOf(message.json(), (time) => time.getTime()));
}
