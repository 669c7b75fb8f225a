import { describe, expect, it } from "vitest";
import { bounded } from "./bounded.js";
import { type AgentOptions, agent, type ConnectionOptions, connect } from "./index.js";

function error(field: string, min: number, max: number) {
  return expect.objectContaining({
    reason: "INVALID_FIELD",
    message: `${field} must be a whole number from ${min} to ${max}`,
    metadata: expect.objectContaining({ field, rule: `a whole number from ${min} to ${max}` }),
  });
}

describe("bounded()", () => {
  it("takes both edges", () => {
    expect(bounded("n", 1, 1, 5)).toBe(1);
    expect(bounded("n", 5, 1, 5)).toBe(5);
  });

  it.each([0, 6, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3", null, true])("refuses %s", (value) => {
    expect(() => bounded("n", value, 1, 5)).toThrow(error("n", 1, 5));
  });
});

const AGENT: [keyof AgentOptions, number, number][] = [
  ["capacity", 1, 1_000],
  ["sendAheadMs", 100, 20_000],
  ["maxPlaybackQueuedMs", 100, 3_600_000],
  ["maxAudioQueuedMs", 20, 600_000],
  ["maxMarks", 1, 1_000],
  ["maxEventsQueued", 1, 100_000],
  ["maxControlItems", 100, 1_000_000],
  ["connectTimeoutMs", 100, 600_000],
  ["reattachTimeoutMs", 0, 3_600_000],
  ["drainTimeoutMs", 0, 86_400_000],
];
const CONNECTION: [keyof ConnectionOptions, number, number][] = [
  ["requestTimeoutMs", 1, 600_000],
  ["keepaliveMs", 10_000, 86_400_000],
];

describe("options", () => {
  it.each([...AGENT, ...CONNECTION])("%s of an agent is a whole number from %d to %d", (name, min, max) => {
    const make = (value: unknown) => agent({ agentId: "test", [name]: value }, () => {});
    make(min);
    make(max);
    make(undefined);
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY, `${min}`]) {
      expect(() => make(value)).toThrow(error(name, min, max));
    }
  });

  it.each(CONNECTION)("%s of a client is a whole number from %d to %d", (name, min, max) => {
    connect({ [name]: min }).close();
    connect({ [name]: max }).close();
    for (const value of [min - 1, max + 1, Number.NaN]) {
      expect(() => connect({ [name]: value })).toThrow(error(name, min, max));
    }
  });

  it("of drain() are checked too, and nothing is drained", async () => {
    const worker = agent({ agentId: "test" }, () => {});
    await expect(worker.drain(Number.NaN)).rejects.toEqual(error("timeoutMs", 0, 86_400_000));
    await expect(worker.drain(-1)).rejects.toEqual(error("timeoutMs", 0, 86_400_000));
    await worker.drain(0);
  });
});
