import { describe, expect, it } from "vitest";
import { summarizeCell } from "./cell-summary.js";
import { chartsOf } from "./charts.js";
import { type Results, targetsOf, targetsTable } from "./targets.js";
import { outcomeOf, resultOf as result, runOf } from "./testing.js";

const one = (median: number) => ({ median, min: median, max: median });
const cell = (calls: number, cpuSecondsPerCallMinute: number) =>
  summarizeCell([outcomeOf(runOf("gateway", calls, { cpuSecondsPerCallMinute }))], "gateway", calls);
const nothing: Results = { cpu: undefined, capacity: undefined, latency: undefined, singles: [] };
const verdicts = (results: Partial<Results>) =>
  Object.fromEntries(targetsOf({ ...nothing, ...results }).map((row) => [row.target, row.verdict]));

describe("targets", () => {
  it("are not measured where nothing was kept", () => {
    expect(new Set(Object.values(verdicts({})))).toEqual(new Set(["not measured"]));
    expect(targetsTable(targetsOf(nothing))).not.toMatch(/NaN|undefined/);
  });

  it("are met at their edge and missed beyond it", () => {
    const cpu = result("cpu", {
      ratios: { "gateway/relay@200": one(1.4), "gateway/relay@300": one(1.41) },
      cells: [cell(50, 0.2), cell(300, 0.2)],
    });
    expect(verdicts({ cpu })).toMatchObject({
      "CPU per call-minute at 200 calls, four streams, over the relay's": "met",
      "CPU per call-minute at 300 calls, four streams, over the relay's": "missed",
      "CPU per call-minute at 300 calls, over that at 50": "met",
    });
    const capacity = result("capacity", {
      ratios: { "gateway/relay": one(1), "gateway/sdk": one(1.9), "gateway-1/relay": one(0.6) },
    });
    expect(verdicts({ capacity })).toMatchObject({
      "calls on one core, four streams, over the relay's": "stretch",
      "calls on one core, four streams, over the vendor SDK's": "missed",
      "calls on one core, one stream, over the relay's": "met",
    });
  });

  it("take the worse way of a delay, and not that of another variant", () => {
    const latency = result("latency", {
      ratios: {
        "gateway p99 up@150": one(1.5),
        "gateway p99 down@150": one(4),
        "gateway-1 p99 up@150": one(90),
        "relay p99 up@150": one(90),
      },
    });
    const row = targetsOf({ ...nothing, latency }).find(({ target }) => target.includes("p99"));
    expect(row).toMatchObject({ reached: "4.00 ms", value: 4, verdict: "met", required: "≤ 5.00 ms" });
  });

  it("have those of single figures among them", () => {
    const targets = [{ name: "offer to assigned, p99, ms", atMost: 10, reached: 12 }];
    const single = { name: "offer", title: "", ok: false, tables: [], problems: [], targets } as const;
    expect(verdicts({ singles: [single] })).toMatchObject({ "offer to assigned, p99, ms": "missed" });
  });
});

describe("charts", () => {
  it("are one for each load, with a bar for each variant that was measured", () => {
    const sdk = summarizeCell([], "sdk", 50);
    const charts = chartsOf(result("cpu", { cells: [cell(50, 0.2), sdk, cell(300, 0.1)] }));
    expect(Object.keys(charts)).toEqual(["bench-cpu-50.svg", "bench-cpu-300.svg"]);
    expect(charts["bench-cpu-50.svg"]).toContain("Callweave, four streams");
    expect(charts["bench-cpu-50.svg"]).not.toMatch(/NaN|SDK/);
  });
});
