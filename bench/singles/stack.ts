import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startNats } from "../../test/harness/nats.js";
import { type Child, pin } from "../child.js";
import type { ProviderTimes } from "../processes/media-call.js";
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

/** The processes of a figure: a gateway on its core, the provider's side on the other. */
export interface Stack {
  readonly start: Start;
  readonly generator: Generator;
  readonly gateway: Child<number>;
  /** Of the gateway's gRPC server. */
  readonly port: number;
  /** Process ids of servers beside it. */
  readonly servers: readonly number[];
}

/** What a stack is made of. */
export interface StackShape {
  /** With NATS, and so with the event log in JetStream. */
  readonly nats?: boolean;
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
      const config = {
        ...gatewayConfig(join(folder, "state"), (await generator.ready).port),
        ...(nats ? { nats: { urls: [nats.url] } } : {}),
        ...shape.config,
      };
      const file = join(folder, "callweave.yaml");
      await writeFile(file, stringify(config));
      const gateway = await start<number>({ name: "gateway", ...gatewayOptions(file, []) });
      await generator.ask("waitForControls", { count: 1 });
      const port = Number(await gateway.ready);
      return await body({ start, generator, gateway, port, servers: nats ? [nats.pid] : [] });
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
