import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { callee } from "@callweave/simulator";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, it } from "vitest";
import { callTimeMs, msHeard, toneBytes } from "../harness/audio.js";
import { until } from "../harness/gateway.js";
import { Outsider, refusalOf, type ServeStream } from "../harness/outsider.js";
import { useRig } from "../harness/rig.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";

const rig = useRig();
const { status } = grpc;
const AGENT_HZ = 5000;
// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
type Any = any;

/** A stack with a witness whose call must not be disturbed, and an outsider. */
async function start() {
  const stack = await rig.stack({ config: WITNESS_CONFIG });
  const witness = await startWitness(rig, stack);
  const outsider = new Outsider(stack.address);
  rig.defer(() => outsider.close());
  return { stack, witness, outsider };
}

/** An agent of plain gRPC that has answered one call. */
async function withCall(behaviour = callee.never()) {
  const all = await start();
  const phone = all.stack.simulator.placeCall({ callee: behaviour });
  const stream = await seated(all.outsider);
  await phone.waitFor("ANSWERED");
  await until(
    async () =>
      (await all.outsider.ask("CallService", "GetCall", { call_id: phone.id })).call.state ===
      "CALL_STATE_ANSWERED",
    "the call to be answered",
  );
  return { ...all, phone, stream };
}

async function seated(outsider: Outsider, more: object = {}): Promise<ServeStream> {
  const stream = outsider.serve({
    register: { agent_id: "plain", capacity: 1, answer_on_accept: true, ...more },
  });
  rig.defer(() => stream.cancel());
  await until(() => stream.items.some(({ offer }) => offer), "an offer");
  stream.send({ accept: {} });
  await until(() => stream.items.some(({ assigned }) => assigned), "the seat");
  return stream;
}

const seconds = (value: number) => ({ seconds: Math.trunc(value), nanos: Math.round((value % 1) * 1e9) });

