import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { deflateSync, gzipSync } from "node:zlib";
import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath as healthProto } from "grpc-health-check";
import { afterEach, describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import type { GrpcEdgeOptions } from "../../gateway/src/grpc/options.js";
import { createGrpcServer, type GrpcEdge } from "../../gateway/src/grpc/server.js";
import { FakeApi, FakeLogger, snapshot, stored } from "../../gateway/src/grpc/testing.js";
import { until } from "./grpc-until.js";

// The client here is an outsider: it reads the .proto text with proto-loader and shares no code with the gateway.
const root = fileURLToPath(new URL("../../proto/", import.meta.url));
const services = ["agent_service", "call_service", "context_service", "fleet_service"];
const definition = loadSync([...services.map((name) => `callweave/v1/${name}.proto`), healthProto], {
  includeDirs: [root],
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
const loaded = grpc.loadPackageDefinition(definition) as any;

const started: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

async function start(options: GrpcEdgeOptions = {}) {
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

// biome-ignore lint/suspicious/noExplicitAny: see above
function unary(client: any, method: string, request: object, metadata = new grpc.Metadata()): Promise<any> {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, (error: unknown, response: unknown) =>
      error ? reject(error) : resolve(response),
    );
  });
}

// biome-ignore lint/suspicious/noExplicitAny: see above
async function refusal(promise: Promise<unknown>): Promise<any> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeDefined();
  const [bytes] = error.metadata.get(STATUS_DETAILS_KEY);
  return { code: error.code, details: error.details, info: bytes && decodeStatusDetails(bytes).errorInfo };
}

