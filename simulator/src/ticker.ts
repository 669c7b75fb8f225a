import type { SimClock, SimTimer } from "./clock.js";

/** Something that does one frame's work on each tick. */
export interface Ticking {
  /** `frameIndex` counts frames since the ticker started; it may jump after a stall of the process. */
  tick(frameIndex: number): void;
}

/** Options of {@link FrameTicker}. */
export interface FrameTickerOptions {
  /** Length of a frame in ms. Default 20. */
  readonly frameMs?: number;
  /**
   * The members are spread over this many evenly spaced moments inside each frame, so that a hundred calls
   * do not all send in the same millisecond. Default 4, at least 1.
   */
  readonly phases?: number;
  /** After a stall at most this many frames are made up for; the rest is skipped. Default 50 (1 s). */
  readonly maxCatchUpFrames?: number;
}

/** One timer for all calls: real-time frames without drift, because due times are computed from the start. */
export class FrameTicker {
  readonly frameMs: number;
  readonly #clock: SimClock;
  readonly #phases: Set<Ticking>[];
  readonly #maxCatchUpSlots: number;
  #startMs = 0;
  #slotsDone = 0;
  #timer: SimTimer | undefined;
  #members = 0;
  /** Frames skipped because the process stalled for longer than the catch-up limit. */
  skippedFrames = 0;

  constructor(clock: SimClock, options: FrameTickerOptions = {}) {
    this.#clock = clock;
    this.frameMs = options.frameMs ?? 20;
    const phases = Math.max(1, Math.floor(options.phases ?? 4));
    this.#phases = Array.from({ length: phases }, () => new Set<Ticking>());
    this.#maxCatchUpSlots = (options.maxCatchUpFrames ?? 50) * phases;
  }

  /** Index of the frame that runs now (or ran last). */
  get frameIndex(): number {
    return Math.floor(this.#slotsDone / this.#phases.length);
  }

  /** Adds a member to the least busy phase; starts the timer with the first one. */
  add(member: Ticking): void {
    let smallest = this.#phases[0] as Set<Ticking>;
    for (const phase of this.#phases) if (phase.size < smallest.size) smallest = phase;
    smallest.add(member);
    this.#members += 1;
    if (this.#timer === undefined) {
      // Frame indexes go on counting over a pause, so that the time axis of a recording never runs back.
      this.#startMs = this.#clock.now() - this.#slotsDone * this.#slotMs;
      this.#arm();
    }
  }

  /** Removes a member; stops the timer with the last one. */
  remove(member: Ticking): void {
    for (const phase of this.#phases) {
      if (phase.delete(member)) this.#members -= 1;
    }
    if (this.#members === 0) this.stop();
  }

  /** Stops the timer; members stay and a later `add` starts it again. */
  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #slotMs(): number {
    return this.frameMs / this.#phases.length;
  }

  #arm(): void {
    const dueMs = this.#startMs + (this.#slotsDone + 1) * this.#slotMs;
    this.#timer = this.#clock.setTimeout(() => this.#run(), dueMs - this.#clock.now());
  }

  #run(): void {
    // A timer may fire a fraction early; half a millisecond counts as due.
    const due = Math.floor((this.#clock.now() - this.#startMs + 0.5) / this.#slotMs);
    if (due - this.#slotsDone > this.#maxCatchUpSlots) {
      const target = due - this.#maxCatchUpSlots;
      this.skippedFrames += Math.floor((target - this.#slotsDone) / this.#phases.length);
      this.#slotsDone = target;
    }
    while (this.#slotsDone < due) {
      const phase = this.#phases[this.#slotsDone % this.#phases.length] as Set<Ticking>;
      const frameIndex = this.frameIndex;
      for (const member of phase) member.tick(frameIndex);
      this.#slotsDone += 1;
    }
    if (this.#members > 0) this.#arm();
    else this.#timer = undefined;
  }
}
