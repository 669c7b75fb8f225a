import { type Repeats, repeatsOf } from "../figures.js";
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
  /** Calls of the highest rung that was passed each time; 0: none was. */
  readonly passed: number;
  /** The rung above it. */
  readonly failed: number | undefined;
  /** What is above was not shown to fail: harness, machine or ladder were the limit. */
  readonly harnessLimited: boolean;
  readonly tries: readonly { readonly calls: number; readonly verdict: Verdict; readonly why: string }[];
}

/** A call is carried when its audio is not later than this at p99, each way. In ms. */
export const MAX_P99_MS = 20;
const DEFAULT_VARIANTS: readonly VariantName[] = ["relay", "gateway", "gateway-1", "sdk"];
const PASSES = 3;
const TIMES = { warmUp: 10, seconds: 10 };
/** Tries a search takes as a rule: each rung of the way down or up. For the estimate. */
const TRIES = 9;

/** The highest load that each variant carries on one core. */
export const capacitySuite: Suite = {
  name: "capacity",
  what: "calls on one core: bare relay, four streams, one stream, vendor's SDK",
  estimateSeconds(options) {
    const variants = options.variants ?? DEFAULT_VARIANTS;
    const load = { ...timesOf(options), calls: 350 };
    return variants.reduce((total, name) => total + TRIES * runSeconds(variantOf(name), load), 0);
  },
  async run(harness, options) {
    const variants = options.variants ?? DEFAULT_VARIANTS;
    const rungs = options.loads ?? LADDER;
    const searches = variants.map((variant) => ({
      variant,
      search: new LadderSearch(rungs, options.passes ?? PASSES, options.retries),
      tries: [] as CapacityRow["tries"][number][],
    }));
    // One try of each in turn, so that all of them meet the same machine.
    for (let turn = 0; searches.some(({ search }) => search.next !== undefined); turn++) {
      for (let i = 0; i < searches.length; i++) {
        const { variant, search, tries } = searches[(i + turn) % searches.length]!;
        const calls = search.next;
        if (calls === undefined) continue;
        const one = await tryLoad(variant, { ...timesOf(options), calls }, harness, options);
        search.record(one.verdict);
        tries.push({ calls, ...one });
      }
    }
    const rows = searches.map(({ variant, search, tries }) => ({ variant, ...search.result, tries }));
    const ratios: Record<string, Repeats> = {};
    for (const first of rows)
      for (const second of rows)
        if (first !== second && second.passed > 0)
          ratios[`${first.variant}/${second.variant}`] = repeatsOf([first.passed / second.passed]);
    const problems = rows
      .filter(({ variant, passed }) => variantOf(variant).own && passed === 0)
      .map(({ variant }) => `${variant}: the lowest rung was not passed`);
    return {
      ...resultHead("capacity", harness),
      ok: problems.length === 0,
      problems,
      thrownAway: rows.flatMap(({ tries }) => tries).filter(({ verdict }) => verdict === "undecided").length,
      ratios,
      capacity: rows,
      table: capacityTable(rows),
    };
  },
};

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

function capacityTable(rows: readonly CapacityRow[]): string {
  const relay = rows.find(({ variant }) => variant === "relay")?.passed;
  const sdk = rows.find(({ variant }) => variant === "sdk")?.passed;
  const times = (row: CapacityRow, of: number | undefined) => (of ? (row.passed / of).toFixed(2) : "");
  return table(
    ["variant", "calls on one core", "× relay", "× SDK", "the next rung", "tries"],
    rows.map((row) => [
      titleOf(row.variant),
      `${row.harnessLimited ? "at least " : ""}${row.passed}`,
      times(row, relay),
      times(row, sdk),
      row.failed === undefined ? "" : `${row.failed}: ${whyNot(row)}`,
      String(row.tries.length),
    ]),
  );
}

function whyNot({ failed, tries, harnessLimited }: CapacityRow): string {
  const last = tries.findLast(({ calls, verdict }) => calls === failed && verdict !== "pass");
  return `${harnessLimited ? "not decided, " : ""}${last?.why ?? ""}`;
}
