import type { SingleResult } from "../singles/run-singles.js";
import { figure } from "../singles/table.js";
import { table } from "./cells-table.js";
import type { SuiteResult } from "./suite.js";
import type { VariantName } from "./variants.js";

/** What was set as a target, and what was reached. */
export interface TargetRow {
  readonly target: string;
  readonly required: string;
  readonly stretch: string;
  readonly reached: string;
  /** The same as a number; undefined when it was not measured. */
  readonly value?: number;
  readonly verdict: "stretch" | "met" | "missed" | "not measured";
  readonly command: string;
}

/** A bound on a figure. */
interface Bound {
  readonly target: string;
  readonly at: "most" | "least";
  readonly required: number;
  readonly stretch?: number;
  /** "ms", or "×" for a ratio. */
  readonly unit: "ms" | "×";
  readonly reached: number | undefined;
  readonly command: string;
}

/** The results that targets are judged by; each undefined when it was not kept. */
export interface Results {
  readonly cpu: SuiteResult | undefined;
  readonly capacity: SuiteResult | undefined;
  readonly latency: SuiteResult | undefined;
  readonly singles: readonly SingleResult[];
}

/** Every target beside what was reached. */
export function targetsOf(results: Results): TargetRow[] {
  return [...boundsOf(results).map(judged), ...results.singles.flatMap(ofSingle)];
}

/** The same as Markdown. */
export function targetsTable(rows: readonly TargetRow[]): string {
  return table(
    ["target", "required", "stretch", "reached", "", "command"],
    rows.map((row) => [
      row.target,
      row.required,
      row.stretch,
      row.reached,
      row.verdict === "missed" ? "**missed**" : row.verdict,
      `\`${row.command}\``,
    ]),
  );
}

function boundsOf({ cpu, capacity, latency }: Results): Bound[] {
  const only = (name: string) => `npm run bench -- --only ${name}`;
  const ratio = (of: SuiteResult | undefined, name: string) => of?.ratios[name]?.median;
  const calls = { at: "least", unit: "×", command: only("capacity") } as const;
  const delay = { at: "most", unit: "ms", command: only("latency") } as const;
  return [
    ...[200, 300].flatMap((load) =>
      Object.entries({ gateway: "four streams", "gateway-1": "one stream" }).map(([variant, streams]) => ({
        target: `CPU per call-minute at ${load} calls, ${streams}, over the relay's`,
        ...({ at: "most", required: 1.4, stretch: 1.15, unit: "×", command: only("cpu") } as const),
        reached: ratio(cpu, `${variant}/relay@${load}`),
      })),
    ),
    {
      target: "calls on one core, four streams, over the relay's",
      ...calls,
      ...{ required: 0.8, stretch: 1 },
      reached: ratio(capacity, "gateway/relay"),
    },
    {
      target: "calls on one core, four streams, over the vendor SDK's",
      ...calls,
      ...{ required: 2, stretch: 3 },
      reached: ratio(capacity, "gateway/sdk"),
    },
    {
      target: "calls on one core, one stream, over the relay's",
      ...calls,
      ...{ required: 0.6, stretch: 0.9 },
      reached: ratio(capacity, "gateway-1/relay"),
    },
    {
      target: "added delay at half load, p99, the worse way",
      ...delay,
      ...{ required: 5, stretch: 2 },
      reached: worseWay(latency, "p99"),
    },
    {
      target: "added delay at half load, p50, the worse way",
      ...delay,
      required: 1,
      reached: worseWay(latency, "p50"),
    },
    {
      target: "CPU per call-minute at 300 calls, over that at 50",
      ...({ at: "most", required: 1, unit: "×", command: only("cpu") } as const),
      reached: fallOf(cpu, "gateway", 300, 50),
    },
  ];
}

function worseWay(latency: SuiteResult | undefined, at: string): number | undefined {
  const ways = Object.entries(latency?.ratios ?? {}).filter(([name]) =>
    new RegExp(`^gateway ${at} (?:up|down)@`).test(name),
  );
  return ways.length === 0 ? undefined : Math.max(...ways.map(([, { median }]) => median));
}

function fallOf(
  cpu: SuiteResult | undefined,
  variant: VariantName,
  high: number,
  low: number,
): number | undefined {
  const at = (calls: number) =>
    cpu?.cells?.find((cell) => cell.variant === variant && cell.calls === calls)?.cpuSecondsPerCallMinute
      .median;
  const [above, below] = [at(high), at(low)];
  return above && below ? above / below : undefined;
}

function judged({ target, at, required, stretch, unit, reached, command }: Bound): TargetRow {
  const sign = at === "most" ? "≤" : "≥";
  const shown = (value: number) => (unit === "×" ? `${figure(value)} ×` : `${figure(value)} ms`);
  const holds = (bound: number) =>
    reached !== undefined && (at === "most" ? reached <= bound : reached >= bound);
  const row = {
    target,
    required: `${sign} ${shown(required)}`,
    stretch: stretch === undefined ? "" : `${sign} ${shown(stretch)}`,
    command,
  };
  // What was kept of a figure that could not be had is null.
  if (reached === undefined || !Number.isFinite(reached))
    return { ...row, reached: "–", verdict: "not measured" };
  const met = holds(required) ? "met" : "missed";
  return {
    ...row,
    reached: shown(reached),
    value: reached,
    verdict: stretch !== undefined && holds(stretch) ? "stretch" : met,
  };
}

function ofSingle({ name, targets }: SingleResult): TargetRow[] {
  return targets.map((target) => ({
    target: target.name,
    required: `≤ ${figure(target.atMost)}`,
    stretch: "",
    reached: figure(target.reached),
    value: target.reached,
    verdict: target.reached <= target.atMost ? "met" : "missed",
    command: `npm run bench -- --only ${name}`,
  }));
}