/** A Serve stream: what came, and how it ended. */
function serve(
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

/** The engine's own, without a command-line flag. */
function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

const register = { register: { agent_id: "echo", capacity: 1 } };

describe("gRPC edge / unary", () => {
  it("answers a call and hands the request over with its defaults", async () => {
    const { api, client, v1 } = await start();
    const calls = client(v1.CallService);
    const { call } = await unary(calls, "GetCall", { call_id: "c-1" });
    expect(call).toMatchObject({
      call_id: "c-1",
      state: "CALL_STATE_ANSWERED",
      create_time: { nanos: 250_000_000 },
    });
    api.reply = async () => ({ call: snapshot(), pending: { requestId: "r-1", verb: "ConnectCall" } });
    const reply = await unary(calls, "ConnectCall", {
      call_id: "c-1",
      request_id: "r-1",
      wait: { seconds: 2 },
    });
    expect(reply.pending).toEqual({ request_id: "r-1", verb: "ConnectCall" });
    expect(api.executed).toEqual([
      {
        actor: { tenant: "default", name: "client:local" },
        callId: "c-1",
        requestId: "r-1",
        command: { verb: "ConnectCall", ringTimeSeconds: 60 },
        waitMs: 2000,
      },
    ]);
  });

  it("says what was wrong, as google.rpc.Status in the trailers", async () => {
    const { client, v1, api } = await start();
    const calls = client(v1.CallService);
    const seconds = await refusal(
      unary(calls, "ConnectCall", { call_id: "c-1", ring_duration: { seconds: 0 } }),
    );
    expect(seconds).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      info: {
        reason: "INVALID_FIELD",
        domain: "callweave",
        metadata: { field: "ring_duration", value: "0s" },
      },
    });
    const missing = await refusal(unary(calls, "GetCall", { call_id: "other" }));
    expect(missing).toMatchObject({ code: grpc.status.NOT_FOUND, info: { reason: "CALL_NOT_FOUND" } });
    api.reply = async () => {
      throw new CallError("CALLEE_UNANSWERED", "nobody picked up", {
        call_id: "c-1",
        ring_time_seconds: "60",
      });
    };
    const unanswered = await refusal(unary(calls, "ConnectCall", { call_id: "c-1", wait: { seconds: 90 } }));
    expect(unanswered).toMatchObject({
      code: grpc.status.FAILED_PRECONDITION,
      info: { reason: "CALLEE_UNANSWERED" },
    });
  });

  it("hides what went wrong inside", async () => {
    const { client, v1, api, logger } = await start();
    api.reply = async () => {
      throw new Error("secret of the database");
    };
    const error = await refusal(unary(client(v1.CallService), "AnswerCall", { call_id: "c-1" }));
    expect(error.code).toBe(grpc.status.INTERNAL);
    expect(JSON.stringify(error)).not.toContain("secret");
    expect(logger.lines[0]?.fields.error_id).toBe(error.info.metadata.error_id);
  });

  it("serves contexts and the fleet", async () => {
    const { client, v1, api } = await start();
    const contexts = client(v1.ContextService);
    const { context } = await unary(contexts, "GetContext", { call_id: "c-1" });
    expect(context.turns).toHaveLength(1);
    expect(context.data.fields.order.numberValue).toBe(7);
    const saved = await unary(contexts, "SaveContext", {
      context: {
        call_id: "c-1",
        summary: "wants a refund",
        turns: [{ id: "t", role: "TURN_ROLE_AI", text: "hi" }],
      },
    });
    expect(saved.durability).toBe("CONTEXT_DURABILITY_STORE");
    expect(saved.context).toMatchObject({ turns: [], turn_count: 1, truncated: true });
    expect(api.contextCalls.at(-1)?.[2]).toMatchObject({ callId: "c-1", summary: "wants a refund" });
    await unary(contexts, "UpdateContext", {
      context: { call_id: "c-1", outcome: "refunded" },
      update_mask: { paths: ["outcome", "summary", "outcome"] },
      revision: 4,
    });
    expect(api.contextCalls.at(-1)?.slice(3)).toEqual([["outcome", "summary"], 4, "", "client:local"]);
    const masked = await refusal(
      unary(contexts, "UpdateContext", { context: { call_id: "c-1" }, update_mask: { paths: ["notes"] } }),
    );
    expect(masked.info.metadata).toMatchObject({ field: "update_mask", value: "notes" });
    const fleet = client(v1.FleetService);
    expect((await unary(fleet, "ListAgents", {})).agents[0]).toMatchObject({ agent_id: "echo", load: 0.5 });
    expect((await unary(fleet, "ListGateways", {})).gateways[0].connectors).toEqual([
      { name: "main", ready: true },
    ]);
  });

  it("pages calls, newest first, with tokens bound to the filter", async () => {
    const { client, v1, api } = await start();
    api.calls_ = Array.from({ length: 5 }, (_, i) =>
      snapshot({ callId: `c-${i}`, createTime: new Date(1_000 * Math.floor(i / 2)) }),
    );
    const calls = client(v1.CallService);
    const seen: string[] = [];
    let token = "";
    do {
      const page = await unary(calls, "ListCalls", { page_size: 2, page_token: token });
      // biome-ignore lint/suspicious/noExplicitAny: see above
      seen.push(...page.calls.map((call: any) => call.call_id));
      expect(page.cursor).toBe("head-1");
      token = page.next_page_token;
      // A call that came meanwhile shifts nothing.
      api.calls_.push(snapshot({ callId: `new-${seen.length}`, createTime: new Date(99_000) }));
    } while (token !== "");
    expect(seen).toEqual(["c-4", "c-2", "c-3", "c-0", "c-1"]);
    const { next_page_token } = await unary(calls, "ListCalls", { page_size: 2 });
    const other = { page_size: 2, page_token: next_page_token, filter: { pools: ["sales"] } };
    expect((await refusal(unary(calls, "ListCalls", other))).info.metadata.field).toBe("page_token");
    expect((await refusal(unary(calls, "ListCalls", { page_token: "x" }))).code).toBe(
      grpc.status.INVALID_ARGUMENT,
    );
  });
});

