import { type ConnectionOptions, connect, type Msg, headers as makeHeaders, type NatsConnection } from "nats";
import { afterEach } from "vitest";
import type { Bus } from "../../gateway/src/bus/bus.js";
import { connectBus } from "../../gateway/src/bus/nats-bus.js";
import { FakeApi, FakeLogger } from "../../gateway/src/contract/testing.js";
import type { GatewayApi } from "../../gateway/src/gateway-api.js";
import { createNatsWire, type NatsWire, type NatsWireOptions } from "../../gateway/src/nats/index.js";
import { type NatsOptions, type NatsTestServer, startNats } from "../harness/nats.js";
import { until } from "../harness/until.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Runs after the test. */
export function defer(stop: () => unknown): void {
  stops.push(stop);
}

/** A server of this test. */
export async function server(options: NatsOptions = {}): Promise<NatsTestServer> {
  const made = await startNats({ jetstream: false, ...options });
  defer(() => made.stop());
  return made;
}

/** A connection of an outsider: the library alone, nothing of the gateway. */
export async function outsider(at: NatsTestServer, options: ConnectionOptions = {}): Promise<NatsConnection> {
  const nc = await connect({ servers: at.url, noAsyncTraces: true, ...options });
  defer(() => nc.close());
  return nc;
}

/** The gateway's bus, connected. */
export async function bus(at: NatsTestServer, options: object = {}): Promise<Bus> {
  const made = await connectBus({ urls: [at.url], name: "gateway", reconnectMaxMs: 300, ...options });
  defer(() => made.close());
  await until(() => made.connected, "the bus to be connected");
  return made;
}

/** The wire over a core, started. */
export async function wire(
  at: NatsTestServer,
  options: Partial<NatsWireOptions> & { api?: GatewayApi; busOptions?: object } = {},
): Promise<{ wire: NatsWire; bus: Bus; api: FakeApi; logger: FakeLogger }> {
  const { api = new FakeApi(), busOptions, ...rest } = options;
  const logger = new FakeLogger();
  const own = await bus(at, busOptions);
  const made = createNatsWire(
    api,
    own,
    { gatewayId: "g-1", version: "0.1.0", serverIsLocal: true, ...rest },
    logger,
  );
  await made.start();
  defer(() => made.stop());
  await own.flush();
  return { wire: made, bus: own, api: api as FakeApi, logger };
}

/** Headers of a message. */
export function lines(values: Readonly<Record<string, string>>) {
  const made = makeHeaders();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  return made;
}

/** An answer as an outsider reads it. */
export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
  readonly body: any;
  readonly data: Uint8Array;
  readonly type: string;
  /** Of a refusal. */
  readonly error: string;
  readonly code: number;
}

/** A request with a JSON or binary body. */
export async function ask(
  nc: NatsConnection,
  subject: string,
  body: object | string | Uint8Array = {},
  headers: Readonly<Record<string, string>> = {},
  timeoutMs = 10_000,
): Promise<Answer> {
  const data = body instanceof Uint8Array ? body : typeof body === "string" ? body : JSON.stringify(body);
  return readAnswer(await nc.request(subject, data, { timeout: timeoutMs, headers: lines(headers) }));
}

function readAnswer(message: Msg): Answer {
  const type = message.headers?.get("Content-Type") ?? "";
  return {
    body: type === "application/json" && message.data.length > 0 ? message.json() : undefined,
    data: message.data,
    type,
    error: message.headers?.get("Nats-Service-Error") ?? "",
    code: Number(message.headers?.get("Nats-Service-Error-Code") || 0),
  };
}
