import type { Repeats } from "./figures.js";

/** One bar of a chart: a median with its range. */
export interface Bar {
  readonly label: string;
  readonly value: Repeats;
  /** Of our own, in colour; else a reference, in grey. */
  readonly own: boolean;
}

const WIDTH = 700;
const LEFT = 250;
const RIGHT = 90;
const ROW = 34;
const TOP = 52;

/** A bar chart as SVG: bars from 0, the range as a line. `limit` draws a dashed line, named. */
export function barChart(
  title: string,
  unit: string,
  bars: readonly Bar[],
  digits: number,
  limit?: { readonly at: number; readonly label: string },
): string {
  // What was not measured has no bar.
  const known = bars.filter((bar) => Number.isFinite(bar.value.median));
  const largest = Math.max(limit?.at ?? 0, ...known.map((bar) => bar.value.max)) || 1;
  const scale = (value: number) => (value / largest) * (WIDTH - LEFT - RIGHT);
  const at = (value: number) => (LEFT + scale(value)).toFixed(1);
  const height = TOP + known.length * ROW + 24;
  const parts = known.map((bar, index) => {
    const y = TOP + index * ROW;
    const { median, min, max } = bar.value;
    const line =
      max > min ? `<path d="M${at(min)} ${y + 11}H${at(max)}" stroke="#24292f" stroke-width="1.5"/>` : "";
    return [
      `<text x="${LEFT - 10}" y="${y + 16}" text-anchor="end">${escapeXml(bar.label)}</text>`,
      `<rect x="${LEFT}" y="${y}" width="${scale(median).toFixed(1)}" height="22" rx="2" fill="${bar.own ? "#2f6f9f" : "#b5bcc4"}"/>`,
      line,
      `<text x="${(LEFT + scale(Math.max(median, max)) + 8).toFixed(1)}" y="${y + 16}">${median.toFixed(digits)}</text>`,
    ].join("");
  });
  if (limit) {
    const x = at(limit.at);
    parts.push(
      `<path d="M${x} ${TOP - 8}V${height - 18}" stroke="#b3261e" stroke-dasharray="4 3"/>`,
      `<text x="${x}" y="${height - 5}" text-anchor="middle" fill="#b3261e">${escapeXml(limit.label)}</text>`,
    );
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="${escapeXml(title)}">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="16" y="24" font-size="15" font-weight="600">${escapeXml(title)}</text>`,
    `<text x="${WIDTH - 16}" y="24" text-anchor="end" fill="#57606a">${escapeXml(unit)}</text>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);
}
