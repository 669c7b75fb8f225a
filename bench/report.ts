import type { Repeats } from "./figures.js";

/** A median with its range, as it stands in a table. */
export function shown(r: Repeats, digits: number): string {
  if (!Number.isFinite(r.median)) return "–";
  const [median, min, max] = [r.median, r.min, r.max].map((value) => value.toFixed(digits));
  return min === max ? `${median}` : `${median} [${min}–${max}]`;
}
