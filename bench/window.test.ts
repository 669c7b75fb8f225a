import { describe, expect, it } from "vitest";
import { verdictOf } from "./suites/capacity.js";
import { runOf } from "./suites/testing.js";
import { whyInvalid } from "./window.js";

const spread = (p99: number) => ({ count: 1000, p50: 1, p99, max: p99 });

describe("a run", () => {
  it("says nothing when its load generator was late or its core was busy", () => {
    expect(whyInvalid({ lateMs: spread(5) }, 0.8)).toBe("");
    expect(whyInvalid({ lateMs: spread(5.1) }, 0.1)).toContain("late: p99 5.1 ms");
    expect(whyInvalid({ lateMs: spread(1) }, 0.81)).toContain("saturated: 0.81");
  });

  it("passes a rung below 20 ms and with 98.5 % of its frames", () => {
    const verdict = (overrides: object) => verdictOf(runOf("gateway", 300, overrides)).verdict;
    expect(verdict({ upMs: spread(19.9), framesReceived: 985 })).toBe("pass");
    expect(verdict({ downMs: spread(20) })).toBe("fail");
    expect(verdict({ framesReceived: 984 })).toBe("fail");
    // A harness that limits can only make it harder to pass, and cannot be told from what fails.
    expect(verdict({ invalid: "late" })).toBe("pass");
    expect(verdict({ invalid: "late", downMs: spread(20) })).toBe("undecided");
    expect(verdict({ noisy: true, downMs: spread(20) })).toBe("undecided");
  });
});
