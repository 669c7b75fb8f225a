import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/** What a page answers. */
export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** The pages by path, made anew for each request. */
export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

/** Options of the server. */
export interface OpsServerOptions {
  readonly host: string;
  /** 0: any free port. Undefined: `defaultPort`, or any free port when that is taken. */
  readonly port?: number | undefined;
  readonly defaultPort: number;
  /** Connections at a time; further ones are closed at once. */
  readonly maxConnections: number;
  /** How long a client may take for its request, ms. Default 5,000. */
  readonly requestTimeoutMs?: number;
}

/** A small HTTP server that only answers GET and HEAD, for probes and monitoring. */
export class OpsServer {
  private readonly server: Server;

  constructor(
    private readonly options: OpsServerOptions,
    private readonly pages: Pages,
  ) {
    const timeout = options.requestTimeoutMs ?? 5_000;
    this.server = createServer(
      {
        requestTimeout: timeout,
        headersTimeout: timeout,
        connectionsCheckingInterval: Math.min(1_000, timeout),
        keepAliveTimeout: 65_000,
        maxHeaderSize: 8_192,
      },
      (request, response) => void this.answer(request, response),
    );
    this.server.maxConnections = options.maxConnections;
  }

  /** Listens; answers the port. Rejects when the port that was asked for is taken, naming the key. */
  async listen(): Promise<{ port: number; insteadOf?: number }> {
    const { host, port, defaultPort } = this.options;
    try {
      return { port: await this.tryListen(port ?? defaultPort) };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EADDRINUSE" || port !== undefined) {
        throw new Error(`ops: cannot listen on ${host}:${port ?? defaultPort} (${code ?? "unknown"})`, {
          cause: error,
        });
      }
      return { port: await this.tryListen(0), insteadOf: defaultPort };
    }
  }

  /** Closes everything. May be called more than once. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private tryListen(port: number): Promise<number> {
    const { server } = this;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, this.options.host, () => {
        server.off("error", reject);
        const address = server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = await this.pageFor(request);
    const body = Buffer.from(page.body);
    response.writeHead(page.status, {
      "content-type": page.type,
      "content-length": body.length,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...(page.status === 405 ? { allow: "GET, HEAD" } : {}),
      // What is sent with another method is not read.
      ...(page.status === 405 ? { connection: "close" } : {}),
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  private async pageFor(request: IncomingMessage): Promise<Page> {
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "only GET and HEAD\n");
    const [path = ""] = (request.url ?? "").split("?");
    const page = Object.hasOwn(this.pages, path) ? this.pages[path] : undefined;
    if (!page) return plain(404, `not here; there are ${Object.keys(this.pages).join(", ")}\n`);
    try {
      return await page();
    } catch {
      return plain(500, "this page could not be made\n");
    }
  }
}

function plain(status: number, body: string): Page {
  return { status, type: "text/plain; charset=utf-8", body };
}
