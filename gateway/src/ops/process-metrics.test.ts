import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../util/logger.js";
import { Ops } from "./ops.js";
import { watchGarbageCollector } from "./process-metrics.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as (options?: { type: "minor" }) => void;

function collect(kind: "minor" | "major"): void {
  if (kind === "minor") gc({ type: "minor" });
  else gc();
}

/** Collects until `check` holds: pauses are told a turn of the event loop later. */
async function collecting(kind: "minor" | "major", check: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 200; n++) {
    collect(kind);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (await check()) return;
  }
  throw new Error(`no ${kind} pause was told in 200`);
}

describe("pauses of the garbage collector", () => {
  it("are told by kind and length, until stopped", async () => {
    const pauses: [string, number][] = [];
    const stop = watchGarbageCollector((kind, seconds) => pauses.push([kind, seconds]));
    for (const wanted of ["major", "minor"] as const)
      await collecting(wanted, () => pauses.some(([kind]) => kind === wanted));
    for (const [kind, seconds] of pauses) {
      expect(["major", "minor", "incremental", "weakcb", "other"]).toContain(kind);
      expect(seconds).toBeGreaterThan(0);
      expect(seconds).toBeLessThan(5);
    }
    stop();
    const before = pauses.length;
    collect("major");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(pauses).toHaveLength(before);
  });

  it("are a histogram in /metrics, which tells one longer than a frame of audio apart", async () => {
    const ops = await new Ops({
      config: {
        enabled: true,
        host: "127.0.0.1",
        port: 0,
        maxConnections: 8,
        tenantLabels: false,
        metrics: true,
      },
      version: "0.0.0",
      gatewayId: "g",
      logger: silentLogger,
    }).start();
    try {
      let text = "";
      const value = (series: string) =>
        Number(new RegExp(`^nodejs_gc_duration_seconds_${series} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
      await collecting("major", async () => {
        text = await (await fetch(`http://127.0.0.1:${ops.port}/metrics`)).text();
        return value('count{kind="major"}') > 0;
      });
      expect(value('sum{kind="major"}')).toBeGreaterThan(0);
      const within = ["0.0005", "0.02", "1", "\\+Inf"].map((le) => value(`bucket{le="${le}",kind="major"}`));
      expect(within).toEqual([...within].sort((a, b) => a - b));
      expect(within.at(-1)).toBe(value('count{kind="major"}'));
    } finally {
      await ops.stop();
    }
  });
});
