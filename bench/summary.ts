import { type Repeats, repeatsOf } from "./figures.js";
import type { RunResult } from "./run.js";

/** The figures of all valid rounds of one variant: median and range. */
export interface VariantSummary {
  readonly rounds: number;
  readonly validRounds: number;
  readonly noisyRounds: number;
  readonly cpuSecondsPerCallMinute: Repeats;
  readonly coreShare: Repeats;
  readonly upP50Ms: Repeats;
  readonly upP99Ms: Repeats;
  readonly upMaxMs: Repeats;
  readonly downP50Ms: Repeats;
  readonly downP99Ms: Repeats;
  readonly downMaxMs: Repeats;
  readonly loopDelayP99Ms: Repeats;
  readonly residentEndMb: Repeats;
  readonly residentGrowthMb: Repeats;
  /** In all rounds, valid or not. */
  readonly framesSent: number;
  readonly framesLost: number;
  readonly framesMisplaced: number;
  /** Items of the agent that were refused, and gaps in the audio it was told of; 0 for the relay. */
  readonly refusals: number;
  readonly gaps: number;
}

/** What the bench found. */
export interface BenchSummary {
  readonly ok: boolean;
  /** What was not as promised; empty when ok. */
  readonly problems: readonly string[];
  readonly calls: number;
  readonly seconds: number;
  readonly streams: number;
  readonly answers: string;
  readonly roundTripMs: number;
  readonly quick: boolean;
  readonly node: string;
  readonly cores: number;
  readonly gateway: VariantSummary;
  readonly relay: VariantSummary;
  /** Gateway over relay, of the medians. */
  readonly cpuRatio: number;
  readonly runs: readonly RunResult[];
}

/** What is promised of the gateway on one core. */
export const PROMISES = {
  /** Each way, median of the valid rounds, in ms. */
  maxP99Ms: 20,
  /** Between the first and the last third of the window, median of the valid rounds. */
  maxGrowthMb: 16,
} as const;

/** The figures of a variant. */
export function summarize(runs: readonly RunResult[]): VariantSummary {
  const valid = runs.filter((run) => run.invalid === "");
  const of = (pick: (run: RunResult) => number) => repeatsOf(valid.map(pick));
  const sum = (pick: (run: RunResult) => number) => runs.reduce((total, run) => total + pick(run), 0);
  return {
    rounds: runs.length,
    validRounds: valid.length,
    noisyRounds: valid.filter((run) => run.noisy).length,
    cpuSecondsPerCallMinute: of((run) => run.cpuSecondsPerCallMinute),
    coreShare: of((run) => run.coreShare),
    upP50Ms: of((run) => run.upMs.p50),
    upP99Ms: of((run) => run.upMs.p99),
    upMaxMs: of((run) => run.upMs.max),
    downP50Ms: of((run) => run.downMs.p50),
    downP99Ms: of((run) => run.downMs.p99),
    downMaxMs: of((run) => run.downMs.max),
    loopDelayP99Ms: of((run) => run.probe.loopDelayMs.p99),
    residentEndMb: of((run) => run.memory.endMb),
    residentGrowthMb: of((run) => run.memory.growthMb),
    framesSent: sum((run) => run.framesSent),
    framesLost: sum((run) => run.framesLost),
    framesMisplaced: sum((run) => run.outOfOrder + run.corrupt),
    refusals: sum((run) => run.extra?.agent.refused ?? 0),
    gaps: sum((run) => run.extra?.agent.gaps ?? 0),
  };
}

/**
 * What was not as promised. A quick run promises only that frames arrive and none is lost: it runs on any machine,
 * busy or not.
 */
export function problemsOf(gateway: VariantSummary, relay: VariantSummary, quick: boolean): string[] {
  const problems: string[] = [];
  for (const [name, variant] of Object.entries({ gateway, relay })) {
    if (variant.rounds === 0) continue;
    if (variant.framesSent === 0) problems.push(`${name}: no frame was sent`);
    if (variant.framesLost > 0) problems.push(`${name}: ${variant.framesLost} frames lost`);
    if (variant.framesMisplaced > 0) problems.push(`${name}: ${variant.framesMisplaced} frames misplaced`);
    if (!quick && variant.validRounds === 0) problems.push(`${name}: no valid round`);
  }
  if (gateway.refusals > 0) problems.push(`gateway: ${gateway.refusals} items of the agent refused`);
  if (gateway.gaps > 0) problems.push(`gateway: ${gateway.gaps} gaps told to the agent`);
  if (quick || gateway.validRounds === 0) return problems;
  for (const [way, p99] of [
    ["up", gateway.upP99Ms],
    ["down", gateway.downP99Ms],
  ] as const) {
    if (p99.median >= PROMISES.maxP99Ms) {
      problems.push(
        `gateway: p99 ${way} ${p99.median.toFixed(1)} ms, promised below ${PROMISES.maxP99Ms} ms`,
      );
    }
  }
  const growth = gateway.residentGrowthMb.median;
  if (growth > PROMISES.maxGrowthMb) problems.push(`gateway: memory grew by ${growth.toFixed(1)} MB`);
  return problems;
}
