import { describe, expect, it } from "vitest";
import { ClusterRig } from "./cluster-rig.js";

const EVERYTHING = { callIds: [], pools: [], states: [] };
const ACTOR = { tenant: "default", name: "client:test" };

async function two() {
  const rig = new ClusterRig();
  const a = await rig.add("a");
  const b = await rig.add("b");
  await rig.pass(1_000);
  return { rig, a, b };
}

describe("several gateways", () => {
  it("know each other", async () => {
    const { a, b } = await two();
    expect((await a.api.fleet.gateways()).map(({ gatewayId }) => gatewayId)).toEqual(["a", "b"]);
    expect((await b.api.fleet.gateways()).map(({ gatewayId }) => gatewayId)).toEqual(["a", "b"]);
  });

  it("take each call once, and share 400 calls between 40 and 60 percent", async () => {
    const { rig, a, b } = await two();
    a.agent({ capacity: 400 });
    b.agent({ capacity: 400 });
    await rig.pass(1_000);
    for (let i = 0; i < 400; i++) rig.arrive();
    await rig.pass(1_000);
    const shares = [a, b].map(({ gateway }) => gateway.callCount);
    expect((shares[0] ?? 0) + (shares[1] ?? 0)).toBe(400);
    for (const share of shares) expect(share).toBeGreaterThanOrEqual(160);
  });

  it("let a gateway without free places claim only what others leave", async () => {
    const { rig, a, b } = await two();
    b.agent({ capacity: 10 });
    await rig.pass(1_000);
    for (let i = 0; i < 10; i++) rig.arrive();
    await rig.pass(500);
    expect([a.gateway.callCount, b.gateway.callCount]).toEqual([0, 10]);
  });

  it("list, get and command each other's calls", async () => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId) === a ? a : b;
    const other = owner === a ? b : a;
    const listed = await Promise.all([other.api.calls.list("default", EVERYTHING), rig.pass(100)]);
    expect(listed[0]).toMatchObject({ calls: [{ callId, gatewayId: owner.id }], unreachableGateways: [] });
    expect(await other.api.calls.get("default", callId)).toMatchObject({ callId, state: "PENDING" });
    const reply = await other.api.calls.execute(ACTOR, callId, "r-1", { verb: "AnswerCall" }, 0);
    expect(reply.call).toMatchObject({ state: "ANSWERED", createTime: expect.any(Date) });
    expect(rig.leg(callId).commandNames).toEqual(["answer"]);
    const refused = other.api.calls.execute(ACTOR, callId, "r-2", { verb: "SetAgentMode", mode: "SPY" }, 0);
    await expect(refused).rejects.toMatchObject({
      reason: "CALL_STATE",
      metadata: { call_id: callId, state: "ANSWERED" },
    });
    await expect(other.api.calls.get("elsewhere", callId)).rejects.toMatchObject({
      reason: "CALL_NOT_FOUND",
    });
  });

  it("listen to each other's calls", async () => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const other = rig.holder(callId) === a ? b : a;
    const heard: Buffer[] = [];
    const ends: string[] = [];
    const format = { encoding: "S16LE", sampleRateHz: 0 } as const;
    const listening = await other.api.calls.listen(ACTOR, callId, "MIXED", format, {
      audio: (position, samples, pcm) => heard.push(Buffer.from([position, samples, ...pcm.subarray(0, 2)])),
      gap: () => {},
      ended: (reason) => ends.push(reason),
    });
    expect(listening.format).toMatchObject({ sampleRateHz: 8000 });
    rig.leg(callId).hearCaller(new Uint8Array(320).fill(3));
    rig.leg(callId).hearCaller(new Uint8Array(320).fill(4));
    await rig.pass(50);
    expect(heard.map((bytes) => [...bytes])).toEqual([
      [0, 160, 3, 3],
      [160, 160, 4, 4],
    ]);
    rig.leg(callId).terminate();
    await rig.pass(50);
    expect(ends).toEqual(["TERMINATED"]);
  });

  it("name a gateway that does not answer instead of leaving its calls out in silence", async () => {
    const { rig, a, b } = await two();
    b.connect(false);
    const list = a.api.calls.list("default", EVERYTHING);
    await rig.pass(1_200);
    expect((await list).unreachableGateways).toEqual(["b"]);
  });
});

