import { type EventLoopUtilization, type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How busy the process was in one window. All delays in ms, beyond what the timer itself takes. */
export interface LoopWindow {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Share of the time that the event loop worked, 0 to 1. */
  readonly utilization: number;
}

/** Options of LoopWatch. */
export interface LoopWatchOptions {
  /** Length of a window, ms. Default 5,000. */
  readonly windowMs?: number;
  /** How often the delay is measured, ms. Default 10. */
  readonly resolutionMs?: number;
}

const QUIET: LoopWindow = { p50Ms: 0, p99Ms: 0, maxMs: 0, utilization: 0 };

/**
 * Watches how late the event loop is, window by window, for metrics and for shedding load. A loop that stands still
 * closes no window: `delay` then is that of the window before, and the stall shows in the next.
 */
export class LoopWatch {
  private readonly histogram: IntervalHistogram;
  private readonly resolutionMs: number;
  private readonly timer: NodeJS.Timeout;
  private utilization: EventLoopUtilization;
  private last: LoopWindow = QUIET;
  private readonly listeners = new Set<(window: LoopWindow) => void>();

  constructor(options: LoopWatchOptions = {}) {
    this.resolutionMs = options.resolutionMs ?? 10;
    this.histogram = monitorEventLoopDelay({ resolution: this.resolutionMs });
    this.histogram.enable();
    this.utilization = performance.eventLoopUtilization();
    this.timer = setInterval(() => this.turn(), options.windowMs ?? 5_000);
    this.timer.unref();
  }

  /** The last complete window; all 0 before the first. */
  get delay(): LoopWindow {
    return this.last;
  }

  /** Told after each window; answers how to stop. */
  onWindow(listener: (window: LoopWindow) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Ends the measuring. */
  stop(): void {
    clearInterval(this.timer);
    this.histogram.disable();
    this.listeners.clear();
  }

  private turn(): void {
    const { histogram } = this;
    const now = performance.eventLoopUtilization();
    // What the histogram holds is the time between two looks, which are `resolutionMs` apart when nothing is late.
    const late = (ns: number) => Math.max(0, ns / 1e6 - this.resolutionMs);
    this.last = {
      p50Ms: late(histogram.percentile(50)),
      p99Ms: late(histogram.percentile(99)),
      maxMs: histogram.count > 0 ? late(histogram.max) : 0,
      utilization: performance.eventLoopUtilization(now, this.utilization).utilization,
    };
    this.utilization = now;
    histogram.reset();
    for (const listener of this.listeners) listener(this.last);
  }
}
