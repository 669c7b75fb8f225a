import * as contract from "@callweave/proto";
import { type CallServiceDefinition, Error as PbError } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import { protoJson } from "../../gateway/src/contract/proto-json.js";
import { context, FakeApi, FakeLogger, snapshot } from "../../gateway/src/contract/testing.js";
import { createGrpcServer } from "../../gateway/src/grpc/server.js";
import { natsAvailable } from "../harness/nats.js";
import { until } from "../harness/until.js";
import { loaded } from "./grpc-harness.js";
import { ask, defer, outsider, server, wire } from "./nats-harness.js";

const available = await natsAvailable();

// One valid request for every unary method, as JSON.
const REQUESTS: Readonly<Record<string, Record<string, unknown>>> = {
  AnswerCall: { callId: "c-1" },
  ConnectCall: { callId: "c-1", requestId: "r-1", ringDuration: "20s", wait: "1s" },
  SetAgentMode: { callId: "c-1", mode: "AGENT_MODE_SPY" },
  EscalateCall: {
    callId: "c-1",
    reason: "ESCALATION_REASON_FRUSTRATED",
    summary: "Angry.",
    originalCallee: { ringDuration: "30s" },
  },
  ConfirmEscalation: { callId: "c-1", accepted: true },
  TransferCall: { callId: "c-1", pool: "sales" },
  ReleaseCall: { callId: "c-1" },
  CloseCall: { callId: "c-1" },
  DisconnectCall: { callId: "c-1" },
  CancelCommand: { callId: "c-1", requestId: "r-1" },
  SendNote: { callId: "c-1", text: "Be kind" },
  ListCalls: { filter: { pools: ["default"] }, pageSize: 10 },
  GetCall: { callId: "c-1" },
  SaveContext: { context: { callId: "c-1", summary: "s", data: { a: [1, null] } } },
  UpdateContext: { context: { callId: "c-1", summary: "t" }, updateMask: "summary", revision: "1" },
  AppendTurns: {
    callId: "c-1",
    turns: [{ id: "t1", role: "TURN_ROLE_CALLER", text: "Hello", time: "2026-01-01T00:00:00Z" }],
  },
  GetContext: { callId: "c-1" },
  FindContexts: { callee: "+15550101", within: "3600s" },
  ListContexts: { statuses: ["CONTEXT_STATUS_ESCALATING"], caller: "+15550100" },
  DeleteContexts: { callId: "c-1" },
  ListPools: {},
  ListAgents: { pool: "default" },
  ListGateways: {},
  ListAudit: { kinds: ["AUDIT_KIND_LISTEN"], number: "+15550100" },
};

// biome-ignore lint/suspicious/noExplicitAny: any message of the contract
const codec = (name: string) => (contract as any)[name];
const SERVICES = ["CallService", "ContextService", "FleetService", "AuditService"] as const;
// biome-ignore lint/suspicious/noExplicitAny: see above
const definitionOf = (service: string) => (contract as any)[`${service}Definition`];
const METHODS = SERVICES.flatMap((service) =>
  Object.values(definitionOf(service) as typeof CallServiceDefinition)
    .filter((method) => !method.responseStream)
    .map((method) => ({ service, name: method.path.split("/").at(-1) as string })),
);

