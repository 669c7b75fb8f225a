import { describe, expect, it } from "vitest";
import { madeRound, type Spoilable } from "./testing/made-evidence.js";
import { silenceAfter, verifyCluster } from "./verifier.js";

type Call = Spoilable["calls"][number];

/** The call with that number, to be spoilt. 1, 3, 5: of the dead gateway; 4, 5, 6: handed to a human. */
const at = (round: Spoilable, number: number) => round.calls[number - 1] as Call;
const eventOf = (round: Spoilable, number: number, type: string) =>
  round.events.find((event) => event.callId === `call-${number}` && event.type === type) as NonNullable<
    Spoilable["events"][number]
  >;
const failed = (round: Spoilable) =>
  verifyCluster(round)
    .checks.filter(({ ok }) => !ok)
    .map(({ name }) => name);

/** Each fault, and the checks that have to find it. */
const FAULTS: readonly [what: string, spoil: (round: Spoilable) => void, found: readonly string[]][] = [
  [
    "one gateway claimed everything",
    (round) => {
      for (const event of round.events) if (event.type === "arrived") event.gatewayId = "gateway-1";
    },
    ["both gateways claimed calls"],
  ],
  [
    "every agent had the calls of its own gateway",
    (round) => {
      for (const call of round.calls)
        eventOf(round, call.number, "seatChanged").holder =
          call.ownerBefore === "gateway-1" ? "agent-one" : "agent-two";
    },
    ["agents had calls of the other gateway"],
  ],
  [
    "the agent on NATS was never heard",
    (round) => {
      for (const call of round.calls) if (call.agentId === "agent-nats") call.heardAgent = [];
    },
    [
      "an agent on NATS was heard",
      "every caller heard its agent",
      "their callers heard the agent again within 7 s",
      "every caller heard the agent after the kill",
    ],
  ],
  [
    "another agent was heard in a call",
    (round) => {
      at(round, 2).heardOthersMs = 20;
    },
    ["and no other agent"],
  ],
  [
    "a call of the dead gateway was never taken over",
    (round) => {
      round.events = round.events.filter((e) => !(e.callId === "call-3" && e.type === "takenOver"));
      for (const e of round.events) if (e.callId === "call-3" && e.sequence > 5) e.sequence--;
    },
    ["the dead gateway had calls, another took them over"],
  ],
  [
    "a call was taken over twice",
    (round) => {
      const again = { ...eventOf(round, 3, "takenOver"), sequence: 7 };
      const ended = eventOf(round, 3, "ended");
      ended.sequence = 6;
      round.events.push({ ...again });
    },
    ["the dead gateway had calls, another took them over"],
  ],
  [
    "a call of the living gateway was taken over",
    (round) => {
      eventOf(round, 2, "offered").type = "takenOver";
    },
    ["no call of a living gateway was taken over"],
  ],
  [
    "the dead gateway had no call",
    (round) => {
      for (const call of round.calls) call.ownerBefore = "gateway-2";
      round.events = round.events.filter(({ type }) => type !== "takenOver");
      for (const call of round.calls)
        round.events
          .filter(({ callId }) => callId === call.callId)
          .forEach((event, index) => {
            event.sequence = index + 1;
          });
    },
    ["the dead gateway had calls, another took them over", "their callers heard the agent again within 7 s"],
  ],
  [
    "a caller waited too long for its agent",
    (round) => {
      at(round, 1).heardAgent[1] = { startMs: 10_100, endMs: 12_000 };
      at(round, 1).endedAtMs = 12_000;
    },
    ["their callers heard the agent again within 7 s"],
  ],
  [
    "a caller of the dead gateway never heard its agent again",
    (round) => {
      at(round, 1).heardAgent.pop();
    },
    ["their callers heard the agent again within 7 s", "every caller heard the agent after the kill"],
  ],
  [
    "a caller of the living gateway lost its agent",
    (round) => {
      at(round, 2).heardAgent = [{ startMs: 500, endMs: 4_000 }];
    },
    ["every caller heard the agent after the kill"],
  ],
  [
    "a call was lost at the provider",
    (round) => {
      at(round, 1).providerEnd = "media_lost";
    },
    ["no call ended but as its agent wanted"],
  ],
  [
    "a call was answered twice",
    (round) => {
      at(round, 1).commands.push("call.answer");
    },
    ["nothing was commanded twice"],
  ],
  [
    "the callee was rung twice",
    (round) => {
      at(round, 5).commands.splice(1, 0, "call.connect");
    },
    ["nothing was commanded twice"],
  ],
  [
    "the human heard the agent",
    (round) => {
      at(round, 4).humanHeardAgentMs = 20;
    },
    ["a human heard the caller, and nothing of the agent"],
  ],
  [
    "the human heard nobody",
    (round) => {
      at(round, 4).humanHeardCallerMs = 0;
    },
    ["a human heard the caller, and nothing of the agent"],
  ],
  [
    "a context could not be read while the database was dead",
    (round) => {
      at(round, 1).readWhileAway = undefined;
    },
    ["contexts could be read at a gateway while the database was dead"],
  ],
  [
    "a context was lost",
    (round) => {
      at(round, 1).stored = [];
    },
    ["each context is in the database once"],
  ],
  [
    "a context is there twice",
    (round) => {
      at(round, 1).stored.push(at(round, 1).written);
    },
    ["each context is in the database once"],
  ],
  [
    "a context of no call is there",
    (round) => {
      round.foreignDocuments = 1;
    },
    ["no other context is there"],
  ],
  [
    "a turn was lost",
    (round) => {
      const [stored] = structuredClone(at(round, 1).stored);
      stored?.turns.pop();
      at(round, 1).stored = stored ? [stored] : [];
    },
    ["no word is lost, doubled or changed"],
  ],
  [
    "a turn is there twice",
    (round) => {
      const [stored] = structuredClone(at(round, 1).stored);
      stored?.turns.push(...stored.turns.slice(0, 1));
      at(round, 1).stored = stored ? [stored] : [];
    },
    ["no word is lost, doubled or changed"],
  ],
  [
    "the summary was changed on the way",
    (round) => {
      at(round, 5).readWhileAway = { ...at(round, 5).written, summary: "Wants a person" };
    },
    ["no word is lost, doubled or changed"],
  ],
  [
    "an event is missing",
    (round) => {
      round.events = round.events.filter((e) => !(e.callId === "call-1" && e.type === "offered"));
    },
    ["no gap in the event log"],
  ],
  [
    "an event is there twice",
    (round) => {
      round.events.push({ ...eventOf(round, 1, "offered") });
    },
    ["no repeat in the event log"],
  ],
  [
    "events are in the wrong order",
    (round) => {
      const [first, second] = [eventOf(round, 1, "offered"), eventOf(round, 1, "seatChanged")];
      [first.sequence, second.sequence] = [second.sequence, first.sequence];
    },
    ["no repeat in the event log"],
  ],
  [
    "a call's end is not in the log",
    (round) => {
      round.events = round.events.filter((e) => !(e.callId === "call-2" && e.type === "ended"));
    },
    ["each call's log begins and ends"],
  ],
];

