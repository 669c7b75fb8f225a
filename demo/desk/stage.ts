import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CallContext, ContextServiceClient } from "@callweave/proto";
import { DEFAULT_CONNECTOR, resample, Simulator, sharedVoice } from "@callweave/simulator";
import { ChannelCredentials } from "@grpc/grpc-js";
import { type AgentOptions, agent, type Call, type CallHandler, type Turn, type Worker } from "callweave";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { type Logger, silentLogger } from "../../gateway/src/util/logger.js";

/** The rate of the connector. */
export const CALL_RATE = 24_000;

/** What the stage is set with. */
export interface StageOptions {
  /** `desk` of the configuration, YAML keys; its port is a free one. */
  readonly desk?: object;
  /** `gateway.grpc.keys` of the configuration. */
  readonly keys?: readonly object[];
  readonly pools?: readonly object[];
  readonly logger?: Logger;
}

/** Simulated provider and a gateway with its desk, in this process, on free ports. */
export class Stage {
  private readonly undo: (() => unknown)[] = [];

  private constructor(
    readonly simulator: Simulator,
    readonly gateway: RunningGateway,
    private readonly stateDir: string,
  ) {}

  static async set(options: StageOptions = {}): Promise<Stage> {
    const stateDir = await mkdtemp(join(tmpdir(), "callweave-desk-"));
    const simulator = await Simulator.start({});
    const file = join(stateDir, "callweave.yaml");
    const logger = options.logger ?? silentLogger;
    const config = {
      gateway: {
        id: "gateway-demo",
        state_dir: stateDir,
        grpc: { port: 0, ...(options.keys ? { keys: options.keys } : {}) },
        // All of it is in this process: how late its event loop is says nothing of the gateway.
        limits: { shed_above_ms: 0 },
      },
      ops: { enabled: false },
      desk: { port: 0, ...options.desk },
      // One process has to synthesise, mix and compare while it is an agent.
      pools: [
        { name: "default", heartbeat_misses: 20 },
        ...(options.pools ?? [{ name: "people", offer_timeout_ms: 30_000 }]),
      ],
      connectors: [
        {
          name: "main",
          kind: "telcoflow",
          base_url: simulator.url,
          auth: { api_key: DEFAULT_CONNECTOR.apiKey, connector_uuid: DEFAULT_CONNECTOR.uuid },
          sample_rate_hz: CALL_RATE,
        },
      ],
      routes: [{ callee: ["*"], pool: "default", locale: "en", unserved: "queue" }],
    };
    // YAML is a superset of JSON.
    await writeFile(file, JSON.stringify(config));
    const gateway = await startGateway(loadConfig({ file, env: {}, cwd: stateDir }), logger, {
      claimJitterMs: 0,
    });
    const stage = new Stage(simulator, gateway, stateDir);
    await simulator.waitForConnections();
    await stage.pageReady();
    return stage;
  }

  /** "127.0.0.1:PORT" for agents and clients. */
  get address(): string {
    return `127.0.0.1:${this.gateway.port}`;
  }

  /** The page. */
  get url(): string {
    return `http://127.0.0.1:${this.gateway.deskPort}`;
  }

  /** Ends with the stage. */
  defer(stop: () => unknown): void {
    this.undo.push(stop);
  }

  /** An agent that keeps its calls when its handler returns. */
  async agent(options: Partial<AgentOptions>, handler: CallHandler): Promise<Worker> {
    const worker = agent(
      {
        endpoint: this.address,
        agentId: "support-bot",
        capacity: 600,
        whenHandlerReturns: "keep",
        ...options,
      },
      handler,
    );
    this.defer(() => worker.close());
    await worker.start();
    return worker;
  }

  /** Writes a context as it is, also of a call that there never was. */
  async saveContext(context: Parameters<typeof CallContext.fromPartial>[0]): Promise<void> {
    const client = new ContextServiceClient(this.address, ChannelCredentials.createInsecure());
    try {
      await new Promise<void>((resolve, reject) =>
        client.saveContext({ context: CallContext.fromPartial(context) }, (error) =>
          error ? reject(error) : resolve(),
        ),
      );
    } finally {
      client.close();
    }
  }

  async strike(): Promise<void> {
    for (const stop of this.undo.splice(0).reverse()) await stop();
    await this.gateway.stop();
    await this.simulator.stop();
    await rm(this.stateDir, { recursive: true, force: true });
  }

  private async pageReady(): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      const { status } = await fetch(this.url);
      if (status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the page of the desk was not built within a minute");
  }
}

/** Words spoken by a synthetic voice, at the rate of the calls. */
export async function spoken(text: string, voice: "slt" | "rms" | "awb"): Promise<Int16Array> {
  const { samples, sampleRate } = await sharedVoice.say(text, voice);
  return resample(samples, sampleRate, CALL_RATE);
}

/** What was said in a call so far, as turns that end now. */
export function turnsOf(said: readonly (readonly [Turn["role"], string, string?])[]): Turn[] {
  const nowMs = Date.now();
  return said.map(([role, text, heard], i) => ({
    id: `t${i + 1}`,
    role,
    text,
    time: new Date(nowMs - (said.length - i) * 7_000),
    ...(heard === undefined ? {} : { heard, interrupted: true }),
  }));
}

/** Says something to the caller of a call. */
export async function speak(call: Call, text: string): Promise<void> {
  const samples = await spoken(text, "slt");
  const rate = call.audioFormat.sampleRateHertz || CALL_RATE;
  const fitting = rate === CALL_RATE ? samples : resample(samples, CALL_RATE, rate as 8_000 | 16_000);
  await call.play(new Uint8Array(fitting.buffer, fitting.byteOffset, fitting.byteLength));
}
