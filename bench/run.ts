import { bundle } from "./bundle.js";
import { Child, type ChildOptions } from "./child.js";
import { sleep } from "./clock.js";
import type { ProbeReading } from "./processes/probe.js";
import { measureWindow, type RunParts, type WindowResult } from "./window.js";

export type { Generator, RunParts } from "./window.js";

/** One run, with what the probe in each subject said. */
export interface RunResult extends WindowResult {
  /** Of the subject whose event loop was the latest. */
  readonly probe: ProbeReading;
}

/** Where what is measured runs, and where everything else does. */
export const GATEWAY_CORE = 0;
export const HARNESS_CORE = 1;
export const PLACE_EVERY_MS = 15;

/** The arguments of node for a process of the bench. */
export function program(name: string): string[] {
  return [`bench/processes/${name}.ts`];
}

/** What starts a gateway that the bench measures, with the probe in it; resolves with its port. */
export function gatewayOptions(config: string, nodeArgs: readonly string[]) {
  return plainGatewayOptions(config, [...nodeArgs, ...bundle().probe]);
}

/** The same without the probe: nothing but `serve`. */
export function plainGatewayOptions(config: string, nodeArgs: readonly string[] = []) {
  return {
    core: GATEWAY_CORE,
    bare: true,
    nodeArgs,
    args: [...bundle().gateway, "serve", "--config", config],
    readyLine: (line: string) => /"port":(\d+).*"serving"/.exec(line)?.[1],
  };
}

/** The configuration of a gateway for load generators at those ports. `grpc`: more of its section. */
export function gatewayConfig(
  stateDir: string,
  ports: number | readonly number[],
  id = "bench",
  grpc: object = {},
): object {
  return {
    gateway: { id, state_dir: stateDir, grpc: { port: 0, ...grpc } },
    connectors: [ports].flat().map((port, index) => ({
      name: index === 0 ? "main" : `main-${index + 1}`,
      kind: "telcoflow",
      base_url: `ws://127.0.0.1:${port}`,
      auth: { api_key: "bench", connector_uuid: "bench" },
      sample_rate_hz: 24_000,
    })),
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

/** Warms up, opens the window, and tells what was seen in it. Every subject carries the probe. */
export async function measure(
  options: { readonly calls: number; readonly warmUpSeconds: number; readonly seconds: number },
  parts: RunParts,
): Promise<RunResult> {
  await sleep(options.warmUpSeconds * 1000);
  await Promise.all(parts.subjects.map((subject) => subject.ask("reset")));
  const window = await measureWindow(options, parts);
  const probes = await Promise.all(parts.subjects.map((subject) => subject.ask<ProbeReading>("read")));
  return {
    ...window,
    probe: probes.reduce((worst, one) => (one.loopDelayMs.p99 > worst.loopDelayMs.p99 ? one : worst)),
  };
}
