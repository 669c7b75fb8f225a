import type { Repeats, Spread } from "../figures.js";
import { shown } from "../report.js";
import type { Findings, Table } from "./single.js";

/** p50 / p99 / max with one digit. */
export function milliseconds({ count, p50, p99, max }: Spread): string {
  if (count === 0) return "–";
  return [p50, p99, max].map((value) => value.toFixed(1)).join(" / ");
}

/** A table as Markdown. */
export function markdown([heading = [], ...rows]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(heading), line(heading.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A number with as many digits as say something. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

/** A median with its range, with as many digits as say something. */
export function repeats(value: Repeats): string {
  const most = Math.abs(value.median);
  return shown(value, most >= 100 ? 0 : most >= 10 ? 1 : 2);
}

/** All tables of a figure and its targets beside what was reached. */
export function sectionOf({ tables, targets }: Pick<Findings, "tables" | "targets">): string {
  const judged: Table = [
    ["target", "at most", "reached", ""],
    ...targets.map(({ name, atMost, reached }) => [
      name,
      figure(atMost),
      figure(reached),
      reached <= atMost ? "met" : "**missed**",
    ]),
  ];
  return [...tables, ...(targets.length > 0 ? [judged] : [])].map(markdown).join("\n\n");
}