describe("verifyCluster", () => {
  it("finds nothing in a good round, and says its figures", () => {
    const { checks, ...figures } = verifyCluster(madeRound());
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(figures).toEqual({
      ok: true,
      claimsByGateway: { "gateway-1": 3, "gateway-2": 3 },
      // agent-two has call 5 of gateway-1, agent-one has call 4 of gateway-2.
      crossGatewayCalls: 2,
      natsAgentCalls: 2,
      killToAudioMs: { p50: 2_103, p99: 2_105 },
      contextsIn: 6,
      contextsOut: 6,
      contextHashMismatches: 0,
      eventGaps: 0,
      eventRepeats: 0,
    });
  });

  it.each(FAULTS)("finds it when %s", (_what, spoil, found) => {
    const round = madeRound();
    spoil(round);
    expect(failed(round)).toEqual(found);
    expect(verifyCluster(round).ok).toBe(false);
  });

  it("counts what it finds", () => {
    const round = madeRound();
    round.events.push({ ...eventOf(round, 1, "offered") });
    eventOf(round, 2, "ended").sequence += 2;
    at(round, 3).stored = [{ ...at(round, 3).written, caller: "" }];
    at(round, 4).stored = [];
    expect(verifyCluster(round)).toMatchObject({
      eventGaps: 2,
      eventRepeats: 1,
      contextsOut: 5,
      contextHashMismatches: 1,
    });
  });

  it("is not ok with nothing to look at", () => {
    const { ok } = verifyCluster({ ...madeRound(), calls: [], events: [] });
    expect(ok).toBe(false);
  });
});

describe("silenceAfter", () => {
  const call = (...heardAgent: { startMs: number; endMs: number }[]) => ({
    ...at(madeRound(), 1),
    heardAgent,
  });

  it("is the time until the sound after the gap, however long the provider went on playing", () => {
    expect(silenceAfter(call({ startMs: 0, endMs: 1_900 }, { startMs: 3_000, endMs: 5_000 }), 1_000)).toBe(
      2_000,
    );
    expect(silenceAfter(call({ startMs: 0, endMs: 900 }, { startMs: 3_000, endMs: 5_000 }), 1_000)).toBe(
      2_000,
    );
  });

  it("does not take a crackle for the agent, nor a short gap for the silence", () => {
    const sounds = [
      { startMs: 0, endMs: 1_500 },
      { startMs: 1_560, endMs: 1_900 },
      { startMs: 2_500, endMs: 2_540 },
      { startMs: 3_000, endMs: 5_000 },
    ];
    expect(silenceAfter(call(...sounds), 1_000)).toBe(2_000);
  });

  it("is 0 without a gap and endless when nothing came", () => {
    expect(silenceAfter(call({ startMs: 0, endMs: 9_000 }), 1_000)).toBe(0);
    expect(silenceAfter(call({ startMs: 0, endMs: 1_900 }), 1_000)).toBe(Number.POSITIVE_INFINITY);
  });
});
