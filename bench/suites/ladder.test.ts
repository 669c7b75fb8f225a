import { describe, expect, it } from "vitest";
import { LADDER, LadderSearch, type Verdict } from "./ladder.js";

const RUNGS = [50, 100, 150, 200, 250, 300];

/** Searches with what `verdictAt` says; returns the result and every load that was tried. */
function search(verdictAt: (calls: number, nth: number) => Verdict, needed = 3, retries = 1) {
  const one = new LadderSearch(RUNGS, needed, retries);
  const tried: number[] = [];
  for (let calls = one.next; calls !== undefined; calls = one.next) {
    one.record(verdictAt(calls, tried.filter((each) => each === calls).length));
    tried.push(calls);
    if (tried.length > 100) throw new Error("no end");
  }
  return { ...one.result, tried };
}

describe("LadderSearch", () => {
  it.each(RUNGS)("finds %d wherever it is, by passes out of as many", (limit) => {
    const found = search((calls) => (calls <= limit ? "pass" : "fail"));
    expect(found.passed).toBe(limit);
    expect(found.tried.filter((calls) => calls === limit)).toHaveLength(3);
    expect(found.harnessLimited).toBe(limit === 300);
    expect(found.failed).toBe(limit === 300 ? undefined : limit + 50);
  });

  it("does not let a rung count of which one try failed", () => {
    const found = search((calls, nth) =>
      calls === 200 && nth === 2 ? "fail" : calls <= 200 ? "pass" : "fail",
    );
    expect(found).toMatchObject({ passed: 150, failed: 200, harnessLimited: false });
  });

  it("tries again what is undecided, then says that the harness was the limit", () => {
    const limited = search((calls) => (calls <= 100 ? "pass" : "undecided"));
    expect(limited).toMatchObject({ passed: 100, failed: 150, harnessLimited: true });
    expect(limited.tried.filter((calls) => calls === 150)).toHaveLength(2);
    const once = search((calls, nth) => (calls > 200 ? "fail" : nth === 0 ? "undecided" : "pass"));
    expect(once).toMatchObject({ passed: 200, failed: 250, harnessLimited: false });
  });

  it("says 0 when the lowest rung is not passed", () => {
    expect(search(() => "fail")).toMatchObject({ passed: 0, failed: 50, harnessLimited: false });
  });

  it("ends", () => {
    const one = new LadderSearch([50], 1, 0);
    one.record("pass");
    expect(one.next).toBeUndefined();
    expect(() => one.record("pass")).toThrow("over");
    expect(() => new LadderSearch([50], 0, 0)).toThrow(RangeError);
  });

  it("has a ladder that rises", () => {
    expect([...LADDER].sort((a, b) => a - b)).toEqual(LADDER);
  });
});
