import { describe, expect, it } from "vitest";
import { MarathonUsage, PHASES, parseMarathon, VICTIMS } from "./options.js";
import { planOf } from "./plan.js";

const whole = { kills: 1_000, seed: 7, only: undefined, lanes: 8 } as const;
const faultsOf = (plan: ReturnType<typeof planOf>) => plan.flatMap(({ faults }) => faults);

describe("the plan of a marathon", () => {
  it("of 1,000 kills with seed 1 has each of the phases that were promised at least 100 times", () => {
    const faults = faultsOf(planOf({ ...whole, seed: 1 }));
    expect(faults).toHaveLength(1_000);
    for (const phase of ["offered", "draining", "saving", "ringing", "picked up", "claiming"] as const)
      expect(faults.filter((fault) => fault.phase === phase).length, phase).toBeGreaterThanOrEqual(100);
  });

  it("is the same for the same seed and another for another", () => {
    expect(planOf(whole)).toEqual(planOf(whole));
    expect(planOf({ ...whole, seed: 8 })).not.toEqual(planOf(whole));
  });

  it("has 1,000 faults, each phase at least 100 times, each victim killed and frozen", () => {
    const faults = faultsOf(planOf(whole));
    expect(faults.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i + 1),
    );
    for (const phase of PHASES)
      expect(faults.filter((fault) => fault.phase === phase).length, phase).toBeGreaterThanOrEqual(100);
    for (const victim of VICTIMS)
      for (const how of ["kill", "freeze"])
        expect(
          faults.filter((fault) => fault.victim === victim && fault.how === how).length,
          `${how} ${victim}`,
        ).toBeGreaterThan(5);
  });

  it("breaks one thing of a call, gateways and NATS alone, the database at most once in a batch", () => {
    for (const { faults } of planOf(whole)) {
      expect(new Set(faults.map(({ lane }) => lane)).size).toBe(faults.length);
      for (const { lane } of faults) expect(lane).toBeLessThan(8);
      if (faults.some(({ victim }) => victim === "gateway" || victim === "nats"))
        expect(faults).toHaveLength(1);
      expect(faults.filter(({ victim }) => victim === "mongodb").length).toBeLessThanOrEqual(1);
    }
  });

  it("keeps to one phase or one victim", () => {
    const ringing = faultsOf(planOf({ ...whole, only: "ringing" }));
    expect(new Set(ringing.map(({ phase }) => phase))).toEqual(new Set(["ringing"]));
    const nats = faultsOf(planOf({ ...whole, only: "nats" }));
    expect(new Set(nats.map(({ victim }) => victim))).toEqual(new Set(["nats"]));
    expect(new Set(nats.map(({ phase }) => phase)).size).toBe(PHASES.length);
  });
});

describe("the command line of the marathon", () => {
  it("has defaults", () => {
    expect(parseMarathon([])).toMatchObject({ kills: 20, seed: 1, lanes: 8, rolling: false, calls: 50 });
    expect(parseMarathon(["--help"])).toBe("help");
  });

  for (const [args, name] of [
    [["--kills", "0"], "--kills"],
    [["--kills", ""], "--kills"],
    [["--seed", "-1"], "--seed"],
    [["--lanes", "17"], "--lanes"],
    [["--only", "dog"], "--only"],
    [["--plant", "tree"], "--plant"],
    [["--calls", "1"], "--calls"],
    [["--calls", "201"], "--calls"],
    [["--what"], "--what"],
  ] as const)
    it(`refuses ${args.join(" ")}`, () => {
      expect(() => parseMarathon(args)).toThrow(MarathonUsage);
      expect(() => parseMarathon(args)).toThrow(name);
    });
});
