import type { Logger } from "../util/logger.js";
import type { LoopWindow } from "./event-loop.js";

/** When new calls are left alone because the process is too busy. */
export interface AdmissionOptions {
  /** 99th percentile of the event loop's delay in a window, ms, from which on a window is bad. 0: never. Default 500. */
  readonly shedAboveMs: number;
  /** Below this, ms, a window is good. At most `shedAboveMs`; in between nothing changes. Default 200. */
  readonly resumeBelowMs: number;
  /** So many bad windows in a row close it, so many good ones open it again. Default 3. */
  readonly windows: number;
}

/** Where the delay comes from: LoopWatch, or what a test injects. */
export interface DelaySource {
  onWindow(listener: (window: LoopWindow) => void): () => void;
}

/** What admission knows of new calls, for metrics. */
export interface AdmissionSource {
  /** True while new calls are left alone. */
  readonly shedding: boolean;
  /** Calls that were left alone for it since the start. */
  readonly left: number;
}

/**
 * Whether new calls are taken, by how late the event loop is: a loop that is late makes every call's audio late, so what
 * cannot be served well is not begun. Calls that are up, and those of dead gateways, are not asked about. With hysteresis:
 * one stall changes nothing.
 */
export class Admission implements AdmissionSource {
  private bad = 0;
  private good = 0;
  private closed = false;
  private leftCount = 0;
  private readonly stopListening: () => void;

  constructor(
    source: DelaySource,
    private readonly options: AdmissionOptions,
    private readonly logger: Logger,
  ) {
    this.stopListening = options.shedAboveMs > 0 ? source.onWindow((window) => this.judge(window)) : () => {};
  }

  get shedding(): boolean {
    return this.closed;
  }

  get left(): number {
    return this.leftCount;
  }

  /** Asked for each new call; false: leave it, and it is counted. */
  admit(): boolean {
    if (this.closed) this.leftCount++;
    return !this.closed;
  }

  /** Judges no more. */
  stop(): void {
    this.stopListening();
  }

  private judge({ p99Ms }: LoopWindow): void {
    const { shedAboveMs, resumeBelowMs, windows } = this.options;
    this.bad = p99Ms >= shedAboveMs ? this.bad + 1 : 0;
    this.good = p99Ms < resumeBelowMs ? this.good + 1 : 0;
    if (!this.closed && this.bad >= windows) this.turn(true, p99Ms);
    else if (this.closed && this.good >= windows) this.turn(false, p99Ms);
  }

  private turn(closed: boolean, p99Ms: number): void {
    this.closed = closed;
    const fields = { event_loop_p99_ms: Math.round(p99Ms), calls_left: this.leftCount };
    if (closed) this.logger.warn(fields, "overloaded: new calls are left to the provider");
    else this.logger.info(fields, "no longer overloaded: new calls are taken");
  }
}
