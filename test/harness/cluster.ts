import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator, type SimulatorOptions } from "@callweave/simulator";
import { configOf, writeConfig } from "./gateway-config.js";
import { type NatsTestServer, startNats } from "./nats.js";
import { type Child, startProgram } from "./process.js";

/** What a cluster is started with. */
export interface ClusterSetup {
  readonly simulator?: SimulatorOptions;
  /** Gateways at the start. Default 2. */
  readonly gateways?: number;
  /** MongoDB for the contexts; default none: each gateway has its own store. */
  readonly mongoUrl?: string;
  /** Merged into each gateway's configuration (YAML keys). */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly pools?: readonly object[];
  readonly routes?: readonly object[];
  /** Of the provider's side and so of every call. Default 16000. */
  readonly sampleRateHz?: 8000 | 16000 | 24000;
  /** A nats-server from outside; default one is started and stopped with the cluster. */
  readonly natsUrl?: string;
}

/** A gateway as a process of its own. */
export interface GatewayProcess {
  readonly id: string;
  /** "127.0.0.1:PORT" */
  readonly address: string;
  /** Address of its health and metrics. */
  readonly opsUrl: string;
  readonly child: Child;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Its folder; a gateway that was killed is started there again by `revive`. */
  readonly stateDir: string;
}

/** Simulator, NATS and gateways: a cluster on this machine. */
export class TestCluster {
  readonly gateways: GatewayProcess[] = [];
  private count = 0;

  private constructor(
    readonly simulator: Simulator,
    private readonly server: NatsTestServer | undefined,
    private readonly folder: string,
    private readonly setup: ClusterSetup,
  ) {}

  /** Starts everything; resolves when all gateways are signed in. */
  static async start(setup: ClusterSetup = {}): Promise<TestCluster> {
    const folder = await mkdtemp(join(tmpdir(), "callweave-cluster-"));
    const nats = setup.natsUrl ? undefined : await startNats();
    const simulator = await Simulator.start(setup.simulator ?? {});
    const cluster = new TestCluster(simulator, nats, folder, setup);
    try {
      await Promise.all(Array.from({ length: setup.gateways ?? 2 }, () => cluster.add()));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The nats-server of this cluster. Throws when it is one from outside. */
  get nats(): NatsTestServer {
    if (!this.server) throw new Error("the nats-server of this cluster is one from outside");
    return this.server;
  }

  /** Where NATS is. */
  get natsUrl(): string {
    return this.setup.natsUrl ?? this.nats.url;
  }

  /** Starts one more; resolves when it is signed in. */
  async add(id = `gateway-${++this.count}`): Promise<GatewayProcess> {
    return this.launch(id, await mkdtemp(join(this.folder, `${id}-`)), 0);
  }

  /** Starts a gateway that is gone once more, under its name, in its folder and on its port. */
  async revive(gone: GatewayProcess): Promise<GatewayProcess> {
    await gone.child.exit;
    this.gateways.splice(this.gateways.indexOf(gone), 1);
    return this.launch(gone.id, gone.stateDir, Number(gone.address.split(":")[1]));
  }

  private async launch(id: string, stateDir: string, port: number): Promise<GatewayProcess> {
    const { simulator, setup } = this;
    const base = configOf(
      {
        ...(setup.simulator ? { simulator: setup.simulator } : {}),
        ...(setup.sampleRateHz ? { sampleRateHz: setup.sampleRateHz } : {}),
        config: {
          gateway: { id, grpc: { port } },
          ...(setup.pools ? { pools: setup.pools } : {}),
          ...(setup.routes ? { routes: setup.routes } : {}),
        },
      },
      simulator,
      stateDir,
    );
    const { contexts, ...rest } = (setup.config ?? {}) as { contexts?: object };
    const config = {
      ...base,
      nats: { urls: [this.natsUrl] },
      ops: { port: 0 },
      ...rest,
      ...(setup.mongoUrl || contexts
        ? { contexts: { ...(setup.mongoUrl ? { mongodb: { url: setup.mongoUrl } } : {}), ...contexts } }
        : {}),
    };
    const child = startProgram("gateway/src/main.ts", [
      "serve",
      "--config",
      await writeConfig(stateDir, config),
    ]);
    const gateway = {
      id,
      address: "",
      opsUrl: "",
      stateDir,
      child,
      kill: async () => {
        if (child.running) child.signal("SIGKILL");
        await child.exit;
      },
    };
    this.gateways.push(gateway);
    const line = await child.line(({ msg }) => msg === "serving", `${id} to serve`, 60_000);
    gateway.address = `127.0.0.1:${line.port}`;
    gateway.opsUrl = `http://127.0.0.1:${line.ops_port}`;
    return gateway;
  }

  /** The gateway of that id. */
  get(id: string): GatewayProcess {
    const found = this.gateways.findLast((one) => one.id === id && one.child.running);
    if (!found) throw new Error(`no gateway ${id} runs`);
    return found;
  }

  /** All gateways that run, but this. */
  others(id: string): GatewayProcess[] {
    return this.gateways.filter((one) => one.id !== id && one.child.running);
  }

  /** Ends everything and removes its folder. */
  async stop(): Promise<void> {
    await Promise.all(this.gateways.map(({ child }) => child.end()));
    await this.simulator.stop();
    await this.server?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