describe("gRPC edge / credentials", () => {
  const key = "test-key-0123456789";

  it("takes the tenant from the key and refuses everything without one", async () => {
    const { client, v1, api } = await start({ keys: [{ name: "desk", tenant: "acme", key }] });
    api.calls_ = [snapshot({ tenant: "acme" })];
    const calls = client(v1.CallService);
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${key}`);
    expect((await unary(calls, "GetCall", { call_id: "c-1" }, metadata)).call.call_id).toBe("c-1");
    const without = await refusal(unary(calls, "GetCall", { call_id: "c-1" }));
    expect(without).toMatchObject({ code: grpc.status.UNAUTHENTICATED, info: { reason: "UNAUTHENTICATED" } });
    const { end, stream } = serve(client(v1.AgentService));
    stream.write({ items: [register] });
    expect((await end).code).toBe(grpc.status.UNAUTHENTICATED);
    expect(api.agents.begun).toEqual([]);
    const watch = calls.WatchCalls({});
    const [error] = await once(watch, "error");
    expect(error.code).toBe(grpc.status.UNAUTHENTICATED);
    // Health is open, for probes.
    expect((await unary(client(loaded.grpc.health.v1.Health), "Check", {})).status).toBe("SERVING");
  });

  it("listens on loopback alone without keys", async () => {
    const edge = createGrpcServer(new FakeApi(), { host: "0.0.0.0" }, new FakeLogger());
    await expect(edge.listen()).rejects.toThrow("loopback alone");
    await edge.stop();
  });
});

describe("gRPC edge / health and reflection", () => {
  it("tells whether it serves", async () => {
    const { client, edge } = await start();
    const health = client(loaded.grpc.health.v1.Health);
    const check = async (service: string) => (await unary(health, "Check", { service })).status;
    expect(await check("")).toBe("SERVING");
    expect(await check("callweave.v1.AgentService")).toBe("SERVING");
    edge.setServing(false);
    expect(await check("")).toBe("NOT_SERVING");
    const unknown = await refusal(unary(health, "Check", { service: "nobody" }));
    expect(unknown.code).toBe(grpc.status.NOT_FOUND);
  });

  it("lists its services by reflection, and only with a credential", async () => {
    const { fileURLToPath: toPath } = await import("node:url");
    const index = toPath(import.meta.resolve("@grpc/reflection"));
    const proto = index.replace(/build\/src\/index\.js$/, "build/proto/grpc/reflection/v1/reflection.proto");
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const api = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true, oneofs: true })) as any;
    const Reflection = api.grpc.reflection.v1.ServerReflection;
    const ask = async (
      made: Awaited<ReturnType<typeof start>>,
      request: object,
      metadata = new grpc.Metadata(),
    ) => {
      const stream = made.client(Reflection).ServerReflectionInfo(metadata);
      stream.write(request);
      const [answer] = await once(stream, "data");
      stream.end();
      return answer;
    };
    const open = await start();
    const list = await ask(open, { list_services: "" });
    const names = list.list_services_response.service.map((one: { name: string }) => one.name);
    expect(names.filter((name: string) => name.startsWith("callweave")).sort()).toEqual([
      "callweave.v1.AgentService",
      "callweave.v1.CallService",
      "callweave.v1.ContextService",
      "callweave.v1.FleetService",
    ]);
    const symbol = await ask(open, { file_containing_symbol: "callweave.v1.AgentService" });
    expect(symbol.file_descriptor_response.file_descriptor_proto.length).toBeGreaterThan(0);

    const key = "test-key-0123456789";
    const closed = await start({ keys: [{ name: "desk", tenant: "acme", key }] });
    await expect(ask(closed, { list_services: "" })).rejects.toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
    });
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${key}`);
    expect((await ask(closed, { list_services: "" }, metadata)).list_services_response).toBeTruthy();

    const off = await start({ reflection: false });
    await expect(ask(off, { list_services: "" })).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });
});