describe("requests that are refused", () => {
  it("unknown calls, hostile ids and fields out of bounds, each with its rule, and nothing happens (fault 44)", async () => {
    const { outsider, phone, witness } = await withCall();
    const { id } = phone;
    const unknown = await outsider.refused("CallService", "GetCall", { call_id: "no-such-call" });
    expect(unknown).toMatchObject({
      code: status.NOT_FOUND,
      reason: "CALL_NOT_FOUND",
      metadata: { call_id: "no-such-call" },
    });
    for (const [method, more] of [
      ["AnswerCall", {}],
      ["ConnectCall", {}],
      ["EscalateCall", { reason: "ESCALATION_REASON_EMERGENCY" }],
      ["DisconnectCall", {}],
      ["SendNote", { text: "hello" }],
    ] as const) {
      const refused = await outsider.refused("CallService", method, { call_id: "no-such-call", ...more });
      expect([method, refused.code, refused.reason]).toEqual([method, status.NOT_FOUND, "CALL_NOT_FOUND"]);
    }
    const hostile = [
      "",
      "a b",
      "a\r\nb",
      "../../etc/passwd",
      "a>b",
      "*",
      "\u0000",
      "x".repeat(201),
      "a\u202eb c",
    ];
    for (const call_id of hostile) {
      const refused = await outsider.refused("CallService", "GetCall", { call_id });
      expect([call_id, refused.code, refused.metadata.field]).toEqual([
        call_id,
        status.INVALID_ARGUMENT,
        "call_id",
      ]);
    }
    for (const call_id of ["__proto__", "constructor", "$where", "{}"]) {
      const refused = await outsider.refused("CallService", "GetCall", { call_id });
      expect([call_id, refused.code]).toEqual([call_id, status.NOT_FOUND]);
    }
    for (const ring_duration of [seconds(0), seconds(121), seconds(1.5), seconds(-5), { seconds: 2 ** 40 }]) {
      const refused = await outsider.refused("CallService", "ConnectCall", { call_id: id, ring_duration });
      expect(refused).toMatchObject({
        code: status.INVALID_ARGUMENT,
        reason: "INVALID_FIELD",
        metadata: { field: "ring_duration" },
      });
      expect(refused.details).toMatch(/whole seconds from 1 to 120/);
    }
    const fields: [string, object, string][] = [
      ["ConnectCall", { request_id: "with space" }, "request_id"],
      ["ConnectCall", { wait: seconds(151) }, "wait"],
      ["EscalateCall", {}, "reason"],
      ["EscalateCall", { reason: "ESCALATION_REASON_EMERGENCY", summary: "x".repeat(2001) }, "summary"],
      ["DisconnectCall", { after: { condition: "AFTER_CONDITION_MARK" } }, "after.mark"],
      [
        "DisconnectCall",
        { after: { condition: "AFTER_CONDITION_PLAYBACK_DRAINED", deadline: seconds(121) } },
        "after.deadline",
      ],
      ["SetAgentMode", {}, "mode"],
      ["TransferCall", {}, "to"],
      ["SendNote", { text: "" }, "text"],
    ];
    for (const [method, body, field] of fields) {
      const refused = await outsider.refused("CallService", method, { call_id: id, ...body });
      expect([method, refused.code, refused.metadata.field]).toEqual([
        method,
        status.INVALID_ARGUMENT,
        field,
      ]);
    }
    expect(phone.state).toBe("ANSWERED");
    expect(phone.events.some(({ type }) => type === "call.connect" || type === "call.disconnect")).toBe(
      false,
    );
    expect(await witness.missing()).toEqual([]);
  });

  it("verbs in the wrong state: the state, the verb and what is allowed (fault 33)", async () => {
    const { stack, outsider, witness } = await start();
    const phone = stack.simulator.placeCall();
    await until(
      async () => (await outsider.ask("CallService", "ListCalls", {})).calls.length === 2,
      "the waiting call",
    );
    const whisper = { call_id: phone.id, mode: "AGENT_MODE_WHISPER" };
    expect(await outsider.refused("CallService", "SetAgentMode", whisper)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      reason: "CALL_STATE",
      metadata: { state: "PENDING", verb: "SetAgentMode", allowed: expect.stringContaining("AnswerCall") },
    });
    const released = await outsider.refused("CallService", "ReleaseCall", { call_id: phone.id });
    expect(released).toMatchObject({ code: status.FAILED_PRECONDITION, reason: "SEAT_NOT_HELD" });
    await outsider.ask("CallService", "AnswerCall", { call_id: phone.id });
    for (const [method, verb] of [
      ["AnswerCall", "AnswerCall"],
      ["CloseCall", "CloseCall"],
      ["ConfirmEscalation", "ConfirmEscalation"],
    ] as const) {
      const refused = await outsider.refused("CallService", method, { call_id: phone.id });
      expect(refused).toMatchObject({
        code: status.FAILED_PRECONDITION,
        reason: "CALL_STATE",
        metadata: { state: "ANSWERED", verb },
      });
    }
    await outsider.ask("CallService", "DisconnectCall", { call_id: phone.id });
    const over = await outsider.refused("CallService", "ConnectCall", { call_id: phone.id });
    expect(over).toMatchObject({ reason: "CALL_STATE", metadata: { state: "DISCONNECTED", allowed: "" } });
    const cancelled = await outsider.refused("CallService", "CancelCommand", { call_id: phone.id });
    expect(cancelled).toMatchObject({ code: status.FAILED_PRECONDITION, reason: "CALL_STATE" });
    expect(await witness.missing()).toEqual([]);
  });

  it("a repeated request id: one effect with the same body, ALREADY_EXISTS with another (fault 34)", async () => {
    const { outsider, phone, witness } = await withCall(callee.picksUp({ afterSeconds: 0.3 }));
    const body = {
      call_id: phone.id,
      request_id: "once",
      ring_duration: seconds(10),
      wait: seconds(20),
    };
    const replies = await Promise.all([1, 2, 3].map(() => outsider.ask("CallService", "ConnectCall", body)));
    for (const { call, pending } of replies) {
      expect([call.state, pending]).toEqual(["CALL_STATE_CONNECTED", null]);
    }
    expect(phone.events.filter(({ type }) => type === "call.connect")).toHaveLength(1);
    const other = await outsider.refused("CallService", "ConnectCall", {
      ...body,
      ring_duration: seconds(11),
    });
    expect(other).toMatchObject({
      code: status.ALREADY_EXISTS,
      reason: "REQUEST_ID_REUSED",
      metadata: { request_id: "once" },
    });
    const otherVerb = await outsider.refused("CallService", "DisconnectCall", {
      call_id: phone.id,
      request_id: "once",
    });
    expect(otherVerb.code).toBe(status.ALREADY_EXISTS);
    expect(phone.state).toBe("CONNECTED");
    expect(await witness.missing()).toEqual([]);
  });
});

