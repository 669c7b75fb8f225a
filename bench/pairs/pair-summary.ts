import { type Repeats, repeatsOf } from "../figures.js";
import type { Pair, PairName, SideResult } from "./pair.js";

/** One side over all valid rounds: median and range. */
export interface SideSummary {
  readonly side: string;
  readonly rounds: number;
  readonly validRounds: number;
  readonly noisyRounds: number;
  readonly gatewayCpu: Repeats;
  readonly serverCpu: Repeats;
  readonly agentCpu: Repeats;
  readonly upP99Ms: Repeats;
  readonly downP99Ms: Repeats;
  readonly framesSent: number;
  readonly framesLost: number;
  readonly framesMisplaced: number;
  /** Share of the calls that the first gateway claimed. */
  readonly firstShare: Repeats;
  readonly saveP50Ms?: Repeats;
  readonly saveP99Ms?: Repeats;
  readonly savesSent: number;
  readonly savesFailed: number;
}

/** A pair: both sides, and the second against the first, round by round. */
export interface PairSummary {
  readonly name: PairName;
  readonly title: string;
  readonly ok: boolean;
  readonly problems: readonly string[];
  readonly sides: readonly [SideSummary, SideSummary];
  /** CPU of the gateways per call-minute, second over first. */
  readonly cpuRatio: Repeats;
  /** The same with the servers. */
  readonly cpuRatioWithServers: Repeats;
  /** Second less first, in ms. */
  readonly addedUpP99Ms: Repeats;
  readonly addedDownP99Ms: Repeats;
}

/** A round: one run of each side, beside each other in time. */
export type Round = readonly [SideResult, SideResult];

/** The figures of one side. */
export function summarizeSide(side: string, runs: readonly SideResult[]): SideSummary {
  const valid = runs.filter(({ invalid }) => invalid === "");
  const of = (pick: (run: SideResult) => number) => repeatsOf(valid.map(pick));
  const sum = (pick: (run: SideResult) => number) => runs.reduce((total, run) => total + pick(run), 0);
  const saving = runs.some(({ saves }) => saves !== undefined);
  return {
    side,
    rounds: runs.length,
    validRounds: valid.length,
    noisyRounds: valid.filter(({ noisy }) => noisy).length,
    gatewayCpu: of((run) => run.cpuSecondsPerCallMinute),
    serverCpu: of((run) => run.serverCpuPerCallMinute),
    agentCpu: of((run) => run.agentCpuPerCallMinute),
    upP99Ms: of((run) => run.upMs.p99),
    downP99Ms: of((run) => run.downMs.p99),
    framesSent: sum((run) => run.framesSent),
    framesLost: sum((run) => run.framesLost),
    framesMisplaced: sum((run) => run.outOfOrder + run.corrupt),
    firstShare: of(
      ({ claims }) =>
        (claims[0] ?? 0) /
        Math.max(
          1,
          claims.reduce((a, b) => a + b, 0),
        ),
    ),
    ...(saving
      ? {
          saveP50Ms: of((run) => run.saves?.tookMs.p50 ?? 0),
          saveP99Ms: of((run) => run.saves?.tookMs.p99 ?? 0),
        }
      : {}),
    savesSent: sum((run) => run.saves?.sent ?? 0),
    savesFailed: sum((run) => run.saves?.failed ?? 0),
  };
}

/** What a pair says. Only rounds of which both runs are valid are compared. `quick`: nothing but that all frames arrive. */
export function summarizePair(
  pair: Pair,
  rounds: readonly Round[],
  failures: readonly string[],
  quick: boolean,
): PairSummary {
  const sides = pair.sides.map(({ name }, index) =>
    summarizeSide(
      name,
      rounds.map((round) => round[index] as SideResult),
    ),
  ) as unknown as [SideSummary, SideSummary];
  const fair = rounds.filter((round) => round.every(({ invalid }) => invalid === ""));
  const of = (compare: (first: SideResult, second: SideResult) => number) =>
    repeatsOf(fair.map(([first, second]) => compare(first, second)));
  const cpuRatio = of((first, second) => second.cpuSecondsPerCallMinute / first.cpuSecondsPerCallMinute);
  const withServers = (run: SideResult) => run.cpuSecondsPerCallMinute + run.serverCpuPerCallMinute;
  const problems = [...failures];
  for (const side of sides) {
    if (side.framesSent === 0) problems.push(`${side.side}: no frame was sent`);
    if (side.framesLost > 0) problems.push(`${side.side}: ${side.framesLost} frames lost`);
    if (side.framesMisplaced > 0) problems.push(`${side.side}: ${side.framesMisplaced} frames misplaced`);
    if (side.savesFailed > 0) problems.push(`${side.side}: ${side.savesFailed} saves failed`);
  }
  if (!quick && fair.length === 0) problems.push("no round with two valid runs");
  if (!quick && pair.maxCpuRatio !== undefined && cpuRatio.median > pair.maxCpuRatio)
    problems.push(`CPU ratio ${cpuRatio.median.toFixed(2)}, promised at most ${pair.maxCpuRatio}`);
  return {
    name: pair.name,
    title: pair.title,
    ok: problems.length === 0,
    problems,
    sides,
    cpuRatio,
    cpuRatioWithServers: of((first, second) => withServers(second) / withServers(first)),
    addedUpP99Ms: of((first, second) => second.upMs.p99 - first.upMs.p99),
    addedDownP99Ms: of((first, second) => second.downMs.p99 - first.downMs.p99),
  };
}
