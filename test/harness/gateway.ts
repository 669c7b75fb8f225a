import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_CONNECTOR, Simulator, type SimulatorOptions } from "@callweave/simulator";
import { stringify } from "yaml";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { type Logger, silentLogger } from "../../gateway/src/util/logger.js";
import { startServerStores, USES_SERVERS } from "./stores.js";

export { until } from "./until.js";

/** What a stack is started with. */
export interface StackOptions {
  readonly simulator?: SimulatorOptions;
  /** Merged over the configuration of the stack; YAML keys (snake_case). */
  readonly config?: {
    readonly gateway?: object;
    readonly connector?: object;
    readonly routes?: readonly object[];
    readonly pools?: readonly object[];
    readonly playback?: object;
    readonly nats?: object;
    readonly desk?: object;
  };
  readonly logger?: Logger;
  /** 8000, 16000 or 24000; both sides. Default 16000. */
  readonly sampleRateHz?: 8000 | 16000 | 24000;
}

/** Simulator and gateway in this process, on free ports. */
export interface Stack {
  readonly simulator: Simulator;
  readonly gateway: RunningGateway;
  /** "127.0.0.1:PORT" for clients. */
  readonly address: string;
  readonly stateDir: string;
  stop(): Promise<void>;
}

/** Starts simulator and gateway, signed in. The state folder is a fresh one and is removed at the end. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const stateDir = await mkdtemp(join(tmpdir(), "callweave-test-"));
  const stores = USES_SERVERS && !options.config?.nats ? await startServerStores() : undefined;
  const simulator = await Simulator.start(options.simulator ?? {});
  try {
    const base = configOf(options, simulator, stateDir);
    const file = await writeConfig(
      stateDir,
      stores ? { ...base, nats: stores.nats, contexts: stores.contexts } : base,
    );
    const config = loadConfig({ file, env: {}, cwd: stateDir });
    const gateway = await startGateway(config, options.logger ?? silentLogger, { claimJitterMs: 0 });
    await simulator.waitForConnections();
    return {
      simulator,
      gateway,
      address: `127.0.0.1:${gateway.port}`,
      stateDir,
      async stop() {
        await gateway.stop();
        await simulator.stop();
        await stores?.stop();
        await rm(stateDir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await simulator.stop();
    await stores?.stop();
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  }
}

/** The configuration of a gateway for this simulator, as an object to be written as YAML. */
export function configOf(options: StackOptions, simulator: Simulator, stateDir: string): object {
  const connector = options.simulator?.connectors?.[0] ?? DEFAULT_CONNECTOR;
  const { config = {} } = options;
  return {
    gateway: {
      id: "gateway-test",
      state_dir: stateDir,
      ...config.gateway,
      grpc: { port: 0, ...(config.gateway as { grpc?: object } | undefined)?.grpc },
    },
    connectors: [
      {
        name: "main",
        kind: "telcoflow",
        base_url: simulator.url,
        auth: { api_key: connector.apiKey, connector_uuid: connector.uuid },
        sample_rate_hz: options.sampleRateHz ?? 16000,
        ...config.connector,
      },
    ],
    ...(config.routes ? { routes: config.routes } : {}),
    ...(config.pools ? { pools: config.pools } : {}),
    ...(config.playback ? { playback: config.playback } : {}),
    ...(config.nats ? { nats: config.nats } : {}),
    ...(config.desk ? { desk: { port: 0, ...config.desk } } : {}),
  };
}

/** Writes a configuration into a folder; answers the path of the file. */
export async function writeConfig(folder: string, config: object): Promise<string> {
  const file = join(folder, "callweave.yaml");
  await writeFile(file, stringify(config));
  return file;
}
