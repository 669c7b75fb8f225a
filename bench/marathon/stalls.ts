import type { Span } from "../../demo/evidence.js";

/** How often it looks, ms. */
const LOOK_MS = 5;
/** Later than this is a stall, ms: half a frame of the provider. */
const LATE_MS = 10;

/**
 * When this process stood still: the provider plays its frames here, and while it does not run, what callers "hear" is
 * made up for afterwards, without the audio that waits in its sockets. Times: Unix, ms.
 */
export class Stalls {
  readonly spans: Span[] = [];
  private lastMs = performance.now();
  private readonly timer = setInterval(() => this.look(), LOOK_MS);

  stop(): void {
    this.look();
    clearInterval(this.timer);
  }

  private look(): void {
    const nowMs = performance.now();
    if (nowMs - this.lastMs > LOOK_MS + LATE_MS) {
      const { timeOrigin } = performance;
      this.spans.push({ startMs: timeOrigin + this.lastMs, endMs: timeOrigin + nowMs });
    }
    this.lastMs = nowMs;
  }
}