describe("agents that do it wrong", () => {
  it("first items that are no beginning, and registrations out of bounds, end their own stream alone (fault 32)", async () => {
    const { outsider, witness } = await start();
    for (const [item, code, reason] of [
      [{ audio: { handle: 1, pcm: Buffer.alloc(640) } }, status.FAILED_PRECONDITION, "NOT_REGISTERED"],
      [{ heartbeat: { load: 0 } }, status.FAILED_PRECONDITION, "NOT_REGISTERED"],
      [{}, status.FAILED_PRECONDITION, "NOT_REGISTERED"],
      [{ join: { session_token: "made-up" } }, status.NOT_FOUND, "SESSION_NOT_FOUND"],
      [{ reattach: { session_token: "made-up", calls: [] } }, status.NOT_FOUND, "SESSION_NOT_FOUND"],
      [{ register: { agent_id: "" } }, status.INVALID_ARGUMENT, "INVALID_FIELD"],
      [{ register: { agent_id: "a b" } }, status.INVALID_ARGUMENT, "INVALID_FIELD"],
      [{ register: { agent_id: "a", instance_id: "not-a-uuid" } }, status.INVALID_ARGUMENT, "INVALID_FIELD"],
      [{ register: { agent_id: "a", capacity: 10_001 } }, status.INVALID_ARGUMENT, "INVALID_FIELD"],
      [{ register: { agent_id: "a", pool: "nowhere" } }, status.NOT_FOUND, "POOL_NOT_FOUND"],
      ...[11_025, 7, 44_100, -8000].map(
        (sample_rate_hertz) =>
          [
            { register: { agent_id: "a", audio_format: { sample_rate_hertz } } },
            status.INVALID_ARGUMENT,
            "INVALID_FIELD",
          ] as const,
      ),
      [
        {
          register: {
            agent_id: "a",
            audio_format: { encoding: "AUDIO_ENCODING_MULAW", sample_rate_hertz: 16_000 },
          },
        },
        status.INVALID_ARGUMENT,
        "INVALID_FIELD",
      ],
    ] as const) {
      const stream = outsider.serve(item);
      const refused = refusalOf(await stream.end);
      expect([JSON.stringify(item), refused.code, refused.reason]).toEqual([
        JSON.stringify(item),
        code,
        reason,
      ]);
    }
    expect(await witness.missing()).toEqual([]);
  });

  it("a stale handle is told once, and its audio is not heard (fault 32)", async () => {
    const { stream, phone, witness } = await withCall();
    const { handle } = stream.items.find(({ assigned }) => assigned).assigned;
    const pcm = Buffer.from(toneBytes(AGENT_HZ, 200));
    for (let i = 0; i < 5; i++) stream.send({ audio: { handle: handle + 7, pcm } });
    stream.send({ mark: { handle: handle + 7, name: "m" } });
    stream.send({ command: { handle: handle + 7, request_id: "r", disconnect: {} } });
    stream.send({ command: { handle, request_id: "probe", cancel: {} } });
    const results = await until(() => {
      const all = stream.items.filter(({ command_result }) => command_result);
      return all.length === 2 && all.map((item) => item.command_result);
    }, "both results");
    expect(results.map(({ error }: Any) => error.reason).sort()).toEqual([
      "ERROR_REASON_COMMAND_NOT_FOUND",
      "ERROR_REASON_STALE_HANDLE",
    ]);
    const told = stream.items.filter(({ item_refused }) => item_refused);
    expect(told.map((item) => item.item_refused.error.reason)).toEqual(["ERROR_REASON_STALE_HANDLE"]);
    expect(phone.state).toBe("ANSWERED");
    stream.send({ audio: { handle, pcm } });
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) >= 180);
    expect(msHeard(phone, "caller", AGENT_HZ)).toBeLessThanOrEqual(220);
    expect(await witness.missing()).toEqual([]);
  });

  it("items that cannot be: refused one by one, the stream and the call go on (fault 32)", async () => {
    const { stream, phone, witness } = await withCall();
    stream.send(
      { mark: { handle: 0, name: "" } },
      { mark: { handle: 0, name: "x".repeat(101) } },
      { heartbeat: { load: 7 } },
      { register: { agent_id: "again" } },
      { accept: { offer_id: "made-up" } },
      { command: { handle: 0, request_id: "no-verb" } },
      { command: { handle: 0, request_id: "c", connect: { ring_duration: seconds(0) } } },
      { command: { handle: 0, request_id: "d", disconnect: { call_id: "another-call" } } },
      {},
    );
    const reasons = await until(() => {
      const found = stream.items
        .map(({ item_refused, command_result }) => (item_refused ?? command_result)?.error)
        .filter((error) => error)
        .map((error: Any) => error.reason);
      return found.length === 8 && found;
    }, "eight refusals");
    expect(reasons.filter((reason) => reason === "ERROR_REASON_INVALID_FIELD")).toHaveLength(7);
    expect(reasons).toContain("ERROR_REASON_OFFER_GONE");
    stream.send({ audio: { handle: 0, pcm: Buffer.from(toneBytes(AGENT_HZ, 300)) } });
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) >= 280);
    expect(stream.ended).toBe(false);
    expect(await witness.missing()).toEqual([]);
  });

  it("a full ring refuses the item whole (fault 11)", async () => {
    const { stream, phone, witness } = await withCall();
    // Thirty seconds fit; the provider takes about one of them at once.
    const pcm = Buffer.from(toneBytes(AGENT_HZ, 5000));
    for (let i = 0; i < 10; i++) stream.send({ audio: { handle: 0, pcm } });
    stream.send({ command: { handle: 0, request_id: "probe", cancel: {} } });
    await until(() => stream.items.some(({ command_result }) => command_result), "the probe");
    const refused = stream.items.filter(({ item_refused }) => item_refused).map((item) => item.item_refused);
    expect([3, 4]).toContain(refused.length);
    expect(refused[0]).toMatchObject({
      item: "audio",
      error: {
        code: status.RESOURCE_EXHAUSTED,
        reason: "ERROR_REASON_PLAYBACK_FULL",
        metadata: { refused_ms: "5000", max_ms: "30000" },
      },
    });
    const cleared = callTimeMs(phone);
    stream.send({ clear_playback: { handle: 0 } });
    const { playback_cleared } = await until(
      () => stream.items.find((item) => item.playback_cleared),
      "the answer to clear",
    );
    expect(Number(playback_cleared.dropped_local.seconds)).toBeGreaterThan(20);
    await phone.waitUntil(() => callTimeMs(phone) > cleared + 1500);
    expect(msHeard(phone, "caller", AGENT_HZ, { fromMs: cleared + 800 })).toBe(0);
    expect(await witness.missing()).toEqual([]);
  });
});

