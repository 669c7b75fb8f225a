import { frameTone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import type { CallContext } from "../../gateway/src/context/context-types.js";
import { context, FakeLogger } from "../../gateway/src/contract/testing.js";
import { ContextFeed } from "../../gateway/src/nats/index.js";
import { numbersHeard } from "../harness/audio.js";
import { natsAvailable } from "../harness/nats.js";
import { echo, NatsAgent } from "../harness/nats-agent.js";
import { startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { ask, bus, lines, outsider, server } from "./nats-harness.js";

const available = await natsAvailable();
const rig = useRig();

describe.skipIf(!available)("contexts on NATS", () => {
  it("print a readable line for a plain subscriber when a call escalates, and events likewise", async () => {
    const at = await server({ jetstream: true });
    const made = await rig.stack({ config: { nats: { urls: [at.url] } } });
    const nc = await outsider(at);
    const seen: { subject: string; text: string }[] = [];
    for (const subject of ["callweave.default.contexts.>", "callweave.default.calls.*.events"])
      nc.subscribe(subject, {
        callback: (_error, message) => seen.push({ subject: message.subject, text: message.string() }),
      });
    const agent = await NatsAgent.start(nc);
    echo(agent);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    await agent.item("assigned");
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 5);
    const { body, error } = await ask(nc, "callweave.default.rpc.EscalateCall", {
      callId: phone.id,
      requestId: "r-1",
      reason: "ESCALATION_REASON_FRUSTRATED",
      summary: "The heating does not work since Monday.",
      originalCallee: { ringDuration: "5s" },
      after: { condition: "AFTER_CONDITION_NOW" },
    });
    expect(error).toBe("");
    expect(body.pending.requestId).toBe("r-1");
    const line = await until(
      () => seen.find(({ subject, text }) => subject.includes(".contexts.") && text.includes("ESCALATING")),
      "the context on its subject",
    );
    expect(line.subject).toBe(`callweave.default.contexts.${phone.id}`);
    expect(line.text).not.toContain("\n");
    expect(JSON.parse(line.text)).toMatchObject({
      callId: phone.id,
      status: "CONTEXT_STATUS_ESCALATING",
      escalationReason: "ESCALATION_REASON_FRUSTRATED",
      summary: "The heating does not work since Monday.",
      caller: expect.stringMatching(/^\+/),
    });
    await until(
      () => seen.find(({ subject, text }) => subject.endsWith(".events") && text.includes(phone.id)),
      "an event on its subject",
    );
  });

  it("are bounded, leave refused words out, reach the watchers of others, and do not come back", async () => {
    const at = await server();
    const [first, second] = [await bus(at), await bus(at)];
    const logger = new FakeLogger();
    const a = new ContextFeed(first, { gatewayId: "g-1" }, logger);
    const b = new ContextFeed(second, { gatewayId: "g-2", encoding: "protobuf" }, logger);
    const got: { a: CallContext[]; b: CallContext[] } = { a: [], b: [] };
    a.start((one) => got.a.push(one));
    b.start((one) => got.b.push(one));
    await Promise.all([first.flush(), second.flush()]);
    const nc = await outsider(at);
    const sizes: number[] = [];
    nc.subscribe("callweave.>", { callback: (_error, message) => sizes.push(message.data.length) });
    await nc.flush();
    const time = new Date("2026-01-01T00:00:00Z");
    const turns = Array.from({ length: 300 }, (_, i) => ({
      id: `t${i}`,
      role: "CALLER" as const,
      text: "x".repeat(400),
      locale: "",
      time,
      heard: "",
      interrupted: false,
    }));
    a.publish(context({ turns, turnCount: 300, summary: "long" }));
    b.publish(context({ callId: "c.1=x", consent: { transcript: false }, turnCount: 0 }));
    await until(() => got.a.length === 1 && got.b.length === 1 && sizes.length === 2, "both to be told");
    expect(got.b[0]).toMatchObject({ callId: "c-1", summary: "long", turns: [], turnCount: 300 });
    expect(got.a[0]).toMatchObject({ callId: "c.1=x", consent: { transcript: false } });
    expect(Math.max(...sizes)).toBeLessThan(70_000);
    expect(Math.max(...sizes)).toBeGreaterThan(20_000);
    // What is no context is said once in the log and tells nobody.
    nc.publish("callweave.default.contexts.c-9", "{", { headers: lines({}) });
    nc.publish("callweave.default.contexts.c-9", '{"callId":"other","status":"CONTEXT_STATUS_ACTIVE"}');
    await nc.flush();
    a.publish(context({ callId: "c-2" }));
    await until(() => got.b.length === 2, "the next one");
    expect(got.a).toHaveLength(1);
    expect(a.published + b.published).toBe(3);
    await at.kill();
    await until(() => !first.connected, "the loss to be seen");
    a.publish(context());
    expect(a.missed).toBe(1);
  });
});

describe.skipIf(!available)("a subscriber that stands still", () => {
  it("holds up no call (fault 13)", async () => {
    const at = await server({ jetstream: true });
    const made = await rig.stack({ config: { nats: { urls: [at.url] } } });
    const nc = await outsider(at);
    const agent = await NatsAgent.start(nc);
    echo(agent);
    const phone = made.simulator.placeCall({ caller: [frameTone()] });
    await agent.item("assigned");
    await ask(nc, "callweave.default.rpc.ListenCall", { callId: phone.id });
    const reader = startProgram("test/harness/agents/nats-reader.ts", [], { TEST_NATS_URL: at.url });
    rig.defer(() => reader.end());
    await reader.line((line) => line.type === "message", "the reader to hear");
    reader.signal("SIGSTOP");
    const before = numbersHeard(phone, "caller").length;
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > before + 150);
    const began = performance.now();
    expect((await ask(nc, "callweave.default.rpc.GetCall", { callId: phone.id })).error).toBe("");
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(agent.holes).toBe(0);
    reader.signal("SIGCONT");
  });
});
