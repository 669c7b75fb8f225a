import { type Repeats, repeatsOf } from "../figures.js";
import { carries, type Outcome } from "./rounds.js";
import { type VariantName, type VariantRun, variantOf } from "./variants.js";

/** The figures of a variant under a load: median and range of the rounds that count. */
export interface CellSummary {
  readonly variant: VariantName;
  readonly calls: number;
  readonly rounds: number;
  /** With a run that counts and that carried the load. */
  readonly validRounds: number;
  /** Runs whose load generator was late or busy. */
  readonly thrownAway: number;
  /** Rounds that count although their load generator was late or busy: only where any machine will do. */
  readonly lateRounds: number;
  /** Rounds in which the variant was too slow: their CPU is not counted. */
  readonly overloaded: number;
  readonly failures: number;
  /** Of those that count, while something else used more than 0.1 core. */
  readonly noisyRounds: number;
  readonly cpuSecondsPerCallMinute: Repeats;
  /** Of the agent, which is on the core of the load generator. */
  readonly agentCpuPerCallMinute: Repeats;
  readonly coreShare: Repeats;
  readonly upP50Ms: Repeats;
  readonly upP99Ms: Repeats;
  readonly upMaxMs: Repeats;
  readonly downP50Ms: Repeats;
  readonly downP99Ms: Repeats;
  readonly downMaxMs: Repeats;
  readonly residentMb: Repeats;
  readonly harnessShare: Repeats;
  readonly framesSent: number;
  readonly framesLost: number;
  readonly framesMisplaced: number;
  readonly refusals: number;
  readonly gaps: number;
}

/** The runs of a cell that count: valid, and the load was carried. */
export function countedRuns(outcomes: readonly Outcome[], variant: VariantName, calls: number): VariantRun[] {
  return outcomes.flatMap(({ run, ...of }) =>
    of.variant === variant && of.calls === calls && run && carries(run) ? [run] : [],
  );
}

/** The figures of a cell. */
export function summarizeCell(
  outcomes: readonly Outcome[],
  variant: VariantName,
  calls: number,
): CellSummary {
  const mine = outcomes.filter((of) => of.variant === variant && of.calls === calls);
  const runs = countedRuns(outcomes, variant, calls);
  const of = (pick: (run: VariantRun) => number) => repeatsOf(runs.map(pick));
  const sum = (pick: (run: VariantRun) => number) => runs.reduce((total, run) => total + pick(run), 0);
  const count = (pick: (outcome: Outcome) => boolean) => mine.filter(pick).length;
  return {
    variant,
    calls,
    rounds: mine.length,
    validRounds: runs.length,
    thrownAway: mine.reduce((total, { thrownAway }) => total + thrownAway.length, 0),
    lateRounds: runs.filter(({ invalid }) => invalid !== "").length,
    overloaded: count(({ run }) => run !== undefined && !carries(run)),
    failures: count(({ failure }) => failure !== ""),
    noisyRounds: runs.filter(({ noisy }) => noisy).length,
    cpuSecondsPerCallMinute: of((run) => run.cpuSecondsPerCallMinute),
    agentCpuPerCallMinute: of((run) => run.agentCpuPerCallMinute),
    coreShare: of((run) => run.coreShare),
    upP50Ms: of((run) => run.upMs.p50),
    upP99Ms: of((run) => run.upMs.p99),
    upMaxMs: of((run) => run.upMs.max),
    downP50Ms: of((run) => run.downMs.p50),
    downP99Ms: of((run) => run.downMs.p99),
    downMaxMs: of((run) => run.downMs.max),
    residentMb: of((run) => run.memory.endMb),
    harnessShare: of((run) => run.harnessShare),
    framesSent: sum((run) => run.framesSent),
    framesLost: sum((run) => run.framesLost),
    framesMisplaced: sum((run) => run.outOfOrder + run.corrupt),
    refusals: sum((run) => run.agent?.refused ?? 0),
    gaps: sum((run) => run.agent?.gaps ?? 0),
  };
}

/**
 * A figure of one variant compared with that of another under the same load, round by round, so that a machine that slows down in
 * between slows down both. Rounds in which one of them does not count are left out.
 */
export function compared(
  outcomes: readonly Outcome[],
  first: VariantName,
  second: VariantName,
  calls: number,
  compare: (first: VariantRun, second: VariantRun) => number,
): Repeats {
  const runOf = (variant: VariantName, round: number) =>
    outcomes.find((of) => of.variant === variant && of.calls === calls && of.round === round)?.run;
  const rounds = [...new Set(outcomes.map(({ round }) => round))];
  return repeatsOf(
    rounds.flatMap((round) => {
      const [a, b] = [runOf(first, round), runOf(second, round)];
      return a && b && carries(a) && carries(b) ? [compare(a, b)] : [];
    }),
  );
}

/** CPU of the first over that of the second. */
export function cpuRatio(
  outcomes: readonly Outcome[],
  first: VariantName,
  second: VariantName,
  calls: number,
): Repeats {
  return compared(
    outcomes,
    first,
    second,
    calls,
    (a, b) => a.cpuSecondsPerCallMinute / b.cpuSecondsPerCallMinute,
  );
}

/**
 * What is not as it has to be: no frame is lost, doubled, out of order or in another call, nothing of the agent's is refused, and some
 * round counts. `foreign`: variants of which nothing is promised.
 */
export function problemsOf(cells: readonly CellSummary[], foreign: readonly VariantName[] = []): string[] {
  return cells
    .filter(({ variant }) => !foreign.includes(variant))
    .flatMap((cell) => {
      const problems = [
        cell.validRounds === 0 && "no round counts",
        cell.framesLost > 0 && `${cell.framesLost} frames lost`,
        cell.framesMisplaced > 0 && `${cell.framesMisplaced} frames misplaced`,
        cell.refusals > 0 && `${cell.refusals} items of the agent refused`,
        cell.gaps > 0 && `${cell.gaps} gaps told to the agent`,
      ];
      return problems.flatMap((problem) =>
        problem ? [`${cell.variant} at ${cell.calls} calls: ${problem}`] : [],
      );
    });
}

/** All cells of some outcomes, by load and in the order of the variants. */
export function summarizeAll(
  outcomes: readonly Outcome[],
  variants: readonly VariantName[],
  loads: readonly number[],
): CellSummary[] {
  return loads.flatMap((calls) =>
    variants
      .filter((variant) => outcomes.some((of) => of.variant === variant && of.calls === calls))
      .map((variant) => summarizeCell(outcomes, variant, calls)),
  );
}

/** For tables. */
export function titleOf(variant: VariantName): string {
  return variantOf(variant).title;
}
