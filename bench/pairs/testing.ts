import { runOf } from "../suites/testing.js";
import type { Pair, PairName, SideResult } from "./pair.js";
import type { PairResult } from "./pair-results.js";
import { summarizePair } from "./pair-summary.js";

/** One run of a side as every test wants it, but for what it says. */
export function sideOf(name: string, overrides: Partial<SideResult> = {}): SideResult {
  const { variant: _variant, calls: _calls, agent: _agent, ...window } = runOf("gateway", 50);
  const probe = { loopDelayMs: window.lateMs, heapUsedMb: 0, externalMb: 0 };
  return { side: name, claims: [50], ...window, serverCpuPerCallMinute: 0.05, probe, ...overrides };
}

/** A pair that is not run, and promises at most 1.1. */
export function pairOf(name: PairName, title: string, sides: readonly [string, string]): Pair {
  const run = () => Promise.reject(new Error("not run here"));
  return {
    name,
    title,
    maxCpuRatio: 1.1,
    sides: [
      { name: sides[0], run },
      { name: sides[1], run },
    ],
  };
}

/** The result of a pair after one round, in which its second side says something else. */
export function pairResultOf(name: PairName, second: Partial<SideResult> = {}): PairResult {
  const pair = pairOf(name, `${name}, second against first`, ["first", "second"]);
  return {
    ...summarizePair(pair, [[sideOf("first"), sideOf("second", second)]], [], false),
    command: `npm run bench -- --only ${name}`,
    date: "2026-11-25",
    node: "v20.1.0",
    cores: 2,
    cpu: "a machine",
    thrownAway: 1,
  };
}
