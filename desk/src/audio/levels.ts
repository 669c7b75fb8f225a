import { signal } from "@preact/signals";

/** Peaks kept for the strip: at 43 ms each some 17 s. */
const KEPT = 400;

/** How loud something is: now, and lately. */
export class Levels {
  /** Root mean square, 0 to 1. */
  readonly level = signal(0);
  /** Peaks of the last seconds, oldest first; NaN where something is missing. */
  readonly peaks: number[] = [];

  add(level: number, peak: number): void {
    this.level.value = level;
    this.peaks.push(peak);
    if (this.peaks.length > KEPT) this.peaks.splice(0, this.peaks.length - KEPT);
  }

  /** Something was not heard. */
  gap(): void {
    this.peaks.push(Number.NaN);
  }

  reset(): void {
    this.level.value = 0;
    this.peaks.length = 0;
  }
}
