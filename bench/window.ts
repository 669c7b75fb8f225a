import { loadavg } from "node:os";
import { type Child, cpuSecondsOf, machineCpu } from "./child.js";
import { sleep } from "./clock.js";
import { type Memory, memoryOf } from "./figures.js";
import type { WindowReport } from "./processes/traffic.js";

/** The provider's side. */
export type Generator = Child<{ port: number }>;

/** The processes of a run. */
export interface RunParts {
  /** What is measured: together one gateway or relay. None where the baseline is measured. */
  readonly subjects: readonly Child<unknown>[];
  readonly generator: Generator;
  readonly agents: readonly Child<unknown>[];
  /** Process ids of servers. */
  readonly servers?: readonly number[];
}

/** What was seen in a window, and what it cost. */
export interface WindowResult extends WindowReport {
  readonly cpuSecondsPerCallMinute: number;
  /** Of NATS and database servers. */
  readonly serverCpuPerCallMinute: number;
  /** Of the agents. */
  readonly agentCpuPerCallMinute: number;
  /** Of one core, over the window. */
  readonly coreShare: number;
  /** Of the load generator alone. */
  readonly generatorShare: number;
  /** Of the load generator, the agents and servers together: they share a core. */
  readonly harnessShare: number;
  /** Of all that is not the bench's, in cores: above 0.1 the run is marked as noisy. */
  readonly foreignCores: number;
  /** Taken by other machines of the same host, in cores. */
  readonly stolenCores: number;
  readonly loadAverage: number;
  readonly memory: Memory;
  /** Why its figures say nothing about what is measured; empty when they do. */
  readonly invalid: string;
  readonly noisy: boolean;
}

/** How late the generator may be at p99, in ms: later, and it limits what is measured. */
export const LATE_LIMIT_MS = 5;
/** How much of its core the harness may use: more, and it limits what is measured. */
export const HARNESS_LIMIT = 0.8;
const NOISE_LIMIT_CORES = 0.1;

/** Opens the window, and tells what was seen in it. CPU is user and system time of all threads from /proc. */
export async function measureWindow(
  { calls, seconds: wanted }: { readonly calls: number; readonly seconds: number },
  { subjects, generator, agents, servers = [] }: RunParts,
): Promise<WindowResult> {
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
  for (let second = 1; second <= wanted; second++) {
    await sleep(Math.max(0, before.atMs + second * 1000 - performance.now()));
    residentMb.push(residentNow());
  }
  const after = read();
  const report = await generator.ask<WindowReport>("closeWindow");
  const seconds = (after.atMs - before.atMs) / 1000;
  const callMinutes = (calls * seconds) / 60;
  const subjectCpu = after.subject - before.subject;
  const agentCpu = after.agents - before.agents;
  const serverCpu = after.servers - before.servers;
  const generatorCpu = after.generator - before.generator;
  const harnessCpu = agentCpu + serverCpu + generatorCpu;
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
    generatorShare: generatorCpu / seconds,
    harnessShare,
    foreignCores,
    stolenCores: (after.machine.stolenSeconds - before.machine.stolenSeconds) / seconds,
    loadAverage: loadavg()[0] ?? 0,
    memory: memoryOf(residentMb),
    invalid: whyInvalid(report, harnessShare),
    noisy: foreignCores > NOISE_LIMIT_CORES,
  };
}

/** Why a run whose generator was so late and whose harness so busy says nothing; empty when it does. */
export function whyInvalid({ lateMs }: Pick<WindowReport, "lateMs">, harnessShare: number): string {
  if (lateMs.p99 > LATE_LIMIT_MS) return `the generator was late: p99 ${lateMs.p99.toFixed(1)} ms`;
  if (harnessShare > HARNESS_LIMIT)
    return `the harness was saturated: ${harnessShare.toFixed(2)} of its core`;
  return "";
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
