import { AssignedResume, ListenCallResponse, ServeRequest } from "@callweave/proto";
import { frameTone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import { FakeApi } from "../../gateway/src/contract/testing.js";
import { numbersHeard } from "../harness/audio.js";
import { natsAvailable } from "../harness/nats.js";
import { echo, NatsAgent } from "../harness/nats-agent.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { ask, outsider, server, wire } from "./nats-harness.js";

const available = await natsAvailable();
const rig = useRig();

/** Simulator, gateway and NATS, with one connection of an outsider. */
async function stack(config: object = {}) {
  const at = await server({ jetstream: true });
  const made = await rig.stack({ config: { nats: { urls: [at.url] }, ...config } });
  return { at, stack: made, nc: await outsider(at, { maxReconnectAttempts: -1, reconnectTimeWait: 100 }) };
}

describe.skipIf(!available)("an agent on NATS", () => {
  it("takes a call and is heard", async () => {
    const { stack: made, nc } = await stack();
    const agent = await NatsAgent.start(nc);
    echo(agent);
    expect(agent.reply.registered?.sessionToken).not.toContain(agent.session);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 30);
    expect(agent.holes).toBe(0);
    expect((await agent.item("registered")).sessionToken).toBe(agent.token);
    const { agents } = (await ask(nc, "callweave.default.rpc.ListAgents")).body;
    expect(agents).toMatchObject([{ agentId: "nats-agent", callIds: [phone.id] }]);
    agent.send({ $case: "bye", value: {} });
    await until(() => agent.end, "the end of the stream");
    expect(agent.end).toEqual({ status: "0", reason: "" });
  });

  it("reattaches after a hole without losing the call (fault 17)", async () => {
    const { stack: made, nc } = await stack();
    const first = await NatsAgent.start(nc);
    echo(first);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    const { epoch } = await first.item("assigned");
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
    first.onItem = () => {};
    first.skip();
    first.send({ $case: "heartbeat", value: { load: 0 } });
    await until(() => first.end, "the end of the stream");
    expect(first.end).toMatchObject({
      status: "3",
      reason: "INVALID_FIELD",
      error: { metadata: { field: "Callweave-Sequence" } },
    });
    const second = await NatsAgent.start(nc, {
      first: {
        $case: "reattach",
        value: { sessionToken: first.token, calls: [{ callId: phone.id, epoch, lastEventSequence: 0 }] },
      },
    });
    echo(second);
    expect(second.session).not.toBe(first.session);
    expect(await second.item("assigned")).toMatchObject({ epoch, resume: AssignedResume.REATTACHED });
    const before = numbersHeard(phone, "caller").length;
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > before + 20);
    expect(phone.state).toBe("ANSWERED");
  });

  it("is found frozen, and another one gets the call (fault 2)", async () => {
    const { stack: made, nc } = await stack();
    const first = await NatsAgent.start(nc);
    echo(first);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    await first.item("assigned");
    first.onItem = () => {};
    first.freeze();
    const second = await NatsAgent.start(nc);
    echo(second);
    await until(() => first.end, "the end of the stream");
    expect(first.end?.reason).toBe("HEARTBEAT_LOST");
    expect(await second.item("assigned")).toMatchObject({ epoch: 2, call: { callId: phone.id } });
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
  });

  it("keeps its call over a restart of the server (fault 14)", async () => {
    const { at, stack: made, nc } = await stack({ pools: [{ name: "default", reattach_grace_ms: 20_000 }] });
    const first = await NatsAgent.start(nc);
    echo(first);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    const { epoch } = await first.item("assigned");
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
    first.onItem = () => {};
    first.freeze();
    await at.kill();
    await at.restart();
    const second = await until(
      () =>
        NatsAgent.start(nc, {
          first: {
            $case: "reattach",
            value: { sessionToken: first.token, calls: [{ callId: phone.id, epoch, lastEventSequence: 0 }] },
          },
        }).catch(() => undefined),
      "the agent to be back",
      20_000,
    );
    echo(second);
    expect(await second.item("assigned")).toMatchObject({ epoch });
    const before = numbersHeard(phone, "caller").length;
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > before + 20);
    expect(phone.state).toBe("ANSWERED");
  });

  it("keeps its call while the server stands still for a while (fault 15)", async () => {
    const { at, stack: made, nc } = await stack({ pools: [{ name: "default", reattach_grace_ms: 20_000 }] });
    const first = await NatsAgent.start(nc);
    echo(first);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    const { epoch } = await first.item("assigned");
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
    const trail = await rig.trail(made);
    at.freeze();
    // The gateway gives the stream up by itself: the seat is suspended, the call goes on.
    await trail.waitFor("seatChanged", (event) => event.cause === "LOST");
    expect((await rig.client(made).calls.get(phone.id)).state).toBe("ANSWERED");
    at.thaw();
    await until(() => first.end, "the end of the old stream", 20_000);
    expect(first.end?.reason).toBe("HEARTBEAT_LOST");
    const second = await NatsAgent.start(nc, {
      first: {
        $case: "reattach",
        value: { sessionToken: first.token, calls: [{ callId: phone.id, epoch, lastEventSequence: 0 }] },
      },
    });
    echo(second);
    expect(await second.item("assigned")).toMatchObject({ epoch });
    const before = numbersHeard(phone, "caller").length;
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > before + 20);
  });

  it("is heard by whoever asks for the audio, as long as somebody asks", async () => {
    const { stack: made, nc } = await stack({});
    const agent = await NatsAgent.start(nc);
    echo(agent);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    await agent.item("assigned");
    const heard: ListenCallResponse[] = [];
    nc.subscribe("callweave.default.calls.*.audio.>", {
      callback: (_error, message) => heard.push(ListenCallResponse.decode(message.data)),
    });
    const listen = (body: object) =>
      ask(nc, "callweave.default.rpc.ListenCall", { callId: phone.id, ...body });
    const { body } = await listen({ source: "AUDIO_SOURCE_AGENT" });
    expect(body).toEqual({
      subject: `callweave.default.calls.${phone.id}.audio.AGENT`,
      format: { encoding: "AUDIO_ENCODING_S16LE", sampleRateHertz: 16000 },
      lease: "30s",
    });
    expect((await listen({ source: "AUDIO_SOURCE_AGENT" })).body.subject).toBe(body.subject);
    await until(() => heard.length > 20, "audio");
    expect(heard[0]?.item?.$case).toBe("started");
    const sequences = heard.flatMap(({ item }) => (item?.$case === "audio" ? [item.value.sequence] : []));
    expect(sequences).toEqual(sequences.map((_, i) => i + 1));
    const other = await listen({ format: { encoding: "AUDIO_ENCODING_MULAW", sampleRateHertz: 8000 } });
    expect(other.body.subject).toBe(`callweave.default.calls.${phone.id}.audio.MIXED.MULAW-8000`);
    expect((await listen({ callId: "none" })).body.reason).toBe("ERROR_REASON_CALL_NOT_FOUND");
    expect((await listen({ source: "AUDIO_SOURCE_REMOTE" })).code).not.toBe(0);
    phone.hangUp();
    await until(() => heard.filter(({ item }) => item?.$case === "ended").length === 2, "both ends");
  });
});

