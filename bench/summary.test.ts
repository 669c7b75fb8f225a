import { describe, expect, it } from "vitest";
import { barChart } from "./chart.js";
import type { RunResult } from "./run.js";
import { problemsOf, summarize } from "./summary.js";

function run(overrides: Partial<RunResult> = {}): RunResult {
  const spread = { count: 1000, p50: 1, p99: 5, max: 9 };
  return {
    variant: "gateway",
    framesSent: 1000,
    framesReceived: 1000,
    framesLost: 0,
    outOfOrder: 0,
    corrupt: 0,
    upMs: spread,
    downMs: spread,
    lateMs: spread,
    cpuSecondsPerCallMinute: 0.2,
    serverCpuPerCallMinute: 0,
    agentCpuPerCallMinute: 0.1,
    coreShare: 0.3,
    harnessShare: 0.3,
    foreignCores: 0,
    stolenCores: 0,
    loadAverage: 0,
    memory: { startMb: 200, middleMb: 200, endMb: 200, maxMb: 200, growthMb: 0 },
    probe: { loopDelayMs: spread, heapUsedMb: 0, externalMb: 0 },
    invalid: "",
    noisy: false,
    ...overrides,
  };
}

const relay = summarize([run({ variant: "relay" })]);

describe("summary", () => {
  it("is content with what is promised", () => {
    expect(problemsOf(summarize([run()]), relay, false)).toEqual([]);
  });

  it("leaves invalid rounds out of the figures but counts what they lost", () => {
    const late = run({ invalid: "late", cpuSecondsPerCallMinute: 9, framesLost: 2 });
    const summary = summarize([run(), late]);
    expect(summary.cpuSecondsPerCallMinute).toEqual({ median: 0.2, min: 0.2, max: 0.2 });
    expect(summary.validRounds).toBe(1);
    expect(problemsOf(summary, relay, false)).toEqual(["gateway: 2 frames lost"]);
  });

  it("names each broken promise", () => {
    const slow = { count: 1000, p50: 1, p99: 20, max: 30 };
    const memory = { startMb: 200, middleMb: 210, endMb: 230, maxMb: 230, growthMb: 20 };
    const bad = summarize([run({ downMs: slow, memory, corrupt: 1 })]);
    const problems = problemsOf(bad, relay, false).join("\n");
    expect(problems).toContain("1 frames misplaced");
    expect(problems).toContain("p99 down 20.0 ms");
    expect(problems).toContain("memory grew by 20.0 MB");
    expect(problemsOf(summarize([run({ invalid: "late" })]), relay, false)).toEqual([
      "gateway: no valid round",
    ]);
  });

  it("asks of a quick run only that frames come and none is lost", () => {
    expect(problemsOf(summarize([run({ invalid: "late" })]), relay, true)).toEqual([]);
    expect(problemsOf(summarize([run({ framesSent: 0 })]), relay, true)).toEqual([
      "gateway: no frame was sent",
    ]);
  });
});

describe("chart", () => {
  it("draws a bar for each value, its range and the limit", () => {
    const value = { median: 2, min: 1, max: 4 };
    const bars = [{ label: "a < b", value, own: true }];
    const svg = barChart("title", "ms", bars, 1, { at: 8, label: "limit" });
    expect(svg).toContain("a &lt; b");
    expect(svg).toContain(">2.0<");
    expect(svg).toContain('width="90.0"');
    expect(svg).toContain("M235.0 63H370.0");
    expect(svg).toContain("limit");
  });
});
