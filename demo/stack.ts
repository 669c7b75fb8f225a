import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { DEFAULT_CONNECTOR, Simulator } from "@callweave/simulator";
import { type CallweaveClient, connect } from "callweave";
import { loadConfig } from "../gateway/src/config/index.js";
import { startGateway } from "../gateway/src/serve.js";
import type { Logger } from "../gateway/src/util/logger.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What the demo runs on. */
export interface StackOptions {
  /** Play-out buffer of the simulated provider, ms. */
  readonly playOutMs: number;
  /** Who hears: real recognition, or the sentences below. */
  readonly speech: "local" | "scripted";
  /** What the caller will say, for `scripted`; an empty text is not understood. */
  readonly sentences: readonly string[];
  readonly speaker: string;
  /** More options for the agent's command line. */
  readonly agentFlags: readonly string[];
  /** With the simulator's page and the desk, for people in a browser. Default false. */
  readonly pages?: boolean;
  /** How long the agent may take to be ready, ms. Default 90 000. */
  readonly agentReadyMs?: number;
  /** Told at once how to take down whatever is up by then. */
  readonly onStarting?: (stop: () => Promise<void>) => void;
}

/** Simulated provider and gateway in this process, the agent in its own. */
export interface DemoStack {
  readonly simulator: Simulator;
  readonly client: CallweaveClient;
  readonly stateDir: string;
  /** The port of the desk, with `pages`. */
  readonly deskPort: number | undefined;
  /** Warnings and errors of the gateway and the newest lines of the agent's log, for when something went wrong. */
  complaints(): string[];
  /** Ends the agent after what it still has to write. Resolves with its exit status; `null` when it had to be killed. */
  stopAgent(): Promise<number | null>;
  /** Ends everything and removes the state folder. */
  stop(): Promise<void>;
}

/** Starts all of it on free ports of 127.0.0.1; resolves when the agent can take a call. */
export async function startDemoStack(options: StackOptions): Promise<DemoStack> {
  const stateDir = await mkdtemp(join(tmpdir(), "callweave-demo-"));
  const undo: Array<() => Promise<unknown>> = [() => rm(stateDir, { recursive: true, force: true })];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  options.onStarting?.(stop);
  try {
    const simulator = await Simulator.start({
      playoutBufferMs: options.playOutMs,
      page: options.pages === true,
    });
    undo.push(() => simulator.stop());
    const file = join(stateDir, "callweave.yaml");
    await writeFile(file, JSON.stringify(gatewayConfig(simulator.url, stateDir, options.pages === true)));
    const config = loadConfig({ file, env: {}, cwd: stateDir });
    const complaints: string[] = [];
    const gateway = await startGateway(config, complainingLogger(complaints), { claimJitterMs: 0 });
    undo.push(() => gateway.stop());
    const endpoint = `127.0.0.1:${gateway.port}`;
    const client = connect({ endpoint, token: "" });
    undo.push(async () => client.close());
    const script = join(stateDir, "caller.jsonl");
    const lines = options.sentences.map((text, at) =>
      JSON.stringify({ at, text: text.toLowerCase().replace(/[^a-z' ]/g, ""), speaker: options.speaker }),
    );
    await writeFile(script, `${lines.join("\n")}\n`);
    const agent = startAgent(endpoint, script, options);
    undo.push(() => agent.stop());
    await agent.ready;
    await simulator.waitForConnections();
    await poolReady(client);
    return {
      simulator,
      client,
      stateDir,
      deskPort: gateway.deskPort,
      complaints: () => [...complaints, ...agent.log],
      stopAgent: () => agent.stop(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Keeps the last 50 warnings and errors. */
function complainingLogger(lines: string[]): Logger {
  const keep = (level: string) => (fields: object, message: string) => {
    lines.push(`gateway ${level}: ${message} ${JSON.stringify(fields, errorText)}`);
    if (lines.length > 50) lines.shift();
  };
  return { debug() {}, info() {}, warn: keep("warn"), error: keep("error") };
}

function errorText(_key: string, value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

/** YAML is a superset of JSON. */
function gatewayConfig(simulatorUrl: string, stateDir: string, desk: boolean): object {
  return {
    ...(desk ? { desk: {}, ops: { enabled: false } } : {}),
    // Simulator and gateway are in this process: how late its event loop is says nothing of the gateway.
    gateway: {
      id: "gateway-demo",
      state_dir: stateDir,
      grpc: { port: 0 },
      limits: { shed_above_ms: 0 },
    },
    connectors: [
      {
        name: "main",
        kind: "telcoflow",
        base_url: simulatorUrl,
        auth: { api_key: DEFAULT_CONNECTOR.apiKey, connector_uuid: DEFAULT_CONNECTOR.uuid },
        sample_rate_hz: 16_000,
      },
    ],
  };
}

interface AgentProcess {
  /** The last 20 lines of its log. */
  readonly log: readonly string[];
  readonly ready: Promise<void>;
  stop(): Promise<number | null>;
}

function startAgent(endpoint: string, script: string, options: StackOptions): AgentProcess {
  const env = { ...process.env };
  for (const name of ["CALLWEAVE_TOKEN", "CALLWEAVE_ENDPOINT"]) delete env[name];
  const child = spawn(
    process.execPath,
    [
      "--import",
      import.meta.resolve("tsx"),
      join(ROOT, "agents", "escalation", "main.ts"),
      ...[
        "--gateway",
        endpoint,
        "--pool",
        "default",
        "--voice",
        "slt",
        "--drain-ms",
        "3000",
        "--log",
        "json",
      ],
      ...["--speech", options.speech, "--script", script],
      ...options.agentFlags,
    ],
    { cwd: ROOT, env, stdio: ["ignore", "ignore", "pipe"] },
  );
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = new Promise<number | null>((resolve) =>
    child.once("exit", (code) => {
      process.removeListener("exit", killAtExit);
      resolve(code);
    }),
  );
  const log: string[] = [];
  return {
    log,
    ready: readiness(child, log, options.agentReadyMs ?? 90_000),
    stop: () => end(child, exited),
  };
}

function readiness(child: ChildProcess, log: string[], timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) =>
      reject(new Error(`the agent ${what}${log.map((l) => `\n  ${l}`).join("")}`));
    const timer = setTimeout(() => fail(`was not ready in ${timeoutMs} ms`), timeoutMs);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(`ended with ${code}`);
    });
    if (!child.stderr) return;
    createInterface({ input: child.stderr }).on("line", (line) => {
      log.push(`agent: ${line}`);
      if (log.length > 20) log.shift();
      if (!line.includes('"event":"ready"')) return;
      clearTimeout(timer);
      resolve();
    });
  });
}

async function end(child: ChildProcess, exited: Promise<number | null>): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const code = await exited;
  clearTimeout(timer);
  return code;
}

/** The gateway knows of an agent with a free place. */
async function poolReady(client: CallweaveClient, timeoutMs = 15_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const agents = await client.fleet.agents();
    if (agents.length > 0) return;
    if (performance.now() > endMs) throw new Error("the agent did not register at the gateway");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
