import { EventEmitter } from "node:events";
import { BrowserRequest, BrowserResponse, ErrorReason, encodeMessage } from "@callweave/proto";
import fc from "fast-check";
import type { WebSocket } from "ws";
import { Authenticator } from "../../../gateway/src/contract/authenticator.js";
import { operations } from "../../../gateway/src/contract/operations.js";
import { watches } from "../../../gateway/src/contract/watches.js";
import { CLOSE, DeskConnection } from "../../../gateway/src/desk/connection.js";
import { deskMethods } from "../../../gateway/src/desk/methods.js";
import { resolveDeskOptions } from "../../../gateway/src/desk/options.js";
import { Origins } from "../../../gateway/src/desk/origins.js";
import type { DeskStats } from "../../../gateway/src/desk/wire.js";
import { natsStats } from "../../../gateway/src/nats/wire-context.js";
import { bytes, damaged, mostly, text, word } from "../inputs.js";
import { serveRequests, unaryRequests } from "../messages.js";
import { CREDENTIAL, ErrorLog, settle, watchedApi } from "../rigs.js";
import { must, target } from "../target.js";

const MAX_STREAMS = 4;

class Socket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: BrowserResponse[] = [];
  closed: number | undefined;
  send(data: Buffer, _options: object, done?: () => void): void {
    this.sent.push(BrowserResponse.decode(data));
    setImmediate(() => done?.());
  }
  close(code: number): void {
    must(this.closed === undefined, "a connection is closed once");
    this.closed = code;
    this.readyState = 2;
  }
  terminate(): void {}
  ping(): void {}
  pause(): void {}
  resume(): void {}
}

interface Frame {
  readonly binary: boolean;
  readonly data: Uint8Array;
}

/** A connection: whatever comes, it answers with ends that have reasons, or closes with a code of the wire. */
async function connection(frames: readonly Frame[]): Promise<void> {
  const log = new ErrorLog();
  const api = watchedApi();
  const socket = new Socket();
  const stats: DeskStats = {
    connections: 0,
    frames: 0,
    malformed: 0,
    slowedDown: 0,
    tooSlow: 0,
    refused: 0,
    ...serveStats(),
  };
  const wire = {
    api,
    methods: deskMethods(operations(api), watches(api)),
    authenticator: new Authenticator({}),
    options: resolveDeskOptions({ maxStreams: MAX_STREAMS, maxFramesPerSecond: 1_000_000 }),
    logger: log,
    stats,
  };
  let over = 0;
  new DeskConnection(
    wire,
    socket as unknown as WebSocket,
    { credential: CREDENTIAL, peer: "127.0.0.1:1" },
    () => over++,
  );
  const opened = new Set<number>();
  let newest = 0;
  try {
    for (const { binary, data } of frames) {
      const closedBefore = socket.closed !== undefined;
      socket.emit("message", Buffer.from(data), binary);
      if (closedBefore) continue;
      const request = binary ? decoded(data) : undefined;
      if (!request) {
        must(socket.closed !== undefined, "what is no frame closes the connection", { binary, data });
        continue;
      }
      const { stream, item } = request;
      if (item?.$case === "open") {
        if (stream <= newest)
          must(socket.closed === CLOSE.PROTOCOL, "a number is used once", { stream, newest });
        else opened.add(stream);
        newest = Math.max(newest, stream);
      } else if (item === undefined)
        must(socket.closed === CLOSE.PROTOCOL, "an unknown item closes the connection");
      must(wire.stats.serveStreams <= MAX_STREAMS, "no more streams than allowed", wire.stats.serveStreams);
    }
    await settle();
    await settle();
    const codes: readonly number[] = Object.values(CLOSE);
    if (socket.closed !== undefined)
      must(codes.includes(socket.closed), "it closes with a code of the wire", socket.closed);
    const ended = new Set<number>();
    for (const { stream, item } of socket.sent) {
      must(opened.has(stream), "an answer belongs to a stream that was opened", stream);
      must(!ended.has(stream), "nothing comes after the end of a stream", stream);
      if (item?.$case !== "end") continue;
      ended.add(stream);
      const { error } = item.value;
      if (!error) continue;
      must(error.reason > 0 && error.code > 0, "an end by an error has code and reason", error);
      must(error.reason !== ErrorReason.INTERNAL, "nothing breaks inside", error);
    }
  } finally {
    socket.emit("close");
  }
  await settle();
  must(stats.connections === 0 && over === 1, "the connection is not counted any more");
  must(stats.serveStreams === 0, "nor are its streams", stats.serveStreams);
  log.check();
}

