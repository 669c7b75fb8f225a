import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import { configOf, type Stack, writeConfig } from "../harness/gateway.js";
import { startProxy, type Proxy as TcpProxy } from "../harness/proxy.js";
import { type StandIn, startNewerGateway, startOlderGateway } from "./stand-ins.js";
import type { Via } from "./steps-schema.js";

/** The ways by which programs reach the gateway of a scenario, or what they take for one. */
export class Ways {
  private proxy: TcpProxy | undefined;
  private readonly standIns = new Map<Via, StandIn>();
  private second: { readonly gateway: RunningGateway; readonly folder: string } | undefined;

  constructor(
    private readonly stack: Stack,
    private readonly sampleRateHz: 8000 | 16_000 | 24_000,
  ) {}

  /** The endpoints of a way. */
  async endpoints(via: Via): Promise<string[]> {
    const { address } = this.stack;
    switch (via) {
      case "gateway":
        return [address];
      case "proxy":
        this.proxy ??= await startProxy(address);
        return [this.proxy.address];
      case "newer":
        return [await this.standIn(via, () => startNewerGateway(address))];
      case "older":
        return [await this.standIn(via, startOlderGateway)];
      case "garbage":
        return [await this.standIn(via, startGarbage)];
      case "nobody":
        return [await freeAddress()];
      case "nobody-then-gateway":
        return [await freeAddress(), address];
      case "both":
        return [address, await this.secondGateway()];
    }
  }

  /** Over the proxy, now. */
  get connections(): number {
    return this.proxy?.connections ?? 0;
  }

  /** Cuts the connections over the proxy and refuses new ones, or lets them through again. */
  cut(on: boolean): void {
    if (!this.proxy) throw new Error("no program came over the proxy");
    this.proxy.refuse(on);
    if (on) this.proxy.cut();
  }

  async stop(): Promise<void> {
    for (const standIn of this.standIns.values()) await standIn.stop();
    await this.proxy?.stop();
    await this.second?.gateway.stop();
    if (this.second) await rm(this.second.folder, { recursive: true, force: true });
  }

  private async standIn(via: Via, start: () => Promise<StandIn>): Promise<string> {
    let standIn = this.standIns.get(via);
    if (!standIn) {
      standIn = await start();
      this.standIns.set(via, standIn);
    }
    return standIn.address;
  }

  /** Of the same provider; it takes no calls of its own, so that the first has them. */
  private async secondGateway(): Promise<string> {
    if (!this.second) {
      const folder = await mkdtemp(join(tmpdir(), "callweave-conformance-second-"));
      const { sampleRateHz } = this;
      const base = configOf({ sampleRateHz }, this.stack.simulator, folder) as { gateway: object };
      const gateway = { ...base.gateway, id: "gateway-second" };
      const config = loadConfig({
        file: await writeConfig(folder, { ...base, gateway, routes: [{ unserved: "leave" }] }),
        env: {},
        cwd: folder,
      });
      this.second = { gateway: await startGateway(config, silentLogger, { claimJitterMs: 0 }), folder };
    }
    return `127.0.0.1:${this.second.gateway.port}`;
  }
}

/** A server that answers every connection with what is no HTTP/2. */
async function startGarbage(): Promise<StandIn> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => socket.write(Buffer.alloc(512, "callweave? ")));
  });
  const address = await listen(server);
  return { address, stop: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** An address at which nobody listens. */
async function freeAddress(): Promise<string> {
  const server = createServer();
  const address = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return address;
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