describe("contexts of several gateways", () => {
  const turn = (id: string) => ({
    id,
    role: "CALLER" as const,
    text: "Hello.",
    locale: "en",
    time: new Date("2026-01-01T00:00:00Z"),
    heard: "",
    interrupted: false,
  });

  for (const shared of [true, false]) {
    const what = shared ? "in one store" : "each in its own folder";
    it(`${what}: a live call's is written by its owner, with the facts of the call, and read at every gateway`, async () => {
      const rig = new ClusterRig({}, shared);
      const gateways = [await rig.add("a"), await rig.add("b")];
      await rig.pass(1_000);
      const callId = rig.arrive({ from: "+15550142" });
      await rig.pass(500);
      const [other] = gateways.filter((one) => one !== rig.holder(callId));
      await other?.api.contexts.appendTurns("default", callId, [turn("t-1")]);
      const saved = await other?.api.contexts.save("default", { callId, summary: "Wants a person." });
      expect(saved?.context).toMatchObject({ caller: "+15550142", turnCount: 1 });
      for (const { api } of gateways) {
        expect(await api.contexts.get("default", { callId })).toMatchObject({
          summary: "Wants a person.",
          caller: "+15550142",
          turns: [{ id: "t-1" }],
        });
        const found = await api.contexts.find("default", { caller: "+15550142" }, 0, 10);
        expect(found).toMatchObject({ partial: false, contexts: [{ callId }] });
        const listed = await api.contexts.list("default", { statuses: [], caller: "" }, 0, "");
        expect(listed.contexts).toMatchObject([{ callId }]);
      }
      rig.leg(callId).terminate();
      await rig.pass(100);
      for (const { api } of gateways)
        expect(await api.contexts.get("default", { callId })).toMatchObject({ status: "ENDED" });
      expect(await other?.api.contexts.delete("default", { caller: "+15550142" })).toBe(1);
      for (const { api } of gateways) {
        await expect(api.contexts.get("default", { callId })).rejects.toMatchObject({
          reason: "CONTEXT_NOT_FOUND",
        });
      }
    });
  }

  it("of a call whose owner does not answer and has stored nothing yet: away, not unknown", async () => {
    const rig = new ClusterRig({}, true);
    const gateways = [await rig.add("a"), await rig.add("b")];
    await rig.pass(1_000);
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId);
    const [other] = gateways.filter((one) => one !== owner);
    owner?.kill();
    const contexts = other?.api.contexts;
    const asked = [
      contexts?.appendTurns("default", callId, [turn("t-1")]),
      contexts?.get("default", { callId }),
    ];
    const settled = Promise.allSettled(asked);
    await rig.pass(1_900);
    for (const one of await settled) expect(one).toMatchObject({ reason: { reason: "CALL_OWNER_AWAY" } });
  });
});

