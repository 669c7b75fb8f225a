import { type BrowserEnd, BrowserResponse } from "@callweave/proto";
import type * as grpc from "@grpc/grpc-js";
import { visit, type WireClient } from "../desk/wire-client.js";
import { until } from "../harness/until.js";
import { serveByNats } from "./authorization-nats.js";
import {
  byGrpc,
  camel,
  client,
  gateway,
  key,
  OTHER,
  type Outcome,
  outcomeOfError,
  type Rpc,
  refused,
  rpc,
  type ServeStream,
  tellContexts,
  who,
} from "./authorization-rig.js";

/** One request of somebody; of a stream the first thing that comes. */
export type Ask = (method: Rpc, name: string, tenant: string, request: object) => Promise<Outcome>;

const browsers = new Map<string, Promise<WireClient>>();

/** The browser of somebody, with one WebSocket. */
function browserOf(name: string, tenant: string): Promise<WireClient> {
  const id = `${tenant} ${name}`;
  let found = browsers.get(id);
  if (!found) {
    found = visit(gateway.deskPort as number, { key: key(name, tenant) });
    browsers.set(id, found);
  }
  return found;
}

/** Closes them all. */
export function closeBrowsers(): void {
  for (const one of browsers.values()) void one.then((browser) => browser.close());
  browsers.clear();
}

function outcomeOf({ error }: BrowserEnd, body?: unknown): Outcome {
  return error ? outcomeOfError(error) : { code: 0, reason: "", scope: "", body };
}

const byBrowser: Ask = async (method, name, tenant, request) => {
  const browser = await browserOf(name, tenant);
  const stream = browser.open(method.name, method.serialize(request));
  let over: BrowserEnd | undefined;
  const ended = stream.end.then((end) => {
    over = end;
  });
  if (!method.responseStream) await ended;
  else {
    const stop = method.name.endsWith("WatchContexts") ? tellContexts() : () => {};
    await until(() => over !== undefined || stream.messages.length > 0, "the stream to say something");
    stop();
    stream.send({ $case: "cancel", value: {} });
  }
  const [first] = stream.messages;
  const body = first && method.deserialize(Buffer.from(first));
  return over && !body ? outcomeOf(over, {}) : { code: 0, reason: "", scope: "", body };
};

/** The wires that have every RPC. */
export const WIRES: Readonly<Record<string, Ask>> = {
  gRPC: (method, name, tenant, request) => byGrpc(method, who(name, tenant), request),
  "the browser wire": byBrowser,
};

/** What a frame for a stream does that is not open here, but is on a connection of the other tenant. */
export async function frameOutcome(name: string, tenant: "acme" | "globex", kind: string) {
  const [theirs, mine] = await Promise.all([
    visit(gateway.deskPort as number, { key: key("admin", OTHER[tenant]) }),
    visit(gateway.deskPort as number, { key: key(name, tenant) }),
  ]);
  try {
    const method = rpc("CallService/WatchCalls");
    const stream = theirs.open(method.name, method.serialize({}));
    let ended = false;
    void stream.end.then(() => {
      ended = true;
    });
    await until(() => stream.messages.length > 0, "the watch to be live");
    let answers = 0;
    mine.socket.on("message", (data: Buffer) => {
      if (BrowserResponse.decode(data).stream === 1) answers++;
    });
    const value = kind === "message" ? new Uint8Array() : {};
    mine.send({ stream: 1, item: { $case: camel(kind), value } as never });
    // What was sent before is read once these are answered.
    const list = rpc("FleetService/ListGateways");
    await mine.open(list.name, list.serialize({}), 2).end;
    await theirs.open(list.name, list.serialize({}), 2).end;
    return { answers, theirs: ended ? "ended" : "goes on" };
  } finally {
    theirs.close();
    mine.close();
  }
}

function serveByGrpc(name: string, tenant: string): ServeStream {
  const { path, serialize, deserialize } = rpc("AgentService/Serve");
  const stream = client.makeBidiStreamRequest(path, serialize, deserialize, who(name, tenant));
  const items: unknown[] = [];
  stream.on("error", () => {});
  stream.on("data", (message) => items.push(...message.items));
  return {
    items,
    end: new Promise((resolve) =>
      stream.once("status", (status: grpc.StatusObject) => resolve(refused(status))),
    ),
    send: (...sent) => stream.write({ items: sent }),
    cancel: () => stream.cancel(),
  };
}

function serveByBrowser(name: string, tenant: string): ServeStream {
  const { serialize, deserialize } = rpc("AgentService/Serve");
  const stream = browserOf(name, tenant).then((browser) => browser.open("AgentService/Serve"));
  let read = 0;
  const items: unknown[] = [];
  let messages: readonly Uint8Array[] = [];
  void stream.then((opened) => {
    messages = opened.messages;
  });
  return {
    get items() {
      for (; read < messages.length; read++)
        items.push(...deserialize(Buffer.from(messages[read] as Uint8Array)).items);
      return items;
    },
    end: stream.then(({ end }) => end).then((end) => outcomeOf(end)),
    send: (...sent) =>
      void stream.then((opened) => opened.send({ $case: "message", value: serialize({ items: sent }) })),
    cancel: () => void stream.then((opened) => opened.send({ $case: "cancel", value: {} })),
  };
}

/** The wires that have Serve as a stream. */
export const SERVE_WIRES: Readonly<Record<string, (name: string, tenant: string) => ServeStream>> = {
  gRPC: serveByGrpc,
  "the browser wire": serveByBrowser,
  NATS: serveByNats,
};
