import { describe, expect, it } from "vitest";
import { contentHash } from "./content-hash.js";
import { eventOf } from "./read-outside.js";
import { madeRound } from "./testing/made-evidence.js";

const time = "2026-01-01T00:00:05Z";
const envelope = {
  callId: "c-1",
  sequence: "7",
  time,
  cursor: "x",
  durable: true,
  position: "0",
  pool: "p",
  ownerEpoch: 1,
};
const read = (body: object) => eventOf({ ...envelope, ...body }, (at) => at.getTime() - Date.parse(time) + 5);

describe("eventOf", () => {
  it("reads what the log says, whatever the order of its fields", () => {
    expect(read({ arrived: { call: { gatewayId: "g-1" } } })).toEqual({
      callId: "c-1",
      sequence: 7,
      type: "arrived",
      atMs: 5,
      gatewayId: "g-1",
    });
    expect(read({ takenOver: { fromGatewayId: "g-1", gatewayId: "g-2" } })).toMatchObject({
      gatewayId: "g-2",
    });
    expect(read({ seatChanged: { seat: { state: "SEAT_STATE_HELD", agentId: "a" } } })).toMatchObject({
      holder: "a",
    });
    expect(
      read({ seatChanged: { seat: { state: "SEAT_STATE_SUSPENDED", agentId: "a" } } }),
    ).not.toHaveProperty("holder");
    expect(read({ answered: {} }).type).toBe("answered");
  });
});

describe("contentHash", () => {
  const [call] = madeRound().calls;
  const view = call?.written;

  it("differs with every word, and with the order of turns", () => {
    if (!view) throw new Error("unreachable");
    const others = [
      { ...view, callId: "x" },
      { ...view, caller: "" },
      { ...view, callee: "" },
      { ...view, summary: "x" },
      { ...view, reason: "x" },
      { ...view, turns: [...view.turns].reverse() },
      { ...view, turns: view.turns.map((turn) => ({ ...turn, role: "AI" })) },
      { ...view, turns: view.turns.map((turn) => ({ ...turn, id: `${turn.id}x` })) },
    ];
    expect(new Set([view, ...others].map(contentHash)).size).toBe(others.length + 1);
    expect(contentHash(structuredClone(view))).toBe(contentHash(view));
  });
});
