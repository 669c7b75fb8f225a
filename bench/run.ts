import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { Child, type ChildOptions, cpuSecondsOf, machineCpu } from "./child.js";
import { sleep } from "./clock.js";
import { type Memory, memoryOf, type Spread, spreadOf } from "./figures.js";
import type { AgentCounters, CallTimes, ClearTimes } from "./processes/echo-agent.js";
import type { ProviderTimes, SilenceTimes } from "./processes/media-call.js";
import type { ProbeReading } from "./processes/probe.js";
import type { WindowReport } from "./processes/traffic.js";

/** What is measured and how long. */
export interface RunOptions {
  readonly calls: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Streams of the agent, each on its own connection. */
  readonly streams: number;
  /** Whether the agent's answers to one message are messages of their own or one. */
  readonly answers: "each" | "together";
  /** Round-trip time added between agent and gateway, in ms; 0: none. */
  readonly roundTripMs: number;
  /** Calls of the parts that follow the window: set-up times and interruptions. 0 leaves them out. */
  readonly extraCalls: number;
  /** Arguments of node for the process under test, such as --cpu-prof. */
  readonly nodeArgs: readonly string[];
}

/** One run of the relay or of the gateway. */
export interface RunResult extends WindowReport {
  readonly variant: "relay" | "gateway";
  readonly cpuSecondsPerCallMinute: number;
  /** Of NATS and database servers. */
  readonly serverCpuPerCallMinute: number;
  /** Of the agents. */
  readonly agentCpuPerCallMinute: number;
  /** Of one core, over the window. */
  readonly coreShare: number;
  /** Of the load generator, the agents and servers together. */
  readonly harnessShare: number;
  /** Of all that is not the bench's, in cores: above 0.1 the run is marked as noisy. */
  readonly foreignCores: number;
  /** Taken by other machines of the same host, in cores. */
  readonly stolenCores: number;
  readonly loadAverage: number;
  readonly memory: Memory;
  readonly probe: ProbeReading;
  /** Why its figures say nothing about the gateway; empty when they do. */
  readonly invalid: string;
  readonly noisy: boolean;
  readonly extra?: ExtraResult;
}

/** What is measured beside the window, with all calls still running. In ms. */
export interface ExtraResult {
  readonly agent: AgentCounters;
  /** session.notify sent → session.open; the gateway waits 0 to 50 ms here by chance. */
  readonly notifyToClaimMs: Spread;
  /** session.open → the agent has the offer. */
  readonly claimToOfferMs: Spread;
  readonly offerToAssignedMs: Spread;
  /** Assigned → the provider has the answer command. */
  readonly assignedToAnswerMs: Spread;
  readonly notifyToAnswerMs: Spread;
  /** ClearPlayback sent → the provider has agent.interrupt. */
  readonly clearToInterruptMs: Spread;
  /** ClearPlayback sent → the last audio at the provider; 0 when none came after it. */
  readonly clearToSilenceMs: Spread;
  readonly clearToClearedMs: Spread;
}

/** Where what is measured runs, and where everything else does. */
export const GATEWAY_CORE = 0;
export const HARNESS_CORE = 1;
const LATE_LIMIT_MS = 5;
const HARNESS_LIMIT = 0.9;
const NOISE_LIMIT_CORES = 0.1;
export const PLACE_EVERY_MS = 15;
const SPEECH_SECONDS = 5;

/** The provider's side. */
export type Generator = Child<{ port: number }>;

/** Runs the bare relay. */
export async function runRelay(options: RunOptions): Promise<RunResult> {
  return withChildren(async (start) => {
    const generator = await start<{ port: number }>({
      name: "load generator",
      args: program("load-generator"),
    });
    const agent = await start<{ port: number }>({ name: "TCP agent", args: program("tcp-agent") });
    const url = `ws://127.0.0.1:${(await generator.ready).port}`;
    const relay = await start({
      name: "relay",
      core: GATEWAY_CORE,
      nodeArgs: options.nodeArgs,
      args: [...program("floor-relay"), url, String(options.calls), String((await agent.ready).port)],
    });
    await generator.ask("waitForFloor", { count: options.calls });
    const window = await measure(options, { subjects: [relay], generator, agents: [agent] });
    if (options.nodeArgs.length > 0) await relay.leave();
    return { variant: "relay", ...window };
  });
}