describe.skipIf(!available)("the streams of agents on NATS", () => {
  const keys = [
    { name: "one", tenant: "default", key: "0123456789abcdef" },
    { name: "two", tenant: "default", key: "fedcba9876543210" },
    { name: "three", tenant: "acme", key: "abcdefabcdefabcd" },
  ];

  it("force heartbeats and refuse what is no beginning", async () => {
    const at = await server();
    const { api } = await wire(at);
    const nc = await outsider(at);
    const agent = await NatsAgent.start(nc);
    expect(api.agents.begun[0]).toContain('"heartbeat":true');
    expect(agent.reply.registered?.gatewayId).toBe("g-1");
    const refused = async (request: object) =>
      (await ask(nc, "callweave.default.agents.register", request)).body;
    expect((await refused({ items: [{ heartbeat: {} }] })).reason).toBe("ERROR_REASON_NOT_REGISTERED");
    expect((await refused({ items: [] })).metadata.field).toBe("items");
    expect((await refused({ items: [{ register: { agentId: "*" } }] })).metadata.field).toBe("agent_id");
    const json = await refused({ items: [{ register: { agentId: "json" } }] });
    expect(json).toMatchObject({ registered: { heartbeatInterval: "0.500s", gatewayId: "g-1" } });
    expect(api.agents.begun.at(-1)).toContain('"agentId":"json"');
  });

  it("hear nobody but the one who registered", async () => {
    const at = await server();
    const { api, wire: made } = await wire(at, { keys });
    const nc = await outsider(at);
    const agent = await NatsAgent.start(nc, { key: keys[0]?.key as string });
    await until(() => agent.items.length > 0, "the first frame");
    const forged = ServeRequest.encode({ items: [{ item: { $case: "bye", value: {} } }] }).finish();
    const codes = [];
    for (const key of ["", "fedcba9876543210", "abcdefabcdefabcd", "guessed-guessed-"]) {
      const headers = {
        "Callweave-Sequence": "2",
        ...(key && { "Callweave-Authorization": `Bearer ${key}` }),
      };
      codes.push((await ask(nc, agent.up, forged, headers)).code);
    }
    // The third is of another tenant, for whom there is nothing here.
    expect(codes).toEqual([16, 16, 5, 16]);
    expect(made.stats.forgedFrames).toBe(4);
    agent.send({ $case: "mark", value: { handle: 1, name: "mine" } });
    await until(() => api.agents.handler.said.includes("mark 1 mine"), "the agent's own frame");
    expect(api.agents.handler.said).not.toContain("bye");
    await expect(NatsAgent.start(nc, { tenant: "acme", key: keys[0]?.key as string })).rejects.toMatchObject({
      error: { code: 5 },
    });
  });

  it("end by garbage, a repeat or too much, and only those (fault 30)", async () => {
    const at = await server();
    const { wire: made } = await wire(at, { stream: { maxMessageBytes: 1_000 } });
    const nc = await outsider(at);
    const good = await NatsAgent.start(nc);
    const ends: [(agent: NatsAgent) => void, string][] = [
      [(agent) => agent.publish(Buffer.from([0x0a, 0x7f, 1]), 2), "message"],
      [(agent) => agent.publish(Buffer.alloc(1_001), 2), "message"],
      [(agent) => agent.publish(new Uint8Array(), 1), "Callweave-Sequence"],
      [(agent) => agent.publish(new Uint8Array(), 3), "Callweave-Sequence"],
      [(agent) => agent.publish(new Uint8Array(), Number.NaN), "Callweave-Sequence"],
    ];
    for (const [act, field] of ends) {
      const agent = await NatsAgent.start(nc, { heartbeats: false });
      await until(() => agent.items.length > 0, "the first frame");
      act(agent);
      await until(() => agent.end, "the end");
      expect(agent.end?.error?.metadata.field).toBe(field);
      expect(agent.holes).toBe(0);
    }
    await until(() => made.stats.serveStreams === 1, "the others to be gone");
    expect(made.stats.sequenceHoles).toBe(3);
    expect(good.end).toBeUndefined();
  });

  it("answer frames that ask, and nobody answers for one that is gone", async () => {
    const at = await server();
    await wire(at);
    const nc = await outsider(at);
    const agent = await NatsAgent.start(nc, { heartbeats: false });
    const beat = ServeRequest.encode({ items: [] }).finish();
    expect((await ask(nc, agent.up, beat, { "Callweave-Sequence": "2" })).code).toBe(0);
    const wrong = await ask(nc, agent.up, beat, { "Callweave-Sequence": "9" });
    expect(wrong.code).toBe(3);
    await until(() => agent.end, "the end");
    await expect(ask(nc, agent.up, beat, { "Callweave-Sequence": "3" })).rejects.toMatchObject({
      code: "503",
    });
  });

  it("end when nothing comes any more, also a second stream", async () => {
    const at = await server();
    const { api } = await wire(at, { silentIntervals: 2 });
    const nc = await outsider(at);
    const agent = await NatsAgent.start(nc, { heartbeats: false });
    await until(() => agent.end, "the end");
    expect(agent.end).toMatchObject({ reason: "HEARTBEAT_LOST", status: "10" });
    expect(api.agents.handler.lostCount).toBe(1);
  });

  it("are found at whichever gateway knows the session", async () => {
    const at = await server();
    const strange = new FakeApi();
    strange.agents.refuse = new CallError("SESSION_NOT_FOUND", "unknown");
    const { wire: first } = await wire(at, { api: strange, gatewayId: "g-1" });
    const { api, wire: second } = await wire(at, { gatewayId: "g-2" });
    const nc = await outsider(at);
    const join = { $case: "join", value: { sessionToken: "secret" } } as const;
    for (let i = 0; i < 8; i++) {
      const agent = await NatsAgent.start(nc, { first: join, heartbeats: false });
      await until(() => agent.items.length > 0, "the first frame");
    }
    expect(api.agents.begun).toHaveLength(8);
    expect(first.stats.requests).toBeGreaterThan(0);
    expect(second.stats.serveStreams).toBe(8);
    api.agents.refuse = new CallError("SESSION_NOT_FOUND", "unknown");
    await expect(NatsAgent.start(nc, { first: join })).rejects.toMatchObject({ error: { code: 5 } });
    // One that is leaving passes new agents on.
    strange.agents.refuse = new CallError("GOING_AWAY", "leaving");
    api.agents.refuse = undefined;
    first.leave();
    for (let i = 0; i < 8; i++) expect((await NatsAgent.start(nc)).session).not.toBe("");
    second.leave();
    api.agents.refuse = new CallError("GOING_AWAY", "leaving");
    await expect(NatsAgent.start(nc)).rejects.toMatchObject({ error: { code: 14 } });
  });

  it("are bounded, and lost at once with the bus", async () => {
    const at = await server();
    const { api, wire: made, bus } = await wire(at, { maxSessions: 2 });
    const nc = await outsider(at);
    await NatsAgent.start(nc, { heartbeats: false });
    await NatsAgent.start(nc, { heartbeats: false });
    await expect(NatsAgent.start(nc)).rejects.toMatchObject({
      error: { code: 8, metadata: { limit: "max_sessions" } },
    });
    await at.kill();
    await until(() => !bus.connected && made.stats.serveStreams === 0, "the streams to be lost");
    expect(api.agents.handler.lostCount).toBe(2);
  });
});
