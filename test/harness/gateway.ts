import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator } from "@callweave/simulator";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { type Logger, silentLogger } from "../../gateway/src/util/logger.js";
import { configOf, type GatewaySetup, writeConfig } from "./gateway-config.js";
import { startServerStores, USES_SERVERS } from "./stores.js";

export { configOf, writeConfig } from "./gateway-config.js";
export { until } from "./until.js";

/** What a stack is started with. */
export interface StackOptions extends GatewaySetup {
  readonly logger?: Logger;
  /** A simulator that is there already, and is not stopped with the stack. Default: one of its own. */
  readonly at?: Simulator;
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
  const simulator = options.at ?? (await Simulator.start(options.simulator ?? {}));
  const stopSimulator = async () => {
    if (!options.at) await simulator.stop();
  };
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
        await stopSimulator();
        await stores?.stop();
        await rm(stateDir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await stopSimulator();
    await stores?.stop();
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  }
}
