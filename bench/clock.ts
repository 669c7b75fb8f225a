// performance.now() is cheaper than hrtime and runs at the same pace, from another origin. The first reads are slow, so the
// origin is taken from the closest of many pairs.
let offsetMs = Number.NEGATIVE_INFINITY;
for (let i = 0; i < 2000; i++) {
  offsetMs = Math.max(offsetMs, Number(process.hrtime.bigint()) / 1e6 - performance.now());
}

/** Milliseconds of the machine's monotonic clock: the same in every process, so that stamps can be compared. */
export function machineMs(): number {
  return performance.now() + offsetMs;
}

/** Resolves after this many milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until `check` gives something truthy, looking every 5 ms; fails with `what` after `timeoutMs`. */
export async function until<T>(
  check: () => T | undefined | false | null,
  what: string,
  timeoutMs: number,
): Promise<T> {
  const endMs = machineMs() + timeoutMs;
  for (;;) {
    const value = check();
    if (value) return value;
    if (machineMs() > endMs) throw new Error(`timed out after ${timeoutMs} ms waiting for: ${what}`);
    await sleep(5);
  }
}
