import { callee, type SimCall, tone } from "@callweave/simulator";
import { type Call, type CallweaveClient, CallweaveError } from "callweave";
import { beforeAll, describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, msHeard } from "../harness/audio.js";
import { type ClusterSetup, TestCluster } from "../harness/cluster.js";
import { until } from "../harness/gateway.js";
import { skipWithoutMongo, startMongo } from "../harness/mongo.js";
import { natsAvailable } from "../harness/nats.js";
import { rejection, type Trail, useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;
const LONG_MS = 120_000;
const MAX_CALLS = 40;
const SHARED_CALLS = 400;
const ARRIVING_CALLS = 60;
const SPOKEN_AHEAD_MS = 5_000;

let nats = false;
const mongo = !skipWithoutMongo("several gateways with MongoDB");
beforeAll(async () => {
  nats = await natsAvailable();
}, 240_000);

async function cluster(setup: ClusterSetup = {}): Promise<TestCluster> {
  const made = await TestCluster.start(setup);
  rig.defer(() => made.stop());
  return made;
}

const addressOf = (at: TestCluster, index: number) => at.gateways[index]?.address as string;

/** An agent that speaks a tone in every call: of one gateway, and of the next one when that goes away. */
async function talker(address: string, capacity: number, next: readonly string[] = []) {
  return rig.agent(address, { capacity, endpoints: [address, ...next] }, (call) => {
    void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
  });
}

/** An agent that takes nothing: with its free places its gateway claims calls that agents of others have to take. */
async function decliner(address: string, capacity: number) {
  return rig.agent(address, { agentId: "decliner", capacity, accept: () => "not me" });
}

/** Calls, placed one after the other until each gateway has some: what gateways know of each other's places is late. */
async function spread(at: TestCluster): Promise<SimCall[]> {
  const client = rig.client(addressOf(at, 0));
  const phones: SimCall[] = [];
  while (phones.length < MAX_CALLS) {
    const phone = at.simulator.placeCall({ caller: [tone(4000)] });
    phones.push(phone);
    await hears(phone);
    const owners = new Set((await client.calls.list()).calls.map(({ gatewayId }) => gatewayId));
    if (owners.size === at.gateways.length && phones.length >= 4) return phones;
  }
  throw new Error(`all of ${MAX_CALLS} calls went to one gateway`);
}

/** How many calls without an agent a gateway has. */
async function waitingAt(client: CallweaveClient, gatewayId: string | undefined): Promise<number> {
  const { calls } = await client.calls.list();
  return calls.filter((call) => call.gatewayId === gatewayId && call.state === "PENDING").length;
}

/** Each time that the callee of one of the calls was rung. */
const ringings = (phones: readonly SimCall[]) =>
  phones.flatMap(({ events }) => events.filter(({ type }) => type === "ringing"));

const hears = (phone: SimCall, ms = 300, fromMs = 0) =>
  phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs }) > ms, { timeoutMs: 30_000 });

/** The durable events of each call are numbered from the first seen on, without hole or repetition. */
function holes(trail: Trail): string[] {
  const byCall = new Map<string, number[]>();
  for (const event of trail.events) {
    if (!event.durable) continue;
    byCall.set(event.callId, [...(byCall.get(event.callId) ?? []), event.sequence]);
  }
  return [...byCall].flatMap(([callId, numbers]) =>
    numbers.every((number, index) => number === (numbers[0] ?? 0) + index)
      ? []
      : [`${callId}: ${numbers.join(" ")}`],
  );
}

