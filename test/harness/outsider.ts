import { fileURLToPath } from "node:url";
import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

// Somebody who has the .proto text, grpc-js and proto-loader, and no code of ours but the reader of error details.
const definition = loadSync(
  ["agent_service", "audit_service", "call_service", "context_service", "fleet_service"].map(
    (name) => `callweave/v1/${name}.proto`,
  ),
  {
    includeDirs: [fileURLToPath(new URL("../../proto/", import.meta.url))],
    keepCase: true,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);
// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
type Any = any;
const { v1 } = (grpc.loadPackageDefinition(definition) as Any).callweave;

/** A refusal as an outsider sees it. */
export interface Refusal {
  readonly code: number;
  readonly details: string;
  readonly reason: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What came on a stream, and how it ended. */
export interface Stream {
  readonly items: Any[];
  readonly end: Promise<grpc.StatusObject>;
  readonly ended: boolean;
  cancel(): void;
}

/** A Serve stream. */
export interface ServeStream extends Stream {
  send(...items: object[]): void;
  finish(): void;
}

/** Plain clients of one gateway on one connection. */
export class Outsider {
  private readonly clients = new Map<string, Any>();

  constructor(
    readonly address: string,
    private readonly token?: string,
    private readonly credentials = grpc.credentials.createInsecure(),
  ) {}

  /** One unary request to "CallService", "ContextService" or "FleetService". */
  ask(service: string, method: string, request: object): Promise<Any> {
    return new Promise((resolve, reject) => {
      this.client(service)[method](request, this.metadata(), (error: unknown, response: unknown) =>
        error ? reject(error) : resolve(response),
      );
    });
  }

  /** A request that has to be refused; answers how. */
  async refused(service: string, method: string, request: object): Promise<Refusal> {
    const outcome = await this.ask(service, method, request).then(
      (response) => ({ response }),
      (error: grpc.ServiceError) => ({ error }),
    );
    if (!("error" in outcome)) {
      throw new Error(`${method} was not refused: ${JSON.stringify(outcome.response)}`);
    }
    return refusalOf(outcome.error);
  }

  /** A stream from the server: `items` are its messages. */
  follow(service: string, method: string, request: object): Stream {
    const stream = this.client(service)[method](request, this.metadata());
    const items: Any[] = [];
    stream.on("data", (message: Any) => items.push(message));
    return Object.assign(endOf(stream), { items });
  }

  /** A Serve stream: `items` are what the gateway says, one by one. */
  serve(...first: object[]): ServeStream {
    const stream = this.client("AgentService").Serve(this.metadata());
    const items: Any[] = [];
    stream.on("data", (message: Any) => items.push(...message.items));
    if (first.length > 0) stream.write({ items: first });
    return Object.assign(endOf(stream), {
      items,
      send: (...sent: object[]) => void stream.write({ items: sent }),
      finish: () => stream.end(),
    });
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
  }

  private client(service: string): Any {
    let client = this.clients.get(service);
    if (!client) {
      client = new v1[service](this.address, this.credentials, {
        "grpc.enable_http_proxy": 0,
        "grpc.use_local_subchannel_pool": 1,
        "grpc.enable_retries": 0,
      });
      this.clients.set(service, client);
    }
    return client;
  }

  private metadata(): grpc.Metadata {
    const metadata = new grpc.Metadata();
    if (this.token !== undefined) metadata.set("authorization", `Bearer ${this.token}`);
    return metadata;
  }
}

/** The refusal in a status with details. */
export function refusalOf(error: { code: number; details: string; metadata: grpc.Metadata }): Refusal {
  const [bytes] = error.metadata.get(STATUS_DETAILS_KEY);
  const info = bytes ? decodeStatusDetails(bytes as Buffer).errorInfo : undefined;
  return {
    code: error.code,
    details: error.details,
    reason: info?.reason,
    metadata: info?.metadata ?? {},
  };
}

function endOf(stream: Any): Pick<Stream, "end" | "ended" | "cancel"> {
  let ended = false;
  const end = new Promise<grpc.StatusObject>((resolve) =>
    stream.once("status", (status: grpc.StatusObject) => {
      ended = true;
      resolve(status);
    }),
  );
  stream.on("error", () => {});
  return {
    end,
    get ended() {
      return ended;
    },
    cancel: () => stream.cancel(),
  };
}
