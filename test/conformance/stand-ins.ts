import { CallEvent, GatewayItem, ServeResponse, WatchCallsResponse } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";

/** Something that a client may take for a gateway. */
export interface StandIn {
  /** "127.0.0.1:PORT". */
  readonly address: string;
  stop(): Promise<void>;
}

/** A field number that no message of the contract uses, and a value that no enum has. */
const NEW_FIELD = 1900;
const NEW_VALUE: number = 99;
/** GatewayItem.call_event. */
const CALL_EVENT = 12;
/** Field 1900, varint 7. */
const NEW_VARINT = Buffer.from([...tag(NEW_FIELD, 0), 7]);
/** Field 1900, two bytes. */
const NEW_BYTES = Buffer.from([...tag(NEW_FIELD, 2), 2, 0xc3, 0xff]);

/**
 * A gateway of the next version: the real one behind a relay that adds unknown fields to every message, an item of an unknown
 * kind before every message of a Serve stream, enum values that nobody knows yet, and makes every event `command_started`
 * one of an unknown kind.
 */
export async function startNewerGateway(target: string): Promise<StandIn> {
  const upstream = new grpc.Client(target, grpc.credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
  });
  const handlers: Record<string, grpc.UntypedHandleCall> = {};
  const definition: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
  const raw = (bytes: Buffer) => bytes;
  const answers = (method: string) => (bytes: Buffer) => newer(method, bytes);
  const methodOf = (path: string): grpc.MethodDefinition<Buffer, Buffer> => ({
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: answers(path.split("/").at(-1) ?? ""),
    responseDeserialize: raw,
  });
  for (const [service, method] of METHODS) {
    const path = `/callweave.v1.${service}/${method}`;
    definition[path] = methodOf(path);
    handlers[path] = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      const there = upstream.makeBidiStreamRequest(path, raw, raw, call.metadata);
      call.on("data", (bytes: Buffer) => there.write(bytes));
      call.on("end", () => there.end());
      call.on("cancelled", () => there.cancel());
      call.on("error", () => {});
      there.on("data", (bytes: Buffer) => call.write(bytes));
      there.on("error", () => {});
      there.on("status", (status: grpc.StatusObject) => {
        if (status.code === grpc.status.OK) call.end();
        else call.emit("error", status);
      });
    };
  }
  const server = await serve((made) => made.addService(definition, handlers));
  return {
    address: server.address,
    async stop() {
      await server.stop();
      upstream.close();
    },
  };
}

/** A gRPC server that has none of the contract's services. */
export function startOlderGateway(): Promise<StandIn> {
  return serve(() => {});
}

/** The methods that programs use. */
const METHODS: readonly (readonly [string, string])[] = [
  ["AgentService", "Serve"],
  ...["ListCalls", "GetCall", "WatchCalls", "ListenCall"].map((method) => ["CallService", method] as const),
  ...["GetContext", "FindContexts", "AppendTurns", "SaveContext", "UpdateContext"].map(
    (method) => ["ContextService", method] as const,
  ),
];

async function serve(fill: (server: grpc.Server) => void): Promise<StandIn> {
  const server = new grpc.Server();
  fill(server);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { address: `127.0.0.1:${port}`, stop: async () => server.forceShutdown() };
}

/** A message as the next version would send it. */
function newer(method: string, bytes: Buffer): Buffer {
  const body = method === "Serve" ? newerItems(bytes) : method === "WatchCalls" ? newerWatch(bytes) : bytes;
  return Buffer.concat([body, NEW_VARINT, NEW_BYTES]);
}

function newerItems(bytes: Buffer): Buffer {
  const unknown = field(1, NEW_BYTES);
  const items = ServeResponse.decode(bytes).items.map(({ item }) =>
    field(1, Buffer.concat([newerItem(item), NEW_VARINT])),
  );
  return Buffer.concat([unknown, ...items]);
}

function newerItem(item: GatewayItem["item"]): Uint8Array {
  switch (item?.$case) {
    case "offer":
      return encoded({ ...item, value: { ...item.value, escalationReason: NEW_VALUE } });
    case "unassigned":
      return encoded({ ...item, value: { ...item.value, cause: NEW_VALUE, endReason: NEW_VALUE } });
    case "callEvent":
      return field(CALL_EVENT, newerEvent(item.value));
    default:
      return encoded(item);
  }
}

function encoded(item: GatewayItem["item"]): Uint8Array {
  return GatewayItem.encode({ item }).finish();
}

function newerEvent(event: CallEvent): Buffer {
  if (event.event?.$case === "modeSet") event.event.value.mode = NEW_VALUE;
  const unknown = event.event?.$case === "commandStarted";
  const known = CallEvent.encode(unknown ? { ...event, event: undefined } : event).finish();
  return Buffer.concat([known, NEW_BYTES]);
}

function newerWatch(bytes: Buffer): Buffer {
  const { item } = WatchCallsResponse.decode(bytes);
  return item?.$case === "event" ? field(1, newerEvent(item.value)) : bytes;
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([tag(number, 2), lengthOf(bytes), bytes]);
}

function lengthOf(bytes: Uint8Array): Buffer {
  return varint(bytes.length);
}

function tag(number: number, wireType: number): Buffer {
  return varint(number * 8 + wireType);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
