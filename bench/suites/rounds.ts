import type { Harness } from "./harness.js";
import { type Load, runSeconds, type Variant, type VariantName, type VariantRun } from "./variants.js";

/** One variant under one load. */
export interface Cell {
  readonly variant: Variant;
  readonly load: Load;
}

/** What became of a cell in a round. */
export interface Outcome {
  readonly variant: VariantName;
  readonly calls: number;
  /** From 1. */
  readonly round: number;
  /** The run that counts; undefined when there was none. */
  readonly run: VariantRun | undefined;
  /** Why each run before it was thrown away: the load generator was late, or its core was busy. */
  readonly thrownAway: readonly string[];
  /** Why it could not be run at all; empty when it could. */
  readonly failure: string;
}

/** How cells are run. */
export interface RoundsOptions {
  readonly rounds: number;
  /** How often a run that is thrown away is run again. */
  readonly retries: number;
  readonly harness: Harness;
  readonly nodeArgs?: readonly string[];
  /** When every run was to be thrown away, the last one is taken all the same: where a ratio on a busy machine is better than none. */
  readonly anyMachine?: boolean;
  readonly say: (line: string) => void;
}

/** Share of the frames that have to come back for a variant to carry its load. */
export const CARRIED_SHARE = 0.985;

/**
 * Runs every cell once a round. Variants take turns under the same load, so that what is compared is measured side by side; which
 * load and which variant comes first moves on with each round, so that none always comes first.
 */
export async function runRounds(cells: readonly Cell[], options: RoundsOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const all = options.rounds * cells.length;
  for (let round = 1; round <= options.rounds; round++) {
    for (const cell of orderOf(cells, round)) {
      if (isHopeless(cell, outcomes)) continue;
      const outcome = await runCell(cell, round, options);
      outcomes.push(outcome);
      options.say(`${outcomes.length}/${all} ${outcomeLine(outcome)}`);
    }
  }
  return outcomes;
}

/** The cells in the order of a round, from 1: loads and, under each, variants, each list rotated by the round. */
export function orderOf(cells: readonly Cell[], round: number): Cell[] {
  const loads = [...new Set(cells.map(({ load }) => load.calls))];
  return rotated(loads, round - 1).flatMap((calls) =>
    rotated(
      cells.filter(({ load }) => load.calls === calls),
      round - 1,
    ),
  );
}

/** A load that a variant did not carry twice is not tried again. */
function isHopeless({ variant, load }: Cell, outcomes: readonly Outcome[]): boolean {
  const mine = outcomes.filter((of) => of.variant === variant.name && of.calls === load.calls);
  return mine.filter(({ run, failure }) => (run ? !carries(run) : failure !== "")).length >= 2;
}

function rotated<T>(values: readonly T[], by: number): T[] {
  const at = values.length === 0 ? 0 : by % values.length;
  return [...values.slice(at), ...values.slice(0, at)];
}

/** Runs a cell until a run counts, or as often as it may be. */
export async function runCell(
  { variant, load }: Cell,
  round: number,
  { retries, harness, nodeArgs = [], anyMachine = false }: Omit<RoundsOptions, "rounds" | "say">,
): Promise<Outcome> {
  const head = { variant: variant.name, calls: load.calls, round };
  const thrownAway: string[] = [];
  let failures = 0;
  for (let attempt = 0; attempt <= retries; attempt++) {
    const run = await variant.run(harness, load, nodeArgs).catch((error: unknown) => String(error));
    if (typeof run === "string") {
      // What is not ours may well be unable to take its calls; ours is given a second chance.
      if (!variant.own || ++failures > 1 || attempt === retries)
        return { ...head, run: undefined, thrownAway, failure: run };
      continue;
    }
    if (run.invalid === "" || (anyMachine && attempt === retries))
      return { ...head, run, thrownAway, failure: "" };
    thrownAway.push(run.invalid);
  }
  return { ...head, run: undefined, thrownAway, failure: "" };
}

/** Whether the frames came back. */
export function carries(run: Pick<VariantRun, "framesSent" | "framesReceived">): boolean {
  return run.framesSent > 0 && run.framesReceived >= CARRIED_SHARE * run.framesSent;
}

/** Seconds that rounds of cells take when no run is thrown away. */
export function estimateOf(cells: readonly Cell[], rounds: number): number {
  return rounds * cells.reduce((total, { variant, load }) => total + runSeconds(variant, load), 0);
}

/** One line of an outcome, as it ends. */
export function outcomeLine({ variant, calls, round, run, thrownAway, failure }: Outcome): string {
  const head = `round ${round} ${variant.padEnd(13)} ${String(calls).padStart(4)} calls`;
  const thrown = thrownAway.length > 0 ? `  [thrown away: ${thrownAway.join("; ")}]` : "";
  if (!run) return `${head}: no run counts${failure ? `: ${failure}` : ""}${thrown}`;
  const { upMs, downMs } = run;
  const cells = [
    `${run.cpuSecondsPerCallMinute.toFixed(3)} CPU s/call-min`,
    `core ${run.coreShare.toFixed(2)}`,
    `up ${[upMs.p50, upMs.p99, upMs.max].map((ms) => ms.toFixed(1)).join("/")}`,
    `down ${[downMs.p50, downMs.p99, downMs.max].map((ms) => ms.toFixed(1)).join("/")} ms`,
    `lost ${run.framesLost} of ${run.framesSent}`,
    `RSS ${run.memory.endMb.toFixed(0)} MB`,
    `harness ${run.harnessShare.toFixed(2)} late ${run.lateMs.p99.toFixed(1)} ms`,
    ...(run.invalid ? [`ALL THE SAME: ${run.invalid}`] : []),
    ...(run.noisy ? [`noisy: ${run.foreignCores.toFixed(2)} cores`] : []),
    ...(carries(run) ? [] : ["DOES NOT CARRY THE LOAD"]),
  ];
  return `${head}: ${cells.join(" | ")}${thrown}`;
}
