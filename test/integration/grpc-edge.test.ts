import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import { FakeApi, FakeLogger, snapshot } from "../../gateway/src/contract/testing.js";
import { createGrpcServer } from "../../gateway/src/grpc/server.js";
import { loaded, refusal, register, serve, start, unary } from "./grpc-harness.js";

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

  it("lists its services by reflection, and only with a credential (fault 42)", async () => {
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
      "callweave.v1.AuditService",
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
