import { connect as connectNats, type NatsConnection } from "nats";
import { TestCluster } from "../../test/harness/cluster.js";
import { type DemoAgent, type DemoAgentOptions, startGrpcAgent, startNatsAgent } from "./agents.js";
import type { ClusterOptions } from "./options.js";
import { type DemoDatabase, startDatabase } from "./servers.js";

/** Languages of the calls: the number that is called says which, and each agent speaks one. */
export const LINES = [
  { callee: "+15550161", locale: "en", agentId: "agent-one", toneHz: 5_000 },
  { callee: "+15550162", locale: "de", agentId: "agent-two", toneHz: 6_000 },
  { callee: "+15550163", locale: "fr", agentId: "agent-nats", toneHz: 7_000 },
] as const;

const GRPC_PLACES_PER_CALL = 10;

/** Everything that a round runs on. */
export interface ClusterStack {
  readonly cluster: TestCluster;
  readonly database: DemoDatabase;
  readonly nats: NatsConnection;
  /** Lost connections and errors of agents, newest last. */
  readonly troubles: readonly string[];
  /** Agents for this round: one on gRPC at each gateway, one on NATS. */
  startAgents(calls: number): Promise<DemoAgent[]>;
  stop(): Promise<void>;
}

/** Starts simulator, nats-server, database and two gateways, or uses what is given from outside. */
export async function startClusterStack(
  options: ClusterOptions,
  onStarting: (stop: () => Promise<void>) => void,
): Promise<ClusterStack> {
  const undo: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  onStarting(stop);
  try {
    const database = await startDatabase(options.mongo);
    undo.push(() => database.stop());
    const cluster = await TestCluster.start({
      simulator: { orphan: "renotify" },
      mongoUrl: database.url,
      ...(options.nats ? { natsUrl: options.nats } : {}),
      routes: LINES.map(({ callee, locale }) => ({ callee: [callee], locale, unserved: "queue" })),
    });
    undo.push(() => cluster.stop());
    const nats = await connectNats({ servers: cluster.natsUrl, noAsyncTraces: true });
    undo.push(() => nats.close());
    const troubles: string[] = [];
    const onTrouble = (text: string) => {
      troubles.push(text);
      if (troubles.length > 100) troubles.shift();
    };
    return {
      cluster,
      database,
      nats,
      troubles,
      async startAgents(calls) {
        const alive = cluster.gateways.filter(({ child }) => child.running).map(({ address }) => address);
        const base = (line: (typeof LINES)[number], capacity: number): DemoAgentOptions => ({
          ...line,
          capacity,
          onTrouble,
        });
        // Gateways claim by the free places of their agents: so many here that the agent on NATS, which is at one of the
        // two, does not tip the balance. What an agent declines is for want of the language.
        const many = GRPC_PLACES_PER_CALL * calls;
        return Promise.all([
          startGrpcAgent(alive, base(LINES[0], many)),
          startGrpcAgent([...alive].reverse(), base(LINES[1], many)),
          startNatsAgent(nats, base(LINES[2], calls)),
        ]);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