describe("a plain client", () => {
  it("gets, connects and escalates a live call, waiting for the result", async () => {
    const { outsider, phone, witness } = await withCall(callee.rejects(0.3));
    const { call } = await outsider.ask("CallService", "GetCall", { call_id: phone.id });
    expect(call).toMatchObject({ call_id: phone.id, caller: "+15550101", callee: "+15550100" });
    const unanswered = await outsider.refused("CallService", "ConnectCall", {
      call_id: phone.id,
      ring_duration: seconds(5),
      wait: seconds(20),
    });
    expect(unanswered).toMatchObject({ code: status.FAILED_PRECONDITION, reason: "CALLEE_UNANSWERED" });
    const escalated = await outsider.ask("CallService", "EscalateCall", {
      call_id: phone.id,
      reason: "ESCALATION_REASON_EMERGENCY",
      summary: "Needs somebody.",
      wait: seconds(20),
    });
    expect(escalated).toMatchObject({
      pending: null,
      result: { outcome: "ESCALATION_OUTCOME_UNANSWERED", durability: "CONTEXT_DURABILITY_STORE" },
    });
    const { context } = await outsider.ask("ContextService", "GetContext", { call_id: phone.id });
    expect(context).toMatchObject({ summary: "Needs somebody.", status: "CONTEXT_STATUS_ACTIVE" });
    expect(phone.state).toBe("ANSWERED");
    expect(await witness.missing()).toEqual([]);
  });

  it("lists and watches without a gap: history from the cursor, then live", async () => {
    const { stack, outsider, witness } = await start();
    const { cursor } = await outsider.ask("CallService", "ListCalls", {});
    const before = stack.simulator.placeCall();
    await until(
      async () => (await outsider.ask("CallService", "ListCalls", {})).calls.length === 2,
      "the call to be listed",
    );
    before.hangUp();
    const watch = outsider.follow("CallService", "WatchCalls", { cursor });
    rig.defer(() => watch.cancel());
    const eventsOf = (id: string) =>
      watch.items.map(({ event }) => event).filter((event) => event?.call_id === id);
    await until(() => eventsOf(before.id).some(({ ended }) => ended), "the end of the first call");
    await until(() => watch.items.some(({ live }) => live), "live");
    const after = stack.simulator.placeCall();
    await until(() => eventsOf(after.id).some(({ arrived }) => arrived), "the second call");
    after.hangUp();
    await until(() => eventsOf(after.id).some(({ ended }) => ended), "the end of the second call");
    expect(watch.items.filter(({ live }) => live)).toHaveLength(1);
    for (const { id } of [before, after]) {
      const sequences = eventsOf(id).map(({ sequence }) => sequence);
      expect(sequences).toEqual(sequences.map((_, i) => i + 1));
    }
    // A second watch from the middle continues exactly there.
    const middle = eventsOf(before.id)[1];
    const again = outsider.follow("CallService", "WatchCalls", { cursor: middle.cursor });
    rig.defer(() => again.cancel());
    await until(() => again.items.some(({ live }) => live), "live");
    const rest = watch.items.map(({ event }) => event).filter((event) => event);
    const from = rest.indexOf(middle) + 1;
    const replayed = again.items.map(({ event }) => event).filter((event) => event);
    expect(replayed.map(({ cursor: at }) => at).slice(0, rest.length - from)).toEqual(
      rest.slice(from).map(({ cursor: at }) => at),
    );
    expect(await witness.missing()).toEqual([]);
  });

  it("is told when a cursor is of another store, or none", async () => {
    const { outsider, witness } = await start();
    const elsewhere = await rig.stack();
    const other = new Outsider(elsewhere.address);
    rig.defer(() => other.close());
    const { cursor } = await other.ask("CallService", "ListCalls", {});
    const foreign = refusalOf(await outsider.follow("CallService", "WatchCalls", { cursor }).end);
    expect(foreign).toMatchObject({ code: status.OUT_OF_RANGE, reason: "CURSOR_EXPIRED" });
    // What it is told instead is a cursor that works.
    const { oldest } = foreign.metadata;
    const watch = outsider.follow("CallService", "WatchCalls", { cursor: oldest });
    rig.defer(() => watch.cancel());
    await until(() => watch.items.some(({ live }) => live), "live");
    const garbage = refusalOf(await outsider.follow("CallService", "WatchCalls", { cursor: "x y" }).end);
    expect(garbage).toMatchObject({ code: status.INVALID_ARGUMENT, reason: "INVALID_FIELD" });
    expect(await witness.missing()).toEqual([]);
  });

  it("finds the services by reflection", async () => {
    const { stack } = await start();
    const index = fileURLToPath(import.meta.resolve("@grpc/reflection"));
    const proto = index.replace(/build\/src\/index\.js$/, "build/proto/grpc/reflection/v1/reflection.proto");
    const api = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true, oneofs: true })) as Any;
    const client = new api.grpc.reflection.v1.ServerReflection(
      stack.address,
      grpc.credentials.createInsecure(),
      { "grpc.enable_http_proxy": 0 },
    );
    rig.defer(() => client.close());
    const stream = client.ServerReflectionInfo();
    stream.on("error", () => {});
    stream.write({ list_services: "" });
    const [answer] = await once(stream, "data");
    stream.end();
    expect(answer.list_services_response.service.map(({ name }: Any) => name)).toEqual(
      expect.arrayContaining([
        "callweave.v1.AgentService",
        "callweave.v1.CallService",
        "callweave.v1.ContextService",
        "callweave.v1.FleetService",
      ]),
    );
  });
});
