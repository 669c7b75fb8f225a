import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy whose connections can be cut. */
export interface Proxy {
  /** "127.0.0.1:PORT". */
  readonly address: string;
  readonly connections: number;
  /** Cuts what is open, by a reset. */
  cut(): void;
  /** From now on new connections are cut at once, or let through again. */
  refuse(on: boolean): void;
  stop(): Promise<void>;
}

/** Starts a proxy on a free port in front of "HOST:PORT". */
export async function startProxy(target: string): Promise<Proxy> {
  const [host = "127.0.0.1", port = "0"] = target.split(":");
  const open = new Set<Socket>();
  let refusing = false;
  const server = createServer((client) => {
    client.on("error", () => {});
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(Number(port), host);
    upstream.on("error", () => client.destroy());
    client.on("close", () => {
      open.delete(client);
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
    open.add(client);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const client of open) client.resetAndDestroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return open.size;
    },
    cut,
    refuse(on) {
      refusing = on;
    },
    async stop() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