function serveStats() {
  const { serveStreams, messagesIn, itemsIn, unknownItems, refusedItems, queueFull, droppedAudioMs } =
    natsStats();
  return { serveStreams, messagesIn, itemsIn, unknownItems, refusedItems, queueFull, droppedAudioMs };
}

function decoded(data: Uint8Array): BrowserRequest | undefined {
  try {
    return BrowserRequest.decode(data);
  } catch {
    return undefined;
  }
}

const stream = fc.oneof(mostly(1, 2, 3, 4, 5, 6, 7), mostly(0, 4_294_967_295));
const services: Readonly<Record<string, string>> = { Context: "ContextService", List: "FleetService" };
const serviceOf = (method: string) =>
  /Call|Note|AgentMode/.test(method)
    ? "CallService"
    : /Context|Turns/.test(method)
      ? services.Context
      : services.List;

const item = fc.oneof(
  {
    weight: 5,
    arbitrary: unaryRequests.map(({ method, body }) => ({
      $case: "open" as const,
      value: { method: `${serviceOf(method)}/${method}`, request: Buffer.from(body) },
    })),
  },
  {
    weight: 4,
    arbitrary: mostly(
      "AgentService/Serve",
      "CallService/WatchCalls",
      "CallService/ListenCall",
      "ContextService/WatchContexts",
    ).chain((method) =>
      bytes.map((request) => ({ $case: "open" as const, value: { method, request: Buffer.from(request) } })),
    ),
  },
  {
    weight: 1,
    arbitrary: text.map((method) => ({
      $case: "open" as const,
      value: { method, request: Buffer.alloc(0) },
    })),
  },
  {
    weight: 5,
    arbitrary: serveRequests.map((value) => ({ $case: "message" as const, value: Buffer.from(value) })),
  },
  { weight: 1, arbitrary: fc.constant({ $case: "halfClose" as const, value: {} }) },
  { weight: 1, arbitrary: fc.constant({ $case: "cancel" as const, value: {} }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);
const whole = fc
  .tuple(stream, item)
  .map(([number, one]) => encodeMessage(BrowserRequest, { stream: number, item: one } as BrowserRequest));
const frame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 20, arbitrary: whole.map((data) => ({ binary: true, data })) },
  { weight: 2, arbitrary: damaged(whole).map((data) => ({ binary: true, data })) },
  { weight: 1, arbitrary: bytes.map((data) => ({ binary: true, data })) },
  { weight: 1, arbitrary: bytes.map((data) => ({ binary: false, data })) },
);

const host = fc.oneof(
  mostly("127.0.0.1:7072", "localhost", "[::1]:7072", "desk.example.com", "evil.example"),
  text,
);
const origins = new Origins(["https://desk.example.com"]);

export const browserTargets = [
  target({
    name: "browser-frames",
    what: "frames of the browser wire, in sequences",
    area: "browser",
    weight: 6,
    boundMs: 500,
    inputs: fc.array(frame, { minLength: 1, maxLength: 10 }),
    run: connection,
  }),
  target({
    name: "origins",
    what: "Host and Origin of browsers",
    area: "browser",
    weight: 3,
    inputs: fc.record({
      host: fc.option(host, { nil: undefined }),
      origin: fc.option(
        fc.oneof(
          host.map((one) => `http://${one}`),
          mostly("https://desk.example.com", "null"),
          word,
        ),
        { nil: undefined },
      ),
    }),
    run: (headers) => {
      const request = { headers } as Parameters<Origins["allowedOrigin"]>[0];
      const allowed = origins.allowedOrigin(request);
      if (allowed !== undefined) {
        must(allowed === headers.origin, "an origin that is let in is the request's");
        const own = /^https?:\/\/(localhost|127(\.\d+){3}|\[::1\]|::1)(:\d+)?$/i.test(allowed);
        must(
          own || allowed === "https://desk.example.com",
          "only loopback and those configured are let in",
          allowed,
        );
      }
      origins.knowsHost(request);
    },
  }),
];
