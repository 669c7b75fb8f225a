/**
 * Kills gateways under a talking agent and measures until the caller hears it again; docs/performance.md says how and what
 * came out. Rests on assumption A1 (docs/limits.md): that the provider lets a call of a dead gateway be claimed again.
 */
import { writeFileSync } from "node:fs";
import { parseOrphanPolicy, type SimCall } from "@callweave/simulator";
import { agent, type Call, type CallEvent, connect } from "callweave";
import { Command, InvalidArgumentError } from "commander";
import { callTimeMs, endlessTone, msHeard } from "../test/harness/audio.js";
import { type GatewayProcess, TestCluster } from "../test/harness/cluster.js";
import { until } from "../test/harness/gateway.js";

const TONE_HZ = 5000;

interface Options {
  readonly kills: number;
  readonly orphan: string;
  readonly json: boolean;
  readonly out?: string;
}

/** One kill and what was seen. */
interface Kill {
  readonly number: number;
  /** From SIGKILL until the caller hears the agent again, on the clock of the call. */
  readonly silenceMs: number;
  /** From SIGKILL until another gateway said that it has the call. */
  readonly takenOverMs: number;
  readonly problems: readonly string[];
}

const program = new Command("takeover")
  .description(
    "SIGKILLs gateways under a talking agent: how long the caller waits, and whether anything was lost or doubled",
  )
  .option("--kills <n>", "gateways killed, one after the other", whole(1, 1_000), 10)
  .option("--orphan <policy>", "the provider's answer: renotify, list_only or busy_for:SECONDS", "renotify")
  .option("--json", "the last line is one JSON object", false)
  .option("--out <file>", "writes all figures to a file")
  .parse();

await main(program.opts<Options>());

async function main(options: Options): Promise<void> {
  const cluster = await TestCluster.start({ simulator: { orphan: parseOrphanPolicy(options.orphan) } });
  const kills: Kill[] = [];
  try {
    for (let number = 1; number <= options.kills; number++) {
      const kill = await killOnce(cluster, number);
      kills.push(kill);
      const what = kill.problems.length > 0 ? `  PROBLEM: ${kill.problems.join("; ")}` : "";
      if (process.stdout.isTTY || !options.json || what)
        console.log(`${number}/${options.kills}  heard again after ${Math.round(kill.silenceMs)} ms${what}`);
    }
  } finally {
    await cluster.stop();
  }
  const silences = kills.map(({ silenceMs }) => silenceMs).sort((a, b) => a - b);
  const summary = {
    ok: kills.every(({ problems }) => problems.length === 0),
    kills: kills.length,
    orphan: options.orphan,
    leaseMs: 2_000,
    silenceMs: { p50: quantile(silences, 0.5), p99: quantile(silences, 0.99), max: silences.at(-1) ?? 0 },
    afterLeaseMs: {
      p50: quantile(silences, 0.5) - 2_000,
      p99: quantile(silences, 0.99) - 2_000,
    },
    problems: kills.flatMap(({ number, problems }) => problems.map((text) => `kill ${number}: ${text}`)),
  };
  if (options.out) writeFileSync(options.out, JSON.stringify({ ...summary, each: kills }, undefined, 2));
  if (!options.json)
    console.log(`p50 ${summary.silenceMs.p50} ms, p99 ${summary.silenceMs.p99} ms, of which 2,000 ms lease`);
  console.log(JSON.stringify(summary));
  process.exitCode = summary.ok ? 0 : 1;
}

/** One call, one agent, one dead gateway. A new gateway stands in for it afterwards. */
async function killOnce(cluster: TestCluster, number: number): Promise<Kill> {
  const alive = cluster.gateways.filter(({ child }) => child.running);
  const endpoints = alive.map(({ address }) => address);
  // Also with the agent at the gateway that dies, and at the one that lives.
  if (number % 2 === 0) endpoints.reverse();
  const given: Call[] = [];
  const problems: string[] = [];
  const worker = agent(
    { endpoints, agentId: "talker", capacity: 1, whenHandlerReturns: "keep", onError: () => {} },
    (call) => {
      given.push(call);
      void call.play(endlessTone(TONE_HZ, call.signal)).catch(() => {});
    },
  );
  await worker.start();
  try {
    const phone = cluster.simulator.placeCall();
    await phone.waitUntil(() => msHeard(phone, "caller", TONE_HZ) > 500, { timeoutMs: 30_000 });
    const call = await until(() => given[0], "the call");
    const owner = await ownerOf(cluster, call.id);
    const survivor = cluster.others(owner.id)[0] as GatewayProcess;
    const events: CallEvent[] = [];
    const over = new AbortController();
    let takenOverMs = -1;
    const client = connect({ endpoint: survivor.address });
    const { cursor } = await client.calls.list();
    const follow = async () => {
      for await (const item of client.calls.watch({ cursor, signal: over.signal })) {
        if (item.type !== "event") continue;
        events.push(item.event);
        if (item.event.type === "takenOver" && takenOverMs < 0) takenOverMs = performance.now() - killedMs;
      }
    };
    const following = follow().catch((error: unknown) => {
      if (!over.signal.aborted) problems.push(`watch failed: ${error}`);
    });
    const killedMs = performance.now();
    const deadAtMs = callTimeMs(phone);
    await owner.kill();
    const silenceMs = await heardAgain(phone, deadAtMs);
    if (given.length !== 1) problems.push(`the agent was given ${given.length} calls instead of keeping one`);
    const snapshot = await client.calls.get(call.id);
    if (snapshot.state !== "ANSWERED") problems.push(`state ${snapshot.state}`);
    if (snapshot.seat.agentId !== "talker") problems.push("another agent has the seat");
    problems.push(...holesIn(events, call.id));
    await call.disconnect();
    await phone.waitFor("DISCONNECTED");
    const commands = phone.events.filter(({ direction }) => direction === "in").map(({ type }) => type);
    for (const once of ["call.answer", "call.disconnect"])
      if (commands.filter((type) => type === once).length > 1) problems.push(`${once} was sent twice`);
    over.abort();
    await following;
    await client.close();
    return { number, silenceMs, takenOverMs, problems };
  } finally {
    await worker.close();
    await cluster.add();
  }
}

async function ownerOf(cluster: TestCluster, callId: string): Promise<GatewayProcess> {
  const [any] = cluster.gateways.filter(({ child }) => child.running);
  const client = connect({ endpoint: (any as GatewayProcess).address });
  try {
    return cluster.get((await client.calls.get(callId)).gatewayId);
  } finally {
    await client.close();
  }
}

/** From the death on, how long until 100 ms of the agent were heard; what the provider still had to play does not count. */
async function heardAgain(phone: SimCall, deadAtMs: number): Promise<number> {
  const restMs = 1_500;
  const again = () => msHeard(phone, "caller", TONE_HZ, { fromMs: deadAtMs + restMs }) >= 100;
  await phone.waitUntil(again, { timeoutMs: 60_000 });
  return callTimeMs(phone) - deadAtMs - 100;
}

function holesIn(events: readonly CallEvent[], callId: string): string[] {
  const own = events
    .filter((event) => event.callId === callId && event.durable)
    .map(({ sequence }) => sequence);
  const first = own[0] ?? 0;
  return own.every((sequence, index) => sequence === first + index) ? [] : [`events ${own.join(" ")}`];
}

function quantile(sorted: readonly number[], q: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0);
}

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}`);
    return value;
  };
}
