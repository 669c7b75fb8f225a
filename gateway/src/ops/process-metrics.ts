import { readdirSync } from "node:fs";
import { constants, PerformanceObserver } from "node:perf_hooks";

/** What the process takes of its machine, now. */
export interface ProcessFigures {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  readonly cpuSeconds: number;
  /** Undefined where the system does not say. */
  readonly openFiles: number | undefined;
  readonly startTimeSeconds: number;
  /** Handles, requests and timers that keep the event loop alive, by kind. */
  readonly activeResources: ReadonlyMap<string, number>;
}

const startTimeSeconds = performance.timeOrigin / 1000;

/** Reads the figures; takes well below a millisecond. */
export function processFigures(): ProcessFigures {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: rss,
    heapUsedBytes: heapUsed,
    externalBytes: external,
    cpuSeconds: (user + system) / 1e6,
    openFiles: openFiles(),
    startTimeSeconds,
    activeResources: activeResources(),
  };
}

function activeResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function openFiles(): number | undefined {
  try {
    // The listing itself is open while it is read.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

const KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
};

/** Tells every pause of the garbage collector (seconds) until stopped. */
export function watchGarbageCollector(onPause: (kind: string, seconds: number) => void): () => void {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as { detail?: { kind?: number } }).detail ?? {};
      onPause(KINDS[kind ?? -1] ?? "other", entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return () => observer.disconnect();
}
