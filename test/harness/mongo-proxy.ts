import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What the proxy does with bytes. drop: they vanish, connections stay open. */
export type WireFault = "none" | "drop" | { readonly delayMs: number };

/** A TCP proxy with faults on demand. */
export interface FaultProxy {
  /** On 127.0.0.1. */
  readonly port: number;
  /** From now on, for both directions and all connections; new ones are refused with "refuse". */
  fault(fault: WireFault | "refuse"): void;
  /** Cuts what is open, by a reset. */
  cut(): void;
  stop(): Promise<void>;
}

/** Starts one on a free port of 127.0.0.1 in front of a port of `host`. */
export async function startFaultProxy(target: number, host = "127.0.0.1"): Promise<FaultProxy> {
  const open = new Set<Socket>();
  let now: WireFault | "refuse" = "none";
  const server = createServer((client) => {
    client.on("error", () => {});
    if (now === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(target, host);
    open.add(client);
    upstream.on("error", () => client.destroy());
    client.on("close", () => {
      open.delete(client);
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
    const pass = (from: Socket, to: Socket) =>
      from.on("data", (bytes) => {
        if (now === "drop") return;
        const send = () => {
          if (to.writable) to.write(bytes);
        };
        if (typeof now === "object") setTimeout(send, now.delayMs);
        else send();
      });
    pass(client, upstream);
    pass(upstream, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const client of open) client.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    fault(fault) {
      now = fault;
    },
    cut,
    async stop() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
