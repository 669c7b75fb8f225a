import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEFAULT_CONNECTOR, type Simulator, type SimulatorOptions } from "@callweave/simulator";
import { stringify } from "yaml";

/** What the configuration of a gateway is made from. */
export interface GatewaySetup {
  readonly simulator?: SimulatorOptions;
  /** Merged over the configuration of the stack; YAML keys (snake_case). */
  readonly config?: {
    readonly gateway?: object;
    readonly auth?: object;
    readonly connector?: object;
    readonly routes?: readonly object[];
    readonly pools?: readonly object[];
    readonly playback?: object;
    readonly nats?: object;
    readonly desk?: object;
    readonly webhooks?: readonly object[];
    readonly webhooks_allowed_hosts?: readonly string[];
  };
  /** 8000, 16000 or 24000; both sides. Default 16000. */
  readonly sampleRateHz?: 8000 | 16000 | 24000;
}

/** The configuration of a gateway for this simulator, as an object to be written as YAML. */
export function configOf(options: GatewaySetup, simulator: Simulator, stateDir: string): object {
  const connector = options.simulator?.connectors?.[0] ?? DEFAULT_CONNECTOR;
  const { config = {} } = options;
  const given = config.gateway as { grpc?: object; limits?: object } | undefined;
  return {
    gateway: {
      id: "gateway-test",
      state_dir: stateDir,
      ...given,
      // The machine of the tests is busy, and the simulator may be in the same process: that says nothing of the gateway.
      limits: { shed_above_ms: 0, ...given?.limits },
      grpc: { port: 0, ...given?.grpc },
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
    ...(config.auth ? { auth: config.auth } : {}),
    ...(config.routes ? { routes: config.routes } : {}),
    ...(config.pools ? { pools: config.pools } : {}),
    ...(config.playback ? { playback: config.playback } : {}),
    ...(config.webhooks ? { webhooks: config.webhooks } : {}),
    ...(config.webhooks_allowed_hosts ? { webhooks_allowed_hosts: config.webhooks_allowed_hosts } : {}),
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