/** Runs the gateway as `serve` runs it. */
export async function runGateway(options: RunOptions): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), "callweave-bench-"));
  try {
    return await withChildren(async (start) => {
      const generator = await start<{ port: number }>({
        name: "load generator",
        args: program("load-generator"),
      });
      const config = join(folder, "callweave.yaml");
      await writeFile(config, stringify(gatewayConfig(folder, (await generator.ready).port)));
      const gateway = await start<number>({
        name: "gateway",
        ...gatewayOptions(config, options.nodeArgs),
      });
      const port =
        options.roundTripMs > 0 ? await delayed(start, await gateway.ready, options) : await gateway.ready;
      const capacity = options.calls + Math.max(1, options.extraCalls);
      const agent = await start({
        name: "agent",
        args: [
          ...program("echo-agent"),
          `127.0.0.1:${port}`,
          String(capacity),
          String(options.streams),
          options.answers,
        ],
      });
      const placed = await generator.ask<ProviderTimes[]>("placeCalls", {
        count: options.calls,
        everyMs: PLACE_EVERY_MS,
      });
      const window = await measure(options, { subjects: [gateway], generator, agents: [agent] });
      const extra =
        options.extraCalls > 0 ? await measureExtra(options.extraCalls, placed, generator, agent) : undefined;
      if (options.nodeArgs.length > 0) await gateway.leave();
      return { variant: "gateway", ...window, ...(extra ? { extra } : {}) };
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function delayed(start: Start, port: number, { roundTripMs }: RunOptions): Promise<number> {
  const args = [...program("delay-proxy"), String(port), String(roundTripMs / 2)];
  const proxy = await start<{ port: number }>({ name: "delay", args });
  return (await proxy.ready).port;
}

/** The arguments of node for a process of the bench. */
export function program(name: string): string[] {
  return [`bench/processes/${name}.ts`];
}

/** What starts a gateway that the bench measures; resolves with its port. */
export function gatewayOptions(config: string, nodeArgs: readonly string[]) {
  return {
    core: GATEWAY_CORE,
    nodeArgs: [...nodeArgs, "--import", "./bench/processes/probe.ts"],
    args: ["gateway/src/main.ts", "serve", "--config", config],
    readyLine: (line: string) => /"port":(\d+).*"serving"/.exec(line)?.[1],
  };
}

/** The configuration of a gateway for the load generator at that port. */
export function gatewayConfig(stateDir: string, port: number, id = "bench"): object {
  return {
    gateway: { id, state_dir: stateDir, grpc: { port: 0 } },
    connectors: [
      {
        name: "main",
        kind: "telcoflow",
        base_url: `ws://127.0.0.1:${port}`,
        auth: { api_key: "bench", connector_uuid: "bench" },
        sample_rate_hz: 24_000,
      },
    ],
    routes: [{ pool: "default", unserved: "queue" }],
  };
}

/** Starts a process that ends with the run. */
export type Start = <Ready>(
  options: Omit<ChildOptions, "core"> & { readonly core?: number },
) => Promise<Child<Ready>>;

/** Ends every process that `body` started. */
export async function withChildren<T>(body: (start: Start) => Promise<T>): Promise<T> {
  const children: Child<unknown>[] = [];
  try {
    return await body(async <Ready>(options: Parameters<Start>[0]) => {
      const child = new Child<Ready>({ core: HARNESS_CORE, ...options });
      children.push(child as Child<unknown>);
      await child.ready;
      return child;
    });
  } finally {
    await Promise.all(children.reverse().map((child) => child.stop()));
  }
}

/** The processes of a run. */
export interface RunParts {
  /** What is measured: together one gateway or relay. */
  readonly subjects: readonly Child<unknown>[];
  readonly generator: Generator;
  readonly agents: readonly Child<unknown>[];
  /** Process ids of servers. */
  readonly servers?: readonly number[];
}

/** Warms up, opens the window, and tells what was seen in it. */
export async function measure(
  options: Pick<RunOptions, "calls" | "warmUpSeconds" | "seconds">,
  { subjects, generator, agents, servers = [] }: RunParts,
): Promise<Omit<RunResult, "variant" | "extra">> {
  await sleep(options.warmUpSeconds * 1000);
  await Promise.all(subjects.map((subject) => subject.ask("reset")));
  await generator.ask("openWindow");
  const cpuOf = (children: readonly Child<unknown>[]) => sum(children.map((child) => child.cpuSeconds()));
  const residentNow = () => sum(subjects.map((subject) => subject.residentMb()));
  const read = () => ({
    atMs: performance.now(),
    subject: cpuOf(subjects),
    agents: cpuOf(agents),
    servers: sum(servers.map(cpuSecondsOf)),
    generator: generator.cpuSeconds(),
    own: process.cpuUsage(),
    machine: machineCpu(),
  });
  const before = read();
  const residentMb = [residentNow()];
  for (let second = 1; second <= options.seconds; second++) {
    await sleep(Math.max(0, before.atMs + second * 1000 - performance.now()));
    residentMb.push(residentNow());
  }
  const after = read();
  const [report, probes] = await Promise.all([
    generator.ask<WindowReport>("closeWindow"),
    Promise.all(subjects.map((subject) => subject.ask<ProbeReading>("read"))),
  ]);
  const seconds = (after.atMs - before.atMs) / 1000;
  const callMinutes = (options.calls * seconds) / 60;
  const subjectCpu = after.subject - before.subject;
  const agentCpu = after.agents - before.agents;
  const serverCpu = after.servers - before.servers;
  const harnessCpu = agentCpu + serverCpu + after.generator - before.generator;
  const ownCpu = (after.own.user + after.own.system - before.own.user - before.own.system) / 1e6;
  const busy = after.machine.busySeconds - before.machine.busySeconds;
  const foreignCores = Math.max(0, busy - subjectCpu - harnessCpu - ownCpu) / seconds;
  const harnessShare = harnessCpu / seconds;
  return {
    ...report,
    cpuSecondsPerCallMinute: subjectCpu / callMinutes,
    serverCpuPerCallMinute: serverCpu / callMinutes,
    agentCpuPerCallMinute: agentCpu / callMinutes,
    coreShare: subjectCpu / seconds,
    harnessShare,
    foreignCores,
    stolenCores: (after.machine.stolenSeconds - before.machine.stolenSeconds) / seconds,
    loadAverage: loadavg()[0] ?? 0,
    memory: memoryOf(residentMb),
    // The latest of them.
    probe: probes.reduce((worst, one) => (one.loopDelayMs.p99 > worst.loopDelayMs.p99 ? one : worst)),
    invalid: whyInvalid(report, harnessShare),
    noisy: foreignCores > NOISE_LIMIT_CORES,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function whyInvalid(report: WindowReport, harnessShare: number): string {
  if (report.lateMs.p99 > LATE_LIMIT_MS) {
    return `the generator was late: p99 ${report.lateMs.p99.toFixed(1)} ms`;
  }
  if (harnessShare > HARNESS_LIMIT)
    return `the harness was saturated: ${harnessShare.toFixed(2)} of its core`;
  return "";
}

async function measureExtra(
  count: number,
  placed: readonly ProviderTimes[],
  generator: Generator,
  agent: Child<unknown>,
): Promise<ExtraResult> {
  const counters = await agent.ask<AgentCounters>("counters");
  const provider = await generator.ask<ProviderTimes[]>("shortCalls", { count });
  const times = await agent.ask<CallTimes[]>("times", { callIds: provider.map((p) => p.callId) });
  const steps = (pick: (p: ProviderTimes, a: CallTimes) => number) =>
    spreadOf(provider.map((p, i) => pick(p, times[i]!)));
  const callIds = placed.slice(0, count).map((p) => p.callId);
  await generator.ask("realTime", { callIds });
  await agent.ask("speak", { callIds, seconds: SPEECH_SECONDS });
  // The credit of one second is used at once; from then on the ring runs dry at the pace of speech.
  await sleep(1_500);
  const clears = await agent.ask<ClearTimes[]>("clear", { callIds });
  await sleep(200);
  const silences = await generator.ask<SilenceTimes[]>("silence", { callIds });
  const silenceOf = (callId: string) => silences.find((s) => s.callId === callId)!;
  for (const clear of clears) {
    if (clear.droppedMs <= 0) throw new Error("an interruption found nothing to drop");
    if (silenceOf(clear.callId).interruptedMs === 0) throw new Error("an interruption was not passed on");
  }
  return {
    agent: counters,
    notifyToClaimMs: steps((p) => p.claimedMs - p.notifiedMs),
    claimToOfferMs: steps((p, a) => a.offerMs - p.claimedMs),
    offerToAssignedMs: steps((_p, a) => a.assignedMs - a.offerMs),
    assignedToAnswerMs: steps((p, a) => p.answeredMs - a.assignedMs),
    notifyToAnswerMs: steps((p) => p.answeredMs - p.notifiedMs),
    clearToInterruptMs: spreadOf(clears.map((c) => silenceOf(c.callId).interruptedMs - c.sentMs)),
    clearToSilenceMs: spreadOf(clears.map((c) => Math.max(0, silenceOf(c.callId).lastAudioMs - c.sentMs))),
    clearToClearedMs: spreadOf(clears.map((c) => c.answeredMs - c.sentMs)),
  };
}