describe("a gateway dies", () => {
  it("its call is taken over after the lease, and commands meanwhile say so", async () => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId) === a ? a : b;
    const other = owner === a ? b : a;
    await other.api.calls.execute(ACTOR, callId, "r-1", { verb: "AnswerCall" }, 0);
    owner.kill();
    await rig.pass(2_600);
    expect(rig.holder(callId)).toBe(other);
    expect(await other.api.calls.get("default", callId)).toMatchObject({
      state: "ANSWERED",
      gatewayId: other.id,
    });
    const sequences = rig.log.events.filter((e) => e.callId === callId).map((e) => e.sequence);
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  });

  it.each([
    ["what it told while the bus was away is reported as lost, and nothing is renumbered", true],
    ["nothing is reported as lost when the bus was there", false],
  ])("%s", async (_what, outage) => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId) === a ? a : b;
    const other = owner === a ? b : a;
    if (outage) for (const one of [a, b]) one.connect(false);
    await rig.pass(1_000);
    owner.kill();
    if (outage) other.connect(true);
    await rig.pass(4_000);
    expect(rig.holder(callId)).toBe(other);
    const own = rig.log.events.filter((e) => e.callId === callId);
    expect(own.map(({ sequence }) => sequence)).toEqual(own.map((_, index) => index + 1));
    const lost = own.flatMap(({ body, ownerEpoch }) =>
      body.type === "eventsLost" ? [{ ownerEpoch, fromEpoch: body.fromEpoch }] : [],
    );
    expect(lost).toEqual(outage ? [{ ownerEpoch: 2, fromEpoch: 1 }] : []);
    // Told once the takeover is.
    const types = own.map(({ body }) => body.type);
    if (outage) expect(types.indexOf("eventsLost")).toBeGreaterThan(types.indexOf("takenOver"));
  });

  it("its call is answered by the next one, when it died between the acceptance of an agent and the answer", async () => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId) === a ? a : b;
    const other = owner === a ? b : a;
    const { append } = rig.log;
    rig.log.append = async (event) => {
      if (event.body.type === "commandStarted" && event.ownerEpoch === 1) {
        owner.kill();
        return { ...event, cursor: "", durable: false };
      }
      return append.call(rig.log, event);
    };
    const agent = other.agent({ answerOnAccept: true });
    await rig.pass(1_000);
    agent.handler.accept(agent.last("offer").offerId);
    await rig.pass(4_000);
    expect(rig.holder(callId)).toBe(other);
    expect(agent.last("assigned")).toMatchObject({ resume: "TAKEN_OVER", epoch: 2 });
    expect(rig.leg(callId).commandNames).toEqual(["answer"]);
    expect(await other.api.calls.get("default", callId)).toMatchObject({
      state: "ANSWERED",
      seat: { state: "HELD", epoch: 2 },
    });
  });

  it("a call that nobody can take over is recorded as ended, once", async () => {
    const { rig, a, b } = await two();
    const c = await rig.add("c");
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId);
    const others = [a, b, c].filter((one) => one !== owner);
    for (const { telephony } of others) telephony.loseClaimsWith = "SESSION_NOT_FOUND";
    owner?.kill();
    await rig.pass(40_000);
    const ends = rig.log.events.filter((e) => e.callId === callId && e.body.type === "ended");
    expect(ends).toMatchObject([{ body: { reason: "MEDIA_LOST" } }]);
    for (const { cluster } of others) expect(cluster.ownership.ownerOf("default", callId)).toBeUndefined();
  });
});

describe("the bus is away", () => {
  it("ends no call, and nobody is declared dead", async () => {
    const { rig, a, b } = await two();
    const ids = Array.from({ length: 10 }, () => rig.arrive());
    await rig.pass(500);
    a.connect(false);
    b.connect(false);
    await rig.pass(10_000);
    a.connect(true);
    b.connect(true);
    await rig.pass(5_000);
    expect(a.gateway.callCount + b.gateway.callCount).toBe(ids.length);
    const types = new Set(rig.log.events.map(({ body }) => body.type));
    expect(types.has("ended")).toBe(false);
    expect(types.has("takenOver")).toBe(false);
  });

  it("a gateway that was cut off fences itself from calls that another one took meanwhile (fault 25)", async () => {
    const { rig, a, b } = await two();
    const callId = rig.arrive();
    await rig.pass(500);
    const owner = rig.holder(callId) === a ? a : b;
    const other = owner === a ? b : a;
    const leg = rig.leg(callId);
    owner.connect(false);
    // The provider, too, believes that it is gone.
    const session = [...Reflect.get(rig, "sessions").values()][0];
    session.takenBy = undefined;
    await rig.pass(4_000);
    expect(rig.holder(callId)).toBe(other);
    expect(owner.gateway.callCount).toBe(1);
    owner.connect(true);
    await rig.pass(1_000);
    expect(owner.gateway.callCount).toBe(0);
    expect(other.gateway.callCount).toBe(1);
    expect(leg.abandoned).toBe(true);
    expect(leg.commandNames).toEqual([]);
    expect(rig.log.events.filter((e) => e.body.type === "ended")).toEqual([]);
  });
});