describe("several gateways on one NATS", () => {
  it(
    "an agent and an observer of one gateway have the calls of both",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster();
      const [first, second] = [addressOf(at, 0), addressOf(at, 1)];
      const trails = await Promise.all([rig.trail(first), rig.trail(second)]);
      const { cursor } = await rig.client(first).calls.list();
      const agent = await talker(first, MAX_CALLS);
      await decliner(second, MAX_CALLS);
      const phones = await spread(at);

      const client = rig.client(first);
      const { calls, unreachableGateways } = await client.calls.list();
      expect(unreachableGateways).toEqual([]);
      expect(calls).toHaveLength(phones.length);
      expect(new Set(calls.map(({ gatewayId }) => gatewayId)).size).toBe(2);
      const remote = calls.find(({ gatewayId }) => gatewayId === at.gateways[1]?.id);
      const callId = remote?.callId as string;
      const phone = phones.find(({ id }) => id === callId) as SimCall;
      const call = agent.given.find(({ id }) => id === callId) as Call;

      // Heard both ways, and listened to, over the other gateway.
      let heardBytes = 0;
      for await (const chunk of call.audio()) {
        if (chunk.pcm) heardBytes += chunk.pcm.length;
        if (heardBytes > 16_000) break;
      }
      const listening = client.calls.listen(callId);
      let listened = 0;
      for await (const chunk of listening) {
        if (chunk.pcm) listened += chunk.pcm.length;
        if (listened > 16_000) break;
      }
      // Interrupted, commanded and ended from here.
      await call.clear();
      const notes: string[] = [];
      call.on("note", ({ text }) => notes.push(text));
      await client.calls.sendNote(callId, "Be brief.");
      await until(() => notes.length > 0, "the note");
      const wrong = await rejection(client.calls.setMode(callId, "SPY"));
      expect(wrong).toMatchObject({ reason: "CALL_STATE" });
      await client.calls.disconnect(callId);
      await phone.waitFor("DISCONNECTED");
      for (const trail of trails) {
        await trail.waitFor("ended", (event) => event.callId === callId);
        expect(holes(trail)).toEqual([]);
      }
      // A cursor of one gateway is good at the other, and gives the same.
      const late = await rig.trail(second, cursor);
      await late.waitFor("ended", (event) => event.callId === callId);
      expect(holes(late)).toEqual([]);
      expect(new Set(late.events.map((event) => event.callId)).size).toBe(phones.length);
    },
    LONG_MS,
  );

  it(
    "two gateways with as many agents share 400 calls evenly",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster();
      const ending = { capacity: SHARED_CALLS, whenHandlerReturns: "leave" } as const;
      for (const { address } of at.gateways) await rig.agent(address, ending);
      const trail = await rig.trail(addressOf(at, 0));
      for (let index = 0; index < SHARED_CALLS; index++) {
        at.simulator.placeCall({ options: { recording: false } });
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
      await until(() => trail.all("ended").length === SHARED_CALLS, "the end of all calls", 60_000);
      const owners = trail.all("arrived").map(({ call }) => call.gatewayId);
      expect(owners).toHaveLength(SHARED_CALLS);
      for (const { id } of at.gateways) {
        const share = owners.filter((owner) => owner === id).length / SHARED_CALLS;
        expect(share, `share of ${id}`).toBeGreaterThanOrEqual(0.4);
        expect(share, `share of ${id}`).toBeLessThanOrEqual(0.6);
      }
      expect(holes(trail)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    "an outage of NATS ends no call; what was told meanwhile is in the store afterwards, once (fault 15)",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster();
      const agents = [await talker(addressOf(at, 0), 12), await talker(addressOf(at, 1), 12)];
      const phones = Array.from({ length: 6 }, () => at.simulator.placeCall());
      await Promise.all(phones.map((phone) => hears(phone)));
      const { cursor } = await rig.client(addressOf(at, 0)).calls.list();
      await at.nats.kill();
      const downMs = phones.map((phone) => callTimeMs(phone));
      // Whoever sits at the gateway of the call does not notice; the others have it back, or somebody has.
      await Promise.all(phones.slice(0, 3).map((phone) => phone.waitUntil(() => callTimeMs(phone) > 4_000)));
      for (const phone of phones) expect(phone.state).toBe("ANSWERED");
      await at.nats.restart();
      await Promise.all(phones.map((phone, index) => hears(phone, 500, (downMs[index] as number) + 4_500)));
      const late = await rig.trail(addressOf(at, 1), cursor);
      expect(holes(late)).toEqual([]);
      for (const phone of phones) phone.hangUp();
      await until(
        () => late.events.filter(({ type }) => type === "ended").length === 6,
        "the end of all calls",
        30_000,
      );
      expect(holes(late)).toEqual([]);
      expect(late.events.filter(({ type }) => type === "takenOver")).toEqual([]);
      expect(agents.flatMap(({ errors }) => errors).filter(isInternal)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    "a gateway that is told to end lets its calls end, and the other takes the new ones (fault 23)",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster();
      const [leaving, staying] = at.gateways;
      const agent = await talker(staying?.address as string, MAX_CALLS + 4);
      const witness = await decliner(leaving?.address as string, MAX_CALLS);
      const phones = await spread(at);
      const client = rig.client(staying?.address as string);
      const { calls } = await client.calls.list();
      const there = calls.filter(({ gatewayId }) => gatewayId === leaving?.id).map(({ callId }) => callId);
      expect(there.length).toBeGreaterThan(0);
      leaving?.child.signal("SIGTERM");
      await until(() => witness.statuses.some(({ type }) => type === "goingAway"), "the drain");
      const later = Array.from({ length: 4 }, () => at.simulator.placeCall());
      await Promise.all(later.map((phone) => hears(phone)));
      // Longer than an agent speaks on without a word of how far its audio has been played.
      await Promise.all(phones.map((phone) => hears(phone, 300, callTimeMs(phone) + SPOKEN_AHEAD_MS)));
      for (const phone of phones) expect(phone.state).toBe("ANSWERED");
      for (const phone of [...phones, ...later]) phone.hangUp();
      expect(await leaving?.child.exit).toEqual({ code: 0, signal: null });
      expect(agent.given).toHaveLength(phones.length + later.length);
    },
    LONG_MS,
  );

  it(
    "calls that arrive in the moment in which a gateway is told to end are answered by agents (fault 23)",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster();
      const [leaving, staying] = at.gateways;
      await talker(leaving?.address as string, ARRIVING_CALLS, [staying?.address as string]);
      await talker(staying?.address as string, ARRIVING_CALLS, [leaving?.address as string]);
      const phones: SimCall[] = [];
      for (let placed = 0; placed < ARRIVING_CALLS; placed++) {
        if (placed === ARRIVING_CALLS / 2) leaving?.child.signal("SIGTERM");
        phones.push(at.simulator.placeCall());
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
      await Promise.all(phones.map((phone) => hears(phone)));
      expect(ringings(phones)).toEqual([]);
      for (const phone of phones) phone.hangUp();
      expect(await leaving?.child.exit).toEqual({ code: 0, signal: null });
    },
    LONG_MS,
  );

  it(
    "calls that wait at a gateway that is told to end get the agent that moves to another one (fault 23)",
    async (test) => {
      if (!nats) return test.skip();
      const at = await cluster({ routes: [{ unserved: "queue" }] });
      const [leaving, staying] = at.gateways;
      const worker = await talker(leaving?.address as string, 1, [staying?.address as string]);
      const first = at.simulator.placeCall();
      await hears(first);
      const client = rig.client(staying?.address as string);
      const waiting: SimCall[] = [];
      // Both gateways are equal for a call that has to wait.
      while ((await waitingAt(client, leaving?.id)) === 0 && waiting.length < MAX_CALLS) {
        const phone = at.simulator.placeCall();
        waiting.push(phone);
        await phone.waitForEvent("call.in");
      }
      leaving?.child.signal("SIGTERM");
      await until(() => worker.statuses.some(({ type }) => type === "goingAway"), "the drain");
      expect(await waitingAt(client, leaving?.id)).toBeGreaterThan(0);
      first.hangUp();
      const left = new Set(waiting);
      while (left.size > 0) {
        const heard = await Promise.any([...left].map(async (phone) => hears(phone).then(() => phone)));
        left.delete(heard);
        heard.hangUp();
      }
      expect(ringings(waiting)).toEqual([]);
      expect(await leaving?.child.exit).toEqual({ code: 0, signal: null });
    },
    LONG_MS,
  );
});

describe("contexts of several gateways", () => {
  it(
    "escalated with MongoDB stopped: read at the other gateway, also after the first one died, and there once",
    async (test) => {
      if (!nats || !mongo) return test.skip();
      const server = await startMongo();
      rig.defer(() => server.stop());
      const at = await cluster({
        mongoUrl: server.url,
        simulator: { orphan: "end_call" },
        config: { cluster: { takeover_give_up_ms: 1_000 } },
      });
      const agent = await rig.agent(addressOf(at, 0));
      const phone = at.simulator.placeCall({
        from: "+15550142",
        callee: callee.picksUp({ afterSeconds: 30 }),
      });
      const call = await agent.call();
      await until(() => call.state === "ANSWERED", "the answer");
      await call.appendTurns([{ id: "t-1", role: "CALLER", text: "I want a person." }]);
      const owner = at.get((await rig.client(addressOf(at, 0)).calls.get(call.id)).gatewayId);
      const [other] = at.others(owner.id);
      await server.kill();
      call
        .escalate({
          reason: "ASKED_FOR_HUMAN",
          summary: "Wants a person.",
          after: "now",
          target: { callee: { ringTimeSeconds: 60 } },
        })
        .catch(() => {});
      const { contexts } = rig.client(other?.address as string);
      const read = () => contexts.get(call.id).catch(() => undefined);
      const escalating = await until(
        async () => {
          const found = await read();
          return found?.status === "ESCALATING" ? found : undefined;
        },
        "the context at the other gateway",
        20_000,
      );
      expect(escalating).toMatchObject({ summary: "Wants a person.", caller: "+15550142" });
      expect((await contexts.find({ caller: "+15550142" })).map(({ callId }) => callId)).toEqual([call.id]);
      await owner.kill();
      expect(await read()).toMatchObject({ summary: "Wants a person." });
      await phone.waitFor("DISCONNECTED");
      await server.restart();
      await until(
        async () => {
          const { contexts: all, partial } = await contexts.list();
          return !partial && all.length === 1 && all[0]?.callId === call.id;
        },
        "the context in MongoDB, once",
        30_000,
      );
      expect(await contexts.get(call.id)).toMatchObject({
        summary: "Wants a person.",
        turns: [{ id: "t-1" }],
      });
    },
    LONG_MS,
  );
});

function isInternal({ error }: { readonly error: unknown }): boolean {
  return error instanceof CallweaveError && error.reason === "INTERNAL";
}
