import { readFileSync } from "node:fs";
import { Simulator } from "@callweave/simulator";
import { configOf, type GatewaySetup, writeConfig } from "./gateway-config.js";
import { type Child, startProgram } from "./process.js";
import type { Rig } from "./rig.js";

/** How a gateway is started as a process. */
export interface ServedOptions extends GatewaySetup {
  /** Merged over the whole configuration. */
  readonly sections?: object;
  /** Default: a folder of its own, removed at the end. */
  readonly stateDir?: string;
  readonly env?: Record<string, string>;
  /** Called with the process before it serves. */
  readonly onStart?: (child: Child) => void;
}

/** A gateway as a process of its own, in front of a simulator in this one. */
export interface Served {
  readonly simulator: Simulator;
  readonly child: Child;
  /** "127.0.0.1:PORT" of gRPC. */
  readonly address: string;
  readonly port: number;
  readonly opsPort: number;
  readonly deskPort: number;
  readonly stateDir: string;
  /** The most memory that the gateway has had so far (resident), MiB. */
  peakMib(): number;
}

/** Starts a gateway as a process; resolves when it is signed in. */
export async function startServed(rig: Rig, options: ServedOptions = {}): Promise<Served> {
  const folder = await rig.folder("callweave-served-");
  const stateDir = options.stateDir ?? folder;
  const simulator = await Simulator.start(options.simulator ?? {});
  rig.defer(() => simulator.stop());
  const config = { ...configOf(options, simulator, stateDir), ops: { port: 0 }, ...options.sections };
  const file = await writeConfig(folder, config);
  const child = startProgram("gateway/src/main.ts", ["serve", "--config", file], options.env ?? {});
  rig.defer(() => child.end());
  options.onStart?.(child);
  const line = await child.line((found) => found.msg === "serving", "the gateway to serve", 40_000);
  await simulator.waitForConnections({ timeoutMs: 20_000 });
  return {
    simulator,
    child,
    address: `127.0.0.1:${line.port}`,
    port: Number(line.port),
    opsPort: Number(line.ops_port),
    deskPort: Number(line.desk_port ?? 0),
    stateDir,
    peakMib: () => {
      const kib = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      return Number(kib) / 1024;
    },
  };
}
