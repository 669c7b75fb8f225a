import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../harness/until.js";
import type { Language } from "./language.js";
import { Program } from "./program.js";
import { PushingGateway } from "./pushing-gateway.js";

/** How many calls are tried, one after the other. */
const STEPS = [25, 50, 100, 150, 200, 300, 400, 500, 600, 800, 1000];
/** Good enough: nothing missing, nothing wrong, and 99 of 100 frames not later than this. */
const MAX_LATE_MS = 150;
/** A frame that is not back after this long is missing. */
const LOST_MS = 1_000;
const MEMORY_CALLS = 100;
const MEMORY_MS = 60_000;
const MEMORY_FROM_MS = 15_000;
const MEMORY_GROWTH_MIB = 32;
/** Of /proc. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

/** How thoroughly is measured. */
export interface Plan {
  readonly settleMs: number;
  readonly measureMs: number;
  /** How often a number of calls is tried: others may have used the machine meanwhile. */
  readonly attempts: number;
  /** Halves what is left each time, in the place of one number after the other. */
  readonly bisect: boolean;
  /** So many times faster than the callers speak, when nobody reads. */
  readonly memorySpeed: number;
  /** The memory of all languages at the same time, after the rest. */
  readonly memoryTogether: boolean;
}

/** Some three minutes a language. */
export const THOROUGH: Plan = {
  settleMs: 2_000,
  measureMs: 6_000,
  attempts: 3,
  bisect: false,
  memorySpeed: 5,
  memoryTogether: false,
};
/** All languages in some five minutes. */
export const QUICK: Plan = {
  settleMs: 1_000,
  measureMs: 3_000,
  attempts: 2,
  bisect: true,
  memorySpeed: 1,
  memoryTogether: true,
};

/** What a process of a language can do. */
export interface Capacity {
  /** Calls that one process echoed, and with the next number of calls it did not any more. */
  readonly calls: number;
  /** At that number: when 99 of 100 frames were back; CPU, of one core; resident memory. */
  readonly p99Ms: number;
  readonly cpuPercent: number;
  readonly residentMiB: number;
  /** How much the memory grew while nobody read the audio of 100 calls. */
  readonly unreadGrowthMiB: number;
  readonly ok: boolean;
}

/**
 * Measures how many calls one process of each language echoes, one language after the other since two would measure each
 * other, and its memory when its handlers never read.
 */
export async function measureCapacity(
  languages: readonly Language[],
  plan: Plan,
  print: (line: string) => void,
): Promise<Record<string, Capacity>> {
  const measured: Record<string, Capacity> = {};
  const memory: (() => Promise<void>)[] = [];
  for (const language of languages) {
    const { name } = language;
    const command = await language.prepare();
    const make = () => new Program(name, command);
    const echo = await echoed(make, plan, (line) => print(`${name} ${line}`));
    const remember = async () => {
      const unreadGrowthMiB = await unread(make(), plan.memorySpeed);
      print(`${name} ${MEMORY_CALLS} calls that nobody reads: memory grew by ${unreadGrowthMiB} MiB`);
      const ok = echo.calls > 0 && unreadGrowthMiB <= MEMORY_GROWTH_MIB;
      measured[name] = { ...echo, unreadGrowthMiB, ok };
    };
    if (plan.memoryTogether) memory.push(remember);
    else await remember();
  }
  await Promise.all(memory.map((remember) => remember()));
  return measured;
}

type Echo = Omit<Capacity, "unreadGrowthMiB" | "ok">;

async function echoed(make: () => Program, plan: Plan, print: (line: string) => void): Promise<Echo> {
  let best: Echo = { calls: 0, p99Ms: 0, cpuPercent: 0, residentMiB: 0 };
  let [from, to] = [0, STEPS.length];
  while (from < to) {
    const at = plan.bisect ? (from + to) >> 1 : from;
    let measured: Echo | undefined;
    for (let n = 0; n < plan.attempts && !measured; n++) {
      measured = await echoedBy(make(), STEPS[at] ?? 0, plan, print);
    }
    if (measured) [best, from] = [measured, at + 1];
    else if (plan.bisect) to = at;
    else break;
  }
  return best;
}

/** With a process of its own: what one stall left behind in the queues is not measured with the next number. */
async function echoedBy(
  program: Program,
  calls: number,
  plan: Plan,
  print: (line: string) => void,
): Promise<Echo | undefined> {
  const gateway = await PushingGateway.start();
  try {
    await start(program, gateway, "echo");
    gateway.offer(calls);
    await until(() => gateway.taken === calls, `${calls} calls`, 30_000);
    await sleep(plan.settleMs);
    return await measure(program, gateway, calls, plan.measureMs, print);
  } finally {
    await program.end();
    gateway.stop();
  }
}

/** Measures as many calls as there are; undefined when that is not good enough. */
async function measure(
  program: Program,
  gateway: PushingGateway,
  calls: number,
  measureMs: number,
  print: (line: string) => void,
): Promise<Echo | undefined> {
  gateway.reset();
  const before = usageOf(program.pid);
  const own = process.cpuUsage();
  await sleep(measureMs);
  const { user, system } = process.cpuUsage(own);
  const { cpuMs, residentMiB } = usageOf(program.pid);
  const sorted = gateway.latenciesMs.sort((a, b) => a - b);
  const p99Ms = Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? Number.POSITIVE_INFINITY);
  const missing = gateway.missing(LOST_MS);
  const cpuPercent = Math.round(((cpuMs - before.cpuMs) / measureMs) * 100);
  const ownPercent = Math.round((user + system) / 10 / measureMs);
  print(
    `${calls} calls: p99 ${p99Ms} ms, missing ${missing}, wrong ${gateway.wrong}, ` +
      `CPU ${cpuPercent} %, ${residentMiB} MiB; the measuring side: CPU ${ownPercent} %`,
  );
  const good = missing === 0 && gateway.wrong === 0 && p99Ms <= MAX_LATE_MS;
  return good ? { calls, p99Ms, cpuPercent, residentMiB } : undefined;
}

async function unread(program: Program, speed: number): Promise<number> {
  const gateway = await PushingGateway.start(speed);
  try {
    await start(program, gateway, "keep");
    gateway.offer(MEMORY_CALLS);
    await until(() => gateway.taken === MEMORY_CALLS, `${MEMORY_CALLS} calls`, 30_000);
    await sleep(MEMORY_FROM_MS);
    const before = usageOf(program.pid).residentMiB;
    await sleep(MEMORY_MS - MEMORY_FROM_MS);
    return usageOf(program.pid).residentMiB - before;
  } finally {
    await program.end();
    gateway.stop();
  }
}

async function start(program: Program, gateway: PushingGateway, handler: string): Promise<void> {
  await program.ready();
  const options = { agentId: "many", capacity: 1000, maxAudioQueuedMs: 500, handler };
  const reply = await program.tell({ do: "start", endpoints: [gateway.address], ...options })(20_000);
  if (!reply.ok) throw new Error(`"start" failed: ${JSON.stringify(reply.error)}`);
}

/** CPU time so far and resident memory of a process. Linux alone. */
function usageOf(pid: number): { readonly cpuMs: number; readonly residentMiB: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Behind the name, which may hold anything: state is field 3, utime 14, stime 15, rss 24.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const cpuMs = ((fields[11] ?? 0) + (fields[12] ?? 0)) * TICK_MS;
  return { cpuMs, residentMiB: Math.round(((fields[21] ?? 0) * PAGE_BYTES) / 2 ** 20) };
}
