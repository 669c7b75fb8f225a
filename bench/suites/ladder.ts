/** How a try on a rung ended: `undecided` when the harness or another program limited it. */
export type Verdict = "pass" | "fail" | "undecided";

/** The loads that are tried, in calls; fixed before anything is measured. */
export const LADDER: readonly number[] = [
  50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700, 800,
];

/**
 * Finds the highest rung that is passed so many times out of as many, by halving: a rung whose tries are all passed says that those
 * below are, a rung with one that failed says that those above are not. Tries that are undecided are made again, at most `retries`
 * times a rung; then the rung counts as not passed, and it is told that the harness was the limit.
 */
export class LadderSearch {
  /** Highest rung known to be passed, and lowest known not to be, as indices. */
  private low = -1;
  private high: number;
  private passes = 0;
  private undecided = 0;
  private limited = false;

  constructor(
    private readonly rungs: readonly number[],
    private readonly needed: number,
    private readonly retries: number,
  ) {
    if (needed < 1) throw new RangeError("a rung needs at least one pass");
    this.high = rungs.length;
  }

  /** The load to try next; undefined when the search is over. */
  get next(): number | undefined {
    return this.high - this.low > 1 ? this.rungs[this.at] : undefined;
  }

  private get at(): number {
    return Math.floor((this.low + this.high) / 2);
  }

  /** Tells how the try of `next` ended. */
  record(verdict: Verdict): void {
    if (this.next === undefined) throw new Error("the search is over");
    if (verdict === "pass" && ++this.passes < this.needed) return;
    if (verdict === "undecided" && ++this.undecided <= this.retries) return;
    if (verdict === "pass") this.low = this.at;
    else {
      this.high = this.at;
      this.limited = verdict === "undecided";
    }
    this.passes = 0;
    this.undecided = 0;
  }

  /**
   * What was found. `passed`: in calls, 0 when the lowest rung is not. `failed`: the next rung, undefined when the highest was passed.
   * `harnessLimited`: what is above was not shown to fail, so that `passed` is at least what it carries.
   */
  get result(): { passed: number; failed: number | undefined; harnessLimited: boolean } {
    return {
      passed: this.rungs[this.low] ?? 0,
      failed: this.rungs[this.high],
      harnessLimited: this.high === this.rungs.length || this.limited,
    };
  }
}