describe.skipIf(!available)("services on NATS", () => {
  it.each(METHODS)("$name answers as on gRPC, in JSON and protobuf", async ({ service, name }) => {
    const at = await server();
    const { api } = await wire(at);
    const nc = await outsider(at);
    const grpcApi = new FakeApi();
    const edge = createGrpcServer(grpcApi, {}, new FakeLogger());
    defer(() => edge.stop());
    const port = await edge.listen();
    edge.setServing(true);
    const client = new loaded.callweave.v1[service](`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      "grpc.enable_http_proxy": 0,
    });
    defer(() => client.close());

    const request = REQUESTS[name];
    expect(request, `a request for ${name}`).toBeDefined();
    const typed = protoJson(`${name}Request`, codec(`${name}Request`)).decode(
      Buffer.from(JSON.stringify(request)),
    );
    const bytes = codec(`${name}Request`).encode(typed).finish();
    const viaGrpc: Buffer = await new Promise((resolve, reject) =>
      client.makeUnaryRequest(
        `/callweave.v1.${service}/${name}`,
        (value: Buffer) => value,
        (value: Buffer) => value,
        Buffer.from(bytes),
        (error: unknown, value: Buffer) => (error ? reject(error) : resolve(value)),
      ),
    );
    const subject = `callweave.default.rpc.${name}`;
    const binary = await ask(nc, subject, bytes, { "content-type": "application/protobuf" });
    expect([binary.error, binary.type]).toEqual(["", "application/protobuf"]);
    expect(Buffer.from(binary.data)).toEqual(viaGrpc);
    const json = await ask(nc, subject, request);
    expect([json.error, json.type]).toEqual(["", "application/json"]);
    const response = protoJson(`${name}Response`, codec(`${name}Response`));
    expect(response.decode(json.data)).toEqual(codec(`${name}Response`).decode(viaGrpc));
    // The core was asked the same thing, twice here.
    expect(api.executed).toEqual([...grpcApi.executed, ...grpcApi.executed]);
    expect(JSON.stringify(api.contextCalls.at(-1))).toBe(JSON.stringify(grpcApi.contextCalls.at(-1)));
  });

  describe("with one server", () => {
    let at: Awaited<ReturnType<typeof server>>;
    const get = "callweave.default.rpc.GetCall";

    it("is found by ping, info and stats, with every method", async () => {
      at = await server();
      await wire(at);
      const nc = await outsider(at);
      await ask(nc, get, { callId: "c-1" });
      await ask(nc, get, { callId: "none" });
      const client = nc.services.client();
      const found = [];
      for await (const info of await client.info("callweave")) found.push(info);
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ name: "callweave", version: "0.1.0" });
      const names = found[0]?.endpoints.map((endpoint) => endpoint.name).sort();
      expect(names).toEqual([...METHODS.map((method) => method.name), "ListenCall", "Serve"].sort());
      expect(found[0]?.endpoints.find((endpoint) => endpoint.name === "GetCall")).toMatchObject({
        subject: "callweave.*.rpc.GetCall",
        queue_group: "q",
        metadata: { request: "callweave.v1.GetCallRequest" },
      });
      for await (const stats of await client.stats("callweave")) {
        const one = stats.endpoints?.find((endpoint) => endpoint.name === "GetCall");
        expect(one).toMatchObject({ num_requests: 2, num_errors: 1 });
        expect(one?.last_error).toMatch(/^5:no call/);
      }
      let pings = 0;
      for await (const _ of await client.ping("callweave")) pings++;
      expect(pings).toBe(1);
    });

    it("refuses with reason, metadata and code, in the encoding of the request", async () => {
      at = await server();
      await wire(at);
      const nc = await outsider(at);
      const json = await ask(nc, get, { callId: "none" });
      expect(json).toMatchObject({ code: 5, error: "no call none", type: "application/json" });
      expect(json.body).toEqual({
        code: 5,
        reason: "ERROR_REASON_CALL_NOT_FOUND",
        message: "no call none",
        metadata: { call_id: "none" },
      });
      const bytes = contract.GetCallRequest.encode({ callId: "none" }).finish();
      const binary = await ask(nc, get, bytes, { "Content-Type": "application/protobuf" });
      expect(PbError.decode(binary.data)).toMatchObject({ code: 5, metadata: { call_id: "none" } });
    });

    it("answers bad input with INVALID_FIELD and lives on (fault 30)", async () => {
      at = await server({ config: "max_payload: 2MB" });
      const { wire: made } = await wire(at);
      const nc = await outsider(at);
      const bad: [string | Uint8Array | object, Record<string, string>, string][] = [
        ["{", {}, "message"],
        ["[]", {}, "message"],
        ["null", {}, "message"],
        [Buffer.from([0xff, 0xfe, 0]), {}, "message"],
        [{ callId: { a: 1 } }, {}, "message"],
        [{ callId: ["*"] }, {}, "message"],
        [Buffer.from([0x0a, 0x7f]), { "Content-Type": "application/protobuf" }, "message"],
        [Buffer.alloc(1_048_577, 0x20), {}, "message"],
        [{ callId: "" }, {}, "call_id"],
        [{ callId: "a\u0000b" }, {}, "call_id"],
        [{ callId: "x".repeat(5_000) }, {}, "call_id"],
        [{ callId: "c-1" }, { "Content-Type": "text/plain" }, "Content-Type"],
        [{ callId: "c-1" }, { "Callweave-Timeout-Ms": "-1" }, "Callweave-Timeout-Ms"],
      ];
      for (const [body, headers, field] of bad) {
        const answer = await ask(nc, get, body, headers);
        const detail = JSON.stringify([body, headers]).slice(0, 100);
        expect(answer.code, detail).toBe(3);
        const error =
          answer.type === "application/json" ? answer.body.metadata : PbError.decode(answer.data).metadata;
        expect(error.field, detail).toBe(field);
      }
      for (const callId of ["*", ">", "a.b", "..", "$SRV.PING"])
        expect([3, 5]).toContain((await ask(nc, get, { callId })).code);
      expect((await ask(nc, get, { callId: "c-1", future: { x: 1 } })).error).toBe("");
      await expect(ask(nc, "callweave.default.rpc.NoSuchMethod")).rejects.toMatchObject({ code: "503" });
      expect(made.stats.malformed).toBeGreaterThan(5);
    });

    it("does nothing for a command without a reply subject", async () => {
      at = await server();
      const { wire: made, api } = await wire(at);
      const nc = await outsider(at);
      nc.publish("callweave.default.rpc.DisconnectCall", '{"callId":"c-1"}');
      await until(() => made.stats.withoutReply === 1, "the command to come");
      // Nor where the answer would be published under a subject that the sender chose.
      const forged: string[] = [];
      nc.subscribe("callweave.default.calls.>", {
        callback: (_error, message) => forged.push(message.subject),
      });
      const reply = "callweave.default.calls.c-1.events";
      nc.publish("callweave.default.rpc.GetCall", '{"callId":"c-1"}', { reply });
      for (const verb of ["PING", "INFO", "STATS"]) nc.publish(`$SRV.${verb}.callweave`, "", { reply });
      nc.publish("callweave.default.agents.register", "{", { reply });
      await until(() => made.stats.withoutReply === 3, "both to come");
      expect((await ask(nc, get, { callId: "c-1" })).error).toBe("");
      expect(forged).toEqual([]);
      expect(api.executed).toEqual([]);
    });

    it("bounds the requests under way and tells a deadline", async () => {
      at = await server();
      const { wire: made, api } = await wire(at, { maxConcurrentRequests: 2 });
      const nc = await outsider(at);
      let finish: () => void = () => {};
      const waiting = new Promise<void>((resolve) => {
        finish = resolve;
      });
      api.reply = async () => {
        await waiting;
        return { call: snapshot() };
      };
      const subject = "callweave.default.rpc.ConnectCall";
      const late = await ask(nc, subject, { callId: "c-1" }, { "Callweave-Timeout-Ms": "50" });
      expect(late).toMatchObject({ code: 4, body: { metadata: { timeout_ms: "50" } } });
      const second = ask(nc, subject, { callId: "c-1" });
      await until(() => made.stats.requestsRunning === 2, "two requests under way");
      const third = await ask(nc, get, { callId: "c-1" });
      expect(third).toMatchObject({
        code: 8,
        body: { reason: "ERROR_REASON_LIMIT_REACHED", metadata: { limit: "max_concurrent_requests" } },
      });
      finish();
      expect((await second).error).toBe("");
      await until(() => made.stats.requestsRunning === 0, "nothing under way");
      expect((await ask(nc, get, { callId: "c-1" })).error).toBe("");
    });

    it("hides what went wrong inside", async () => {
      at = await server();
      const { api, logger } = await wire(at);
      const nc = await outsider(at);
      api.reply = () => Promise.reject(new Error("password 123"));
      const answer = await ask(nc, "callweave.default.rpc.AnswerCall", { callId: "c-1" });
      expect(answer.code).toBe(13);
      expect(JSON.stringify(answer.body) + answer.error).not.toContain("password");
      expect(JSON.stringify(logger.lines)).toContain(answer.body.metadata.error_id);
      api.reply = () => Promise.reject(new CallError("CALL_STATE", "line\r\nX-Evil: 1 \u00e9"));
      const odd = await ask(nc, "callweave.default.rpc.AnswerCall", { callId: "c-1" });
      expect(odd.error).toBe("line X-Evil: 1 ?");
      expect(odd.body.message).toContain("\u00e9");
    });

    it("sends a context that no message can hold with fewer turns (fault 22)", async () => {
      at = await server({ config: "max_payload: 65536" });
      const { api } = await wire(at);
      const nc = await outsider(at);
      const time = new Date("2026-01-01T00:00:00Z");
      const turns = Array.from({ length: 400 }, (_, i) => ({
        id: `t${i}`,
        role: "CALLER" as const,
        text: "x".repeat(500),
        locale: "",
        time,
        heard: "",
        interrupted: false,
      }));
      api.contexts.get = async () => context({ turns, turnCount: 400 });
      const { body } = await ask(nc, "callweave.default.rpc.GetContext", { callId: "c-1" });
      expect(body.context.truncated).toBe(true);
      expect(body.context.turns.at(-1).id).toBe("t399");
      expect(body.context.turns.length).toBeGreaterThan(30);
      api.contexts.list = async () => ({
        contexts: Array.from({ length: 200 }, () => context({ summary: "y".repeat(1_000) })),
        nextPageToken: "",
        partial: false,
      });
      const list = await ask(nc, "callweave.default.rpc.ListContexts", {});
      expect(list).toMatchObject({ code: 8, body: { metadata: { limit: "max_payload_bytes" } } });
    });
  });

  describe("authorization", () => {
    const keys = [
      { name: "agent", tenant: "default", key: "0123456789abcdef" },
      { name: "desk", tenant: "acme", key: "fedcba9876543210" },
    ];
    const bearer = (key: string) => ({ "callweave-authorization": `Bearer ${key}` });

    it("serves the tenant of the key and nobody else", async () => {
      const at = await server();
      const { api } = await wire(at, { keys });
      const nc = await outsider(at);
      api.calls_ = [snapshot(), snapshot({ tenant: "acme", callId: "c-2" })];
      const codeOf = async (tenant: string, callId: string, headers: Record<string, string> = {}) =>
        (await ask(nc, `callweave.${tenant}.rpc.GetCall`, { callId }, headers)).code;
      expect(await codeOf("default", "c-1", bearer("0123456789abcdef"))).toBe(0);
      expect(await codeOf("acme", "c-2", bearer("fedcba9876543210"))).toBe(0);
      expect(await codeOf("acme", "c-1", bearer("fedcba9876543210"))).toBe(5);
      for (const tenant of ["acme", "none", "=", "=ZZ"])
        expect(await codeOf(tenant, "c-2", bearer("0123456789abcdef")), tenant).toBe(5);
      const wrong: Record<string, string>[] = [
        {},
        bearer("wrong-wrong-wrong"),
        { "Callweave-Authorization": "0123456789abcdef" },
      ];
      for (const headers of wrong) expect(await codeOf("default", "c-1", headers)).toBe(16);
      expect(
        JSON.stringify(await ask(nc, "callweave.default.rpc.GetCall", {}, bearer("secret-secret-x"))),
      ).not.toContain("secret-secret");
    });

    it("serves nobody without keys when the server is elsewhere, and says so", async () => {
      const at = await server();
      const { logger } = await wire(at, { serverIsLocal: false });
      const nc = await outsider(at);
      expect(logger.lines).toContainEqual(
        expect.objectContaining({
          level: "warn",
          message: expect.stringContaining("nobody is served on NATS"),
        }),
      );
      expect((await ask(nc, "callweave.default.rpc.GetCall", { callId: "c-1" })).code).toBe(16);
    });
  });

  it("serves again after the server came back, and the other gateway meanwhile drained", async () => {
    const at = await server();
    const { wire: first } = await wire(at);
    const { bus: second } = await wire(at, { gatewayId: "g-2" });
    await at.kill();
    await until(() => !second.connected, "the loss to be seen");
    await at.restart();
    await until(() => second.connected, "the bus to be back");
    await first.drain(1_000);
    const nc = await outsider(at);
    for (let i = 0; i < 10; i++)
      expect((await ask(nc, "callweave.default.rpc.GetCall", { callId: "c-1" })).error).toBe("");
  });
});
