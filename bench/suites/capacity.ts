import { type Repeats, repeatsOf } from "../figures.js";
import { shown } from "../report.js";
import { titleOf } from "./cell-summary.js";
import { table } from "./cells-table.js";
import type { Harness } from "./harness.js";
import { LADDER, LadderSearch, type Verdict } from "./ladder.js";
import { carries, outcomeLine } from "./rounds.js";
import { resultHead, type Suite, type SuiteOptions } from "./suite.js";
import { type Load, runSeconds, type VariantName, type VariantRun, variantOf } from "./variants.js";

/** What one core carries. */
export interface CapacityRow {
  readonly variant: VariantName;
  /** Median of the rounds, in calls. */
  readonly passed: number;
  /** What is above the median was not shown to fail: harness, machine or ladder were the limit. */
  readonly harnessLimited: boolean;
  readonly rounds: readonly CapacityRound[];
}

/** One search of the ladder. */
export interface CapacityRound {
  /** Calls of the highest rung that was passed; 0: none was. */
  readonly passed: number;
  /** The rung above it. */
  readonly failed: number | undefined;
  /** What is above was not shown to fail. */
  readonly harnessLimited: boolean;
  readonly tries: readonly { readonly calls: number; readonly verdict: Verdict; readonly why: string }[];
}

/** A call is carried when its audio is not later than this at p99, each way. In ms. */
export const MAX_P99_MS = 20;
const DEFAULT_VARIANTS: readonly VariantName[] = ["relay", "gateway", "gateway-1", "sdk"];
const ROUNDS = 5;
/** Of a rung in each round. */
const PASSES = 1;
const TIMES = { warmUp: 10, seconds: 10 };
/** Rungs that a search tries. For the estimate. */
const TRIES = Math.ceil(Math.log2(LADDER.length + 1));