describe("gRPC edge / Serve", () => {
  it("begins a session and passes items both ways, in order", async () => {
    const { client, v1, api } = await start();
    const { stream, items, end, send } = serve(client(v1.AgentService));
    send(register, { heartbeat: { load: 0.25 } });
    await until(() => items.length === 1);
    expect(items[0].registered).toMatchObject({ session_token: "secret", reattach_grace: { seconds: 2 } });
    expect(api.agents.begun[0]).toContain("register default agent:echo");
    expect(api.agents.begun[0]).toContain('"pool":"default","capacity":1');

    const hub = api.agents;
    hub.handler.onAudio = (handle, pcm) => hub.stream?.sendAudio(7, handle, pcm.length / 2, Buffer.from(pcm));
    hub.stream?.send({
      type: "assigned",
      call: snapshot(),
      epoch: 3,
      handle: 7,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 8000 },
      offerId: "o-1",
      attempt: 1,
    });
    send(
      { accept: { offer_id: "" } },
      { audio: { handle: 0, pcm: Buffer.from([1, 2, 3, 4]) } },
      { mark: { name: "m" } },
    );
    send({ clear_playback: {} }, { decline: { offer_id: "o-2", reason: "busy" } }, { drain: {} });
    send({ command: { handle: 7, request_id: "r-1", transfer: { pool: "human" } } });
    send({ command: { request_id: "r-2", cancel: { request_id: "r-1" } } }, { bye: {} });
    await until(() => items.length === 3 && hub.handler.said.includes("bye"));
    expect(items[1].assigned).toMatchObject({ handle: 7, epoch: 3, call: { call_id: "c-1" } });
    expect(items[2].audio).toMatchObject({ handle: 7, sequence: 1, pcm: Buffer.from([1, 2, 3, 4]) });
    expect(hub.handler.said).toEqual([
      "heartbeat 0.25",
      "accept ",
      "mark 0 m",
      "clear 0",
      "decline o-2 busy",
      "drain",
      "command 7 r-1 TransferCall",
      "command 0 r-2 CancelCommand",
      "bye",
    ]);
    expect(hub.handler.commands).toEqual([
      { verb: "TransferCall", to: { pool: "human" }, offerDurationMs: 30_000 },
      { verb: "CancelCommand", targetRequestId: "r-1" },
    ]);
    hub.stream?.end();
    expect((await end).code).toBe(grpc.status.OK);
    await until(() => hub.handler.lostCount === 1);
    stream.end();
  });

  it("refuses a stream whose first item is something else", async () => {
    const { client, v1, api } = await start();
    const { stream, end } = serve(client(v1.AgentService));
    stream.write({ items: [{ audio: { pcm: Buffer.alloc(4) } }] });
    const status = await end;
    expect(status.code).toBe(grpc.status.FAILED_PRECONDITION);
    expect(decodeStatusDetails(status.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer).errorInfo).toMatchObject(
      {
        reason: "NOT_REGISTERED",
        metadata: { item: "audio" },
      },
    );
    expect(api.agents.handler.lostCount).toBe(0);
  });

  it("does not wait for ever for the first item", async () => {
    const { client, v1 } = await start({ stream: { registerTimeoutMs: 50 } });
    const { end } = serve(client(v1.AgentService));
    expect((await end).code).toBe(grpc.status.FAILED_PRECONDITION);
  });

  it("answers the core's refusal of a registration as status", async () => {
    const { client, v1, api } = await start();
    api.agents.refuse = new CallError("POOL_NOT_FOUND", "no pool sales", { pool: "sales" });
    const { end, send } = serve(client(v1.AgentService));
    send(register);
    expect((await end).code).toBe(grpc.status.NOT_FOUND);
  });

  it("refuses single items and disturbs nothing else", async () => {
    const { client, v1, api, edge } = await start();
    const { items, send, stream } = serve(client(v1.AgentService));
    send(register);
    send(
      { heartbeat: { load: 2 } },
      { mark: { handle: 3, name: "" } },
      { command: { handle: 3, request_id: "r-1", connect: { ring_duration: { seconds: 500 } } } },
      { command: { handle: 3, answer: {} } },
      register,
      {},
      { mark: { handle: 3, name: "ok" } },
    );
    await until(() => items.length === 6);
    expect(items.slice(1).map((item) => item.item_refused?.item ?? item.command_result.request_id)).toEqual([
      "heartbeat",
      "mark",
      "r-1",
      "command",
      "register",
    ]);
    expect(items[2].item_refused).toMatchObject({
      handle: 3,
      error: { code: 3, reason: "ERROR_REASON_INVALID_FIELD", metadata: { field: "name" } },
    });
    expect(items[3].command_result.error.metadata.field).toBe("ring_duration");
    await until(() => api.agents.handler.said.length === 1);
    expect(edge.stats).toMatchObject({ unknownItems: 1, refusedItems: 5 });
    stream.end();
    await until(() => api.agents.handler.lostCount === 1);
  });

  it("tells the core once when the stream is half-closed, and when it is cancelled", async () => {
    const { client, v1, api, edge } = await start();
    const first = serve(client(v1.AgentService));
    first.send(register);
    await until(() => first.items.length === 1);
    first.stream.end();
    expect((await first.end).code).toBe(grpc.status.OK);
    await until(() => edge.stats.serveStreams === 0);
    expect(api.agents.handler.lostCount).toBe(1);
    const second = serve(client(v1.AgentService));
    second.send(register);
    await until(() => second.items.length === 1);
    second.stream.cancel();
    await until(() => api.agents.handler.lostCount === 2 && edge.stats.serveStreams === 0);
    // What the core still says goes nowhere.
    api.agents.stream?.send({ type: "goAway", deadlineMs: 1 });
  });

  it("ends only the stream that sent malformed bytes or too much", async () => {
    const { client, v1, api, edge } = await start();
    const good = serve(client(v1.AgentService));
    good.send(register);
    await until(() => good.items.length === 1);
    const raw = client(v1.AgentService);
    const call = (bytes: Buffer, max = 0) => {
      const stream = raw.makeBidiStreamRequest(
        "/callweave.v1.AgentService/Serve",
        (value: Buffer) => value,
        (value: Buffer) => value,
      );
      stream.on("error", () => {});
      stream.on("data", () => {});
      stream.write(bytes);
      if (max > 0) stream.write(bytes);
      return new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
    };
    const malformed = await call(Buffer.from("0aff", "hex"));
    expect(malformed.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(malformed.details).toContain("well-formed");
    const big = await call(Buffer.concat([Buffer.from([0x7a, 0x80, 0x80, 0x14]), Buffer.alloc(0x50000)]));
    expect(big).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: "message must be at most 262144 bytes",
    });
    const huge = await call(Buffer.alloc(1_100_000));
    expect(huge.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    const many = serve(client(v1.AgentService));
    many.send(register, ...Array.from({ length: 256 }, () => ({ heartbeat: {} })));
    expect((await many.end).details).toContain("at most 256 in a message");
    good.send({ mark: { name: "still here" } });
    await until(() => api.agents.handler.said.includes("mark 0 still here"));
    expect(edge.stats.malformed).toBe(1);
    good.stream.end();
    // A malformed unary request is the client's error too.
    const error = await new Promise<grpc.ServiceError>((resolve) => {
      const path = "/callweave.v1.CallService/GetCall";
      const identity = (value: Buffer) => value;
      raw.makeUnaryRequest(path, identity, identity, Buffer.from("0aff", "hex"), resolve);
    });
    expect(error.code).toBe(grpc.status.INVALID_ARGUMENT);
  });

  it("gives a slow reader gaps, not the gateway's memory", async () => {
    const { client, v1, api, edge } = await start();
    const { stream, items, send } = serve(client(v1.AgentService));
    send(register);
    await until(() => items.length === 1);
    stream.pause();
    const hub = api.agents;
    hub.stream?.send({
      type: "assigned",
      call: snapshot({ sampleRateHz: 24_000 }),
      epoch: 1,
      handle: 1,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 24_000 },
      offerId: "",
      attempt: 1,
    });
    // 48 MB of audio while nobody reads, paced so that the socket could take it all. What the client itself holds, 16
    // messages decoded, is in the figure too.
    const collectGarbage = garbageCollector();
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 50_000; i++) {
      hub.stream?.sendAudio(1, i * 480, 480, new Uint8Array(960));
      if (i % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    collectGarbage();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24_000_000);
    stream.resume();
    await until(() => items.some((item) => item.audio?.sequence === 50_000));
    const audio = items.filter((item) => item.audio).map((item) => item.audio);
    const gaps = items.filter((item) => item.audio_gap).map((item) => item.audio_gap);
    expect(gaps.length).toBeGreaterThan(0);
    expect(gaps[0].reason).toBe("AUDIO_GAP_REASON_SLOW_RECEIVER");
    // Audio and gaps together cover everything, in order, without overlap.
    let next = 0;
    for (const item of items) {
      if (item.audio) {
        expect(item.audio.position).toBe(next);
        next += 480;
      } else if (item.audio_gap) {
        expect(item.audio_gap.from).toBe(next);
        const { seconds, nanos } = item.audio_gap.duration;
        next += Math.round((seconds + nanos / 1e9) * 24_000);
      }
    }
    expect(next).toBe(50_000 * 480);
    expect(audio.length).toBeLessThan(50_000);
    stream.cancel();
    await until(() => edge.stats.serveStreams === 0);
    expect(edge.stats.droppedAudioMs).toBeGreaterThan(0);
  });

  it("ends a stream that does not read its control items", async () => {
    const { client, v1, api, edge } = await start({ stream: { maxControlItems: 100 } });
    const { stream, items, send, end } = serve(client(v1.AgentService));
    send(register);
    await until(() => items.length === 1);
    stream.pause();
    for (let i = 0; edge.stats.queueFull === 0 && i < 100_000; i++) {
      api.agents.stream?.send({ type: "note", handle: 1, author: "client:x", text: "x".repeat(2000) });
      if (i % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(edge.stats.queueFull).toBe(1);
    await until(() => api.agents.handler.lostCount === 1);
    stream.resume();
    expect((await end).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });
});

describe("gRPC edge / watching and listening", () => {
  it("sends events until the client cancels, and no faster than they are read", async () => {
    const { client, v1, api } = await start();
    let asked = 0;
    let aborted = false;
    api.watchItems = async function* (cursor, filter, signal) {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      expect(cursor).toBe("k-0");
      expect(filter).toEqual({ callIds: ["c-1"], pools: [] });
      yield { live: { cursor: "k-1" } };
      while (!signal.aborted) {
        asked++;
        yield { event: stored({ type: "noteSent", actor: "x".repeat(4000), delivered: true }, asked) };
      }
    };
    const watch = client(v1.CallService).WatchCalls({ cursor: "k-0", filter: { call_ids: ["c-1"] } });
    watch.on("error", () => {});
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const got: any[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: see above
    watch.on("data", (item: any) => got.push(item));
    // A grpc-js client that never read anything buffers without bound; one that stopped reading pushes back.
    await until(() => got.length > 0);
    watch.pause();
    let last = -1;
    await until(() => {
      const still = asked === last;
      last = asked;
      return still;
    }, 50);
    expect(asked).toBeLessThan(3_000);
    watch.resume();
    await until(() => got.length > 5_000);
    expect(got[0].live.cursor).toBe("k-1");
    expect(got.slice(1).every((item, i) => item.event.sequence === i + 1)).toBe(true);
    watch.cancel();
    await until(() => aborted);
  });

  it("ends a watch with the error of the store", async () => {
    const { client, v1, api } = await start();
    api.watchItems = () => {
      throw new CallError("CURSOR_EXPIRED", "the cursor is too old", { oldest: "k-9" });
    };
    const watch = client(v1.CallService).WatchCalls({ cursor: "k-1" });
    const [error] = await once(watch, "error");
    expect(error.code).toBe(grpc.status.OUT_OF_RANGE);
    expect(decodeStatusDetails(error.metadata.get(STATUS_DETAILS_KEY)[0]).errorInfo?.metadata.oldest).toBe(
      "k-9",
    );
  });

  it("lets a client hear a call", async () => {
    const { client, v1, api } = await start();
    const listen = client(v1.CallService).ListenCall({
      call_id: "c-1",
      format: { encoding: "AUDIO_ENCODING_MULAW" },
    });
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const got: any[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: see above
    listen.on("data", (item: any) => got.push(item));
    await until(() => got.length === 1);
    expect(got[0].started).toEqual({ encoding: "AUDIO_ENCODING_MULAW", sample_rate_hertz: 8000 });
    api.listeners[0]?.listener.audio(160, 160, new Uint8Array(160));
    api.listeners[0]?.listener.ended("LEFT_TO_PARTIES");
    await once(listen, "end");
    expect(got[1].audio).toMatchObject({ sequence: 1, position: 160 });
    expect(got[2].ended).toBe("END_REASON_LEFT_TO_PARTIES");
    await until(() => api.listeners[0]?.stopped === true);
    const cancelled = client(v1.CallService).ListenCall({ call_id: "c-1" });
    cancelled.on("error", () => {});
    await until(() => api.listeners.length === 2);
    cancelled.cancel();
    await until(() => api.listeners[1]?.stopped === true);
    const missing = client(v1.CallService).ListenCall({ call_id: "none" });
    const [error] = await once(missing, "error");
    expect(error.code).toBe(grpc.status.NOT_FOUND);
  });
});

describe("gRPC edge / connections", () => {
  it("takes gzip and refuses other encodings", async () => {
    const { port } = await start();
    const send = async (encoding: string, compress: (bytes: Buffer) => Buffer) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const request = session.request({
        ":method": "POST",
        ":path": "/callweave.v1.CallService/GetCall",
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-encoding": encoding,
      });
      let headers: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      request.on("response", (got) => {
        headers = got;
      });
      request.on("trailers", (got) => {
        trailers = got;
      });
      const body = compress(Buffer.from("0a03632d31", "hex"));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt8(1, 0);
      prefix.writeUInt32BE(body.length, 1);
      request.end(Buffer.concat([prefix, body]));
      request.resume();
      await once(request, "close");
      session.close();
      return {
        status: trailers["grpc-status"] ?? headers["grpc-status"],
        accept: headers["grpc-accept-encoding"],
      };
    };
    expect(await send("gzip", gzipSync)).toEqual({ status: "0", accept: "identity,gzip" });
    expect((await send("deflate", deflateSync)).status).toBe(String(grpc.status.UNIMPLEMENTED));
  });

  it("closes connections above the limit", async () => {
    const { port, edge } = await start({ maxConnections: 1 });
    const first = connectHttp2(`http://127.0.0.1:${port}`);
    await until(() => edge.connections === 1);
    const second = connectHttp2(`http://127.0.0.1:${port}`);
    second.on("error", () => {});
    await once(second, "close");
    expect(edge.connections).toBe(1);
    first.destroy();
    await until(() => edge.connections === 0);
  });

  it("drops a connection that says nothing or answers no ping", async () => {
    const { port, edge } = await start({ keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
    const silent = connectTcp(port, "127.0.0.1");
    silent.on("error", () => {});
    silent.resume();
    await until(() => edge.connections === 1);
    await until(() => edge.connections === 0);
    await until(() => silent.destroyed);
  });

  it("drains: watchers are sent away, agents may finish, what is left is cut", async () => {
    const { client, v1, api, edge } = await start();
    api.watchItems = async function* (_cursor, _filter, signal) {
      yield { live: { cursor: "k-1" } };
      await once(signal, "abort");
    };
    const watch = client(v1.CallService).WatchCalls({});
    watch.on("data", () => {});
    const gone = once(watch, "error");
    const finishing = serve(client(v1.AgentService));
    finishing.send(register);
    await until(() => finishing.items.length === 1);
    const finisher = api.agents.stream;
    const staying = serve(client(v1.AgentService));
    staying.send(register);
    await until(() => staying.items.length === 1);
    const drained = edge.drain(500);
    expect((await gone)[0]).toMatchObject({ code: grpc.status.UNAVAILABLE });
    finisher?.end();
    expect((await finishing.end).code).toBe(grpc.status.OK);
    await drained;
    expect((await staying.end).code).not.toBe(grpc.status.OK);
    await until(() => edge.connections === 0 && api.agents.handler.lostCount === 2);
  });
});
