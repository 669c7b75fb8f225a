/** Waits between attempts that grow, with jitter: half to full of 50 ms, 100 ms … up to the maximum. */
export class Backoff {
  private attempt = 0;

  constructor(
    /** Milliseconds. */
    private readonly minMs = 50,
    /** Milliseconds. */
    private readonly maxMs = 2_000,
    private readonly random: () => number = Math.random,
  ) {}

  /** The next wait, in milliseconds. */
  next(): number {
    const full = Math.min(this.maxMs, this.minMs * 2 ** Math.min(this.attempt++, 20));
    return full * (0.5 + this.random() / 2);
  }

  /** It worked: the next wait is the shortest again. */
  reset(): void {
    this.attempt = 0;
  }
}

/** Waits; ends early, without an error, at the signal. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}