/** The highest load that each variant carries on one core. */
export const capacitySuite: Suite = {
  name: "capacity",
  what: "calls on one core: bare relay, four streams, one stream, vendor's SDK",
  estimateSeconds(options) {
    const variants = options.variants ?? DEFAULT_VARIANTS;
    const load = { ...timesOf(options), calls: 350 };
    const tries = (options.rounds ?? ROUNDS) * TRIES * (options.passes ?? PASSES);
    return variants.reduce((total, name) => total + tries * runSeconds(variantOf(name), load), 0);
  },
  async run(harness, options) {
    const variants = options.variants ?? DEFAULT_VARIANTS;
    const rounds: (readonly CapacityRound[])[] = [];
    for (let round = 0; round < (options.rounds ?? ROUNDS); round++) {
      const found = await searchAll(variants, round, harness, options);
      rounds.push(found);
      const each = variants.map((variant, i) => `${variant} ${atLeast(found[i]!)}${found[i]!.passed}`);
      options.say(`round ${round + 1}: ${each.join(", ")}`);
    }
    const rows = variants.map((variant, i) =>
      capacityRow(
        variant,
        rounds.map((found) => found[i]!),
      ),
    );
    const ratios = capacityRatios(rows);
    const problems = rows
      .filter(({ variant, passed }) => variantOf(variant).own && passed === 0)
      .map(({ variant }) => `${variant}: the lowest rung was not passed`);
    return {
      ...resultHead("capacity", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: rounds
        .flat()
        .flatMap(({ tries }) => tries)
        .filter(({ verdict }) => verdict === "undecided").length,
      ratios,
      capacity: rows,
      table: capacityTable(rows, ratios),
    };
  },
};

/** One round: a search for each variant, one try of each in turn, so that all of them meet the same machine. */
async function searchAll(
  variants: readonly VariantName[],
  round: number,
  harness: Harness,
  options: SuiteOptions,
): Promise<CapacityRound[]> {
  const rungs = options.loads ?? LADDER;
  const searches = variants.map((variant) => ({
    variant,
    search: new LadderSearch(rungs, options.passes ?? PASSES, options.retries),
    tries: [] as CapacityRound["tries"][number][],
  }));
  for (let turn = round; searches.some(({ search }) => search.next !== undefined); turn++) {
    for (let i = 0; i < searches.length; i++) {
      const { variant, search, tries } = searches[(i + turn) % searches.length]!;
      const calls = search.next;
      if (calls === undefined) continue;
      const one = await tryLoad(variant, { ...timesOf(options), calls }, harness, options);
      search.record(one.verdict);
      tries.push({ calls, ...one });
    }
  }
  return searches.map(({ search, tries }) => ({ ...search.result, tries }));
}

/** The median of the rounds; only a round that is not above it can say that the limit was the harness's. */
export function capacityRow(variant: VariantName, rounds: readonly CapacityRound[]): CapacityRow {
  const passed = repeatsOf(rounds.map((round) => round.passed)).median;
  const harnessLimited = rounds.some((round) => round.harnessLimited && round.passed <= passed);
  return { variant, passed, harnessLimited, rounds };
}

/** Each over each, round by round; none over one that passed no rung in some round. */
export function capacityRatios(rows: readonly CapacityRow[]): Record<string, Repeats> {
  const ratios: Record<string, Repeats> = {};
  for (const first of rows)
    for (const second of rows)
      if (first !== second && second.rounds.every(({ passed }) => passed > 0))
        ratios[`${first.variant}/${second.variant}`] = repeatsOf(
          first.rounds.map(({ passed }, round) => passed / second.rounds[round]!.passed),
        );
  return ratios;
}

function timesOf(options: SuiteOptions) {
  return {
    warmUpSeconds: options.warmUp ?? TIMES.warmUp,
    seconds: options.seconds ?? TIMES.seconds,
  };
}

async function tryLoad(
  variant: VariantName,
  load: Load,
  harness: Harness,
  { nodeArgs, say }: SuiteOptions,
): Promise<{ verdict: Verdict; why: string }> {
  const run = await variantOf(variant)
    .run(harness, load, nodeArgs)
    .catch((error: unknown) => String(error));
  if (typeof run === "string") {
    const why = run.split("\n", 1)[0] ?? "";
    say(`${variant} ${load.calls} calls: fail: ${why}`);
    return { verdict: "fail", why };
  }
  const one = verdictOf(run);
  const line = outcomeLine({ variant, calls: load.calls, round: 1, run, thrownAway: [], failure: "" });
  say(`${line.replace("round 1 ", "")} → ${one.verdict}${one.why ? `: ${one.why}` : ""}`);
  return one;
}

/** A pass is one whatever the harness did, since it can only make it harder; a failure is one only where it was not to blame. */
export function verdictOf(run: VariantRun): { verdict: Verdict; why: string } {
  const late = Math.max(run.upMs.p99, run.downMs.p99);
  if (carries(run) && late < MAX_P99_MS) return { verdict: "pass", why: "" };
  if (run.invalid !== "") return { verdict: "undecided", why: run.invalid };
  if (run.noisy) return { verdict: "undecided", why: `${run.foreignCores.toFixed(2)} cores used by others` };
  if (!carries(run)) return { verdict: "fail", why: `${run.framesReceived} of ${run.framesSent} frames` };
  return { verdict: "fail", why: `p99 ${late.toFixed(1)} ms` };
}

function capacityTable(rows: readonly CapacityRow[], ratios: Readonly<Record<string, Repeats>>): string {
  const times = (variant: VariantName, other: VariantName) => {
    const ratio = ratios[`${variant}/${other}`];
    return ratio ? shown(ratio, 2) : "";
  };
  return table(
    ["variant", "calls on one core", "× relay", "× SDK", "what ended it", "rounds", "tries"],
    rows.map((row) => [
      titleOf(row.variant),
      `${atLeast(row)}${shown(repeatsOf(row.rounds.map(({ passed }) => passed)), 0)}`,
      times(row.variant, "relay"),
      times(row.variant, "sdk"),
      whyNot(row),
      String(row.rounds.length),
      String(row.rounds.reduce((sum, { tries }) => sum + tries.length, 0)),
    ]),
  );
}

/** Of the first round that found the median; empty when the highest rung was passed, or the median lies between two. */
function whyNot({ passed, rounds }: CapacityRow): string {
  const round = rounds.find((one) => one.passed === passed && !one.harnessLimited);
  if (!round) return "";
  const last = round.tries.findLast(({ calls, verdict }) => calls === round.failed && verdict === "fail");
  return last ? `${last.calls}: ${last.why}` : "";
}

function atLeast({ harnessLimited }: Pick<CapacityRound, "harnessLimited">): string {
  return harnessLimited ? "at least " : "";
}
