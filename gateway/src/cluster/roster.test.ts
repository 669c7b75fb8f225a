import { describe, expect, it } from "vitest";
import type { Bus, BusBucket } from "../bus/bus.js";
import { encodeToken } from "../bus/bus.js";
import { ManualClock } from "../util/clock.js";
import { silentLogger } from "../util/logger.js";
import { stringifyTagged } from "../util/tagged-json.js";
import { BusRoster, type Peer } from "./roster.js";

const OPTIONS = { beatIntervalMs: 500, leaseMs: 2_000, replicas: 1 };
const beatOf = (gatewayId: string) =>
  ({
    gatewayId,
    incarnation: `${gatewayId}-1`,
    version: "0",
    startTime: new Date(0),
    callCount: 0,
    maxCalls: 10,
    draining: false,
    connectors: [],
    pools: [],
  }) as unknown as Peer & { incarnation: string };

/** A roster on a bus that takes beats or, without a leader, does not; and the beats of one other gateway. */
async function roster() {
  const clock = new ManualClock();
  const state = { leader: true, opened: 0 };
  let heard: (key: string, value: Uint8Array) => void = () => {};
  let revision = 0;
  const bucket: Partial<BusBucket> = {
    put: () => (state.leader ? Promise.resolve(1) : Promise.reject(new Error("no leader"))) as never,
    watch: (each) => {
      heard = (key, value) => each({ key, value, revision } as never);
      return { stop() {} } as never;
    },
  };
  const bus = {
    connected: true,
    onStatus: () => () => {},
    bucket: () => {
      state.opened++;
      return Promise.resolve(bucket as BusBucket);
    },
  } as unknown as Bus;
  const left: string[] = [];
  const made = new BusRoster(bus, clock, silentLogger, OPTIONS, () => beatOf("a") as never);
  made.onLeave(({ gatewayId }) => left.push(gatewayId));
  made.start();
  await Promise.resolve();
  await clock.advance(0);
  const again = (key = "b") => heard(encodeToken(key), Buffer.from(stringifyTagged(beatOf(key))));
  const other = (key = "b") => {
    revision++;
    again(key);
  };
  other();
  return { clock, state, left, other, again, made };
}

describe("roster", () => {
  it("declares a gateway dead when its lease has run out", async () => {
    const { clock, left, other, made } = await roster();
    await clock.advance(1_500);
    other();
    await clock.advance(2_000);
    expect(left).toEqual([]);
    await clock.advance(1_000);
    expect(left).toEqual(["b"]);
    expect(made.peers()).toEqual([]);
  });

  it("takes an old beat that comes again for no sign of life", async () => {
    const { clock, left, other, again, made } = await roster();
    await clock.advance(1_500);
    again();
    await clock.advance(1_000);
    expect(left).toEqual(["b"]);
    again();
    expect(made.peers()).toEqual([]);
    other();
    expect(made.peers()).toHaveLength(1);
  });

  it("declares nobody dead while the bus takes no beats, and gives everybody a lease when it does again", async () => {
    const { clock, state, left, other } = await roster();
    await clock.advance(1_000);
    other();
    state.leader = false;
    await clock.advance(30_000);
    expect(left).toEqual([]);
    // A server that lost the bucket has it again by then.
    expect(state.opened).toBeGreaterThanOrEqual(4);
    expect(state.opened).toBeLessThanOrEqual(7);
    state.leader = true;
    await clock.advance(2_000);
    expect(left).toEqual([]);
    other();
    await clock.advance(1_500);
    expect(left).toEqual([]);
    // It really is gone now.
    await clock.advance(2_000);
    expect(left).toEqual(["b"]);
  });
});
