import type { Outcome } from "./rounds.js";
import type { SuiteResult } from "./suite.js";
import type { VariantName, VariantRun } from "./variants.js";

/** A run as every test wants it, but for what it says. */
export function runOf(variant: VariantName, calls: number, overrides: Partial<VariantRun> = {}): VariantRun {
  const spread = { count: 1000, p50: 1, p99: 5, max: 9 };
  return {
    variant,
    calls,
    framesSent: 1000,
    framesReceived: 1000,
    framesLost: 0,
    outOfOrder: 0,
    corrupt: 0,
    upMs: spread,
    downMs: spread,
    lateMs: spread,
    cpuSecondsPerCallMinute: 0.2,
    serverCpuPerCallMinute: 0,
    agentCpuPerCallMinute: 0.1,
    coreShare: 0.3,
    generatorShare: 0.2,
    harnessShare: 0.3,
    foreignCores: 0,
    stolenCores: 0,
    loadAverage: 0,
    memory: { startMb: 200, middleMb: 200, endMb: 200, maxMb: 200, growthMb: 0 },
    invalid: "",
    noisy: false,
    ...overrides,
  };
}

/** The outcome of a round. */
export function outcomeOf(run: VariantRun, round = 1, thrownAway: readonly string[] = []): Outcome {
  return { variant: run.variant, calls: run.calls, round, run, thrownAway, failure: "" };
}

/** The result of a suite, but for what it says. */
export function resultOf(suite: string, overrides: Partial<SuiteResult> = {}): SuiteResult {
  return {
    suite,
    ok: true,
    problems: [],
    command: "",
    date: "2026-11-25",
    node: "v20",
    cores: 2,
    cpu: "",
    harness: "go",
    thrownAway: 0,
    ratios: {},
    table: "",
    ...overrides,
  };
}
