import { fileURLToPath } from "node:url";
import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath as healthProto } from "grpc-health-check";
import { afterEach, expect } from "vitest";
import { FakeApi, FakeLogger } from "../../gateway/src/contract/testing.js";
import type { GrpcEdgeOptions } from "../../gateway/src/grpc/options.js";
import { createGrpcServer, type GrpcEdge } from "../../gateway/src/grpc/server.js";

// The client here is an outsider: it reads the .proto text with proto-loader and shares no code with the gateway.
const root = fileURLToPath(new URL("../../proto/", import.meta.url));
const services = ["agent_service", "audit_service", "call_service", "context_service", "fleet_service"];
const definition = loadSync([...services.map((name) => `callweave/v1/${name}.proto`), healthProto], {
  includeDirs: [root],
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
/** The contract and grpc.health.v1 as grpc-js makes them from the text. */
// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
export const loaded = grpc.loadPackageDefinition(definition) as any;

const started: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

/** The edge over a fake core, stopped after the test; `client` makes clients of it. */
export async function start(options: GrpcEdgeOptions = {}) {
  const api = new FakeApi();
  const logger = new FakeLogger();
  const edge: GrpcEdge = createGrpcServer(api, options, logger);
  started.push(() => edge.stop());
  const port = await edge.listen();
  edge.setServing(true);
  const address = `127.0.0.1:${port}`;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const client = (Service: any, clientOptions: grpc.ClientOptions = {}) => {
    const made = new Service(address, grpc.credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      ...clientOptions,
    });
    started.push(() => made.close());
    return made;
  };
  return { api, logger, edge, port, address, client, v1: loaded.callweave.v1 };
}

/** One unary call. */
export function unary(
  // biome-ignore lint/suspicious/noExplicitAny: see above
  client: any,
  method: string,
  request: object,
  metadata = new grpc.Metadata(),
  // biome-ignore lint/suspicious/noExplicitAny: see above
): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, (error: unknown, response: unknown) =>
      error ? reject(error) : resolve(response),
    );
  });
}

/** How a call was refused: code, message and the ErrorInfo of the trailers. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export async function refusal(promise: Promise<unknown>): Promise<any> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeDefined();
  const [bytes] = error.metadata.get(STATUS_DETAILS_KEY);
  return { code: error.code, details: error.details, info: bytes && decodeStatusDetails(bytes).errorInfo };
}

/** A Serve stream: what came, and how it ended. */
export function serve(
  client: grpc.Client & { Serve: (metadata?: grpc.Metadata) => grpc.ClientDuplexStream<unknown, unknown> },
) {
  const stream = client.Serve();
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const items: any[] = [];
  const end = new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
  stream.on("error", () => {});
  // biome-ignore lint/suspicious/noExplicitAny: see above
  stream.on("data", (message: any) => items.push(...message.items));
  const send = (...sent: object[]) => stream.write({ items: sent });
  return { stream, items, end, send };
}

/** The first item of most streams. */
export const register = { register: { agent_id: "echo", capacity: 1 } };
