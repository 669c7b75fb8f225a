import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startNats } from "../../test/harness/nats.js";
import { type Child, pin } from "../child.js";
import type { ProviderTimes } from "../processes/media-call.js";
import type { WindowReport } from "../processes/traffic.js";
import {
  type Generator,
  gatewayConfig,
  gatewayOptions,
  HARNESS_CORE,
  PLACE_EVERY_MS,
  program,
  type Start,
  withChildren,
} from "../run.js";
import { type Harness, harness } from "../suites/harness.js";
import { whyInvalid } from "../window.js";
import type { SingleOptions } from "./single.js";

/** The processes of a figure: a gateway on its core, the provider's side on the other. */
export interface Stack {
  readonly start: Start;
  readonly generator: Generator;
  readonly gateway: Child<number>;
  /** Of the gateway's gRPC server. */
  readonly port: number;
  /** Process ids of servers beside it. */
  readonly servers: readonly number[];
  /** Another provider, in Go, whose calls do nothing but talk; undefined when none was asked for or there is no Go. */
  readonly talkers: Generator | undefined;
}

/** Starting and ending a stack with an agent. For estimates. */
export const STACK_SECONDS = 6;
/** Until what is under way at the end of a window is there. For estimates. */
export const AFTER_WINDOW_SECONDS = 1.5;

/** What a stack is made of. */
export interface StackShape {
  /** With NATS, and so with the event log in JetStream. */
  readonly nats?: boolean;
  /** With another provider for calls that talk beside those that are measured, where there is Go. */
  readonly talk?: boolean;
  /** Laid over the gateway's configuration. */
  readonly config?: object;
}

/** Starts a provider and a gateway, as `serve` runs it, and ends everything when `body` is over. */
export async function withStack<T>(shape: StackShape, body: (stack: Stack) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "callweave-bench-"));
  const nats = shape.nats ? await startNats() : undefined;
  if (nats) pin(nats.pid, HARNESS_CORE);
  try {
    return await withChildren(async (start) => {
      const generator: Generator = await start({ name: "load generator", args: program("load-generator") });
      const inGo = shape.talk ? goHarness() : undefined;
      const talkers = await inGo?.generator(start);
      const ports = await Promise.all([generator, ...(talkers ? [talkers] : [])].map(({ ready }) => ready));
      const config = {
        ...gatewayConfig(
          join(folder, "state"),
          ports.map(({ port }) => port),
        ),
        ...(nats ? { nats: { urls: [nats.url] } } : {}),
        ...shape.config,
      };
      const file = join(folder, "callweave.yaml");
      await writeFile(file, stringify(config));
      const gateway = await start<number>({ name: "gateway", ...gatewayOptions(file, []) });
      for (const one of [generator, talkers]) await one?.ask("waitForControls", { count: 1 });
      const port = Number(await gateway.ready);
      return await body({ start, generator, gateway, port, servers: nats ? [nats.pid] : [], talkers });
    });
  } finally {
    await nats?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** An agent that says back what it hears; the stack's gateway unless `port` says otherwise. */
export function startEcho(
  { start, port: own }: Stack,
  { capacity, streams = 1, port = own }: { capacity: number; streams?: number; port?: number },
): Promise<Child<unknown>> {
  const args = [...program("echo-agent"), `127.0.0.1:${port}`, String(capacity), String(streams), "each"];
  return start({ name: "agent", args });
}

/** Between an agent and the gateway: a way that takes time, or only counts. */
export async function startProxy({ start, port }: Stack, oneWayMs: number): Promise<Child<{ port: number }>> {
  const args = [...program("delay-proxy"), String(port), String(oneWayMs)];
  return start<{ port: number }>({ name: "proxy", args });
}

/** Places calls; resolves with their ids when all are answered. */
export async function placeCalls({ generator }: Stack, count: number): Promise<string[]> {
  const placed = await generator.ask<ProviderTimes[]>("placeCalls", { count, everyMs: PLACE_EVERY_MS });
  return placed.map(({ callId }) => callId);
}

/** How long it takes to place so many calls, in seconds. */
export function placeSeconds(count: number): number {
  return (count * PLACE_EVERY_MS) / 1000;
}

/** Calls that talk while something else is measured. */
export interface Talk {
  /** What they cost beside the gateway: processes on the core of the harness. */
  readonly processes: readonly Child<unknown>[];
  /** Begins to watch them. */
  open(): Promise<void>;
  /** Why what was measured meanwhile says nothing: they were late or lost frames. Empty when they were well. */
  close(): Promise<string>;
}

/** How many calls talk: a few, and half of what one core carries; without Go as many as the load generator can. */
export function talkLoads({ calls, quick }: SingleOptions): readonly number[] {
  if (calls) return [calls];
  if (quick) return [25];
  return goHarness() ? [100, 400] : [100, 150];
}

/** Places so many calls that talk, with an agent of their own; resolves when all are answered. Other agents must be full. */
export async function startTalk(stack: Stack, count: number): Promise<Talk> {
  const { start, port, talkers } = stack;
  if (!talkers) {
    const agent = await startEcho(stack, { capacity: count });
    await placeCalls(stack, count);
    // The generator of what is measured is theirs too, and is watched there.
    return { processes: [agent], open: async () => {}, close: async () => "" };
  }
  const agent = await harness().agent(start, `127.0.0.1:${port}`, { capacity: count, streams: 4 });
  await talkers.ask("placeCalls", { count, everyMs: PLACE_EVERY_MS });
  return {
    processes: [agent, talkers],
    async open() {
      await talkers.ask("openWindow");
    },
    async close() {
      const report = await talkers.ask<WindowReport>("closeWindow");
      const { framesSent, framesReceived } = report;
      const lost = framesSent - framesReceived;
      return lost > 0 ? `${lost} of ${framesSent} frames of the talk were lost` : whyInvalid(report, 0);
    },
  };
}

function goHarness(): Harness | undefined {
  const one = harness();
  return one.kind === "go" ? one : undefined;
}
