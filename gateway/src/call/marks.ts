import { CallError } from "./call-error.js";
import type { Playback, WaitEnd } from "./playback.js";

/** The marks of a call: by name, reached or waiting, for the seat holder and for commands with `after: MARK`. */
export class Marks {
  private readonly waiting = new Map<string, number>();
  private readonly reached = new Map<string, WaitEnd>();
  private readonly watchers = new Set<{ readonly name: string; readonly done: (end: WaitEnd) => void }>();

  /** @param maxRemembered Names of reached marks that are remembered. Default 1,000, the oldest is forgotten. */
  constructor(
    private readonly playback: Playback,
    private readonly maxRemembered = 1_000,
  ) {}

  /** Sets a mark behind all audio accepted so far. Throws LIMIT_REACHED. */
  set(name: string, told: (end: WaitEnd) => void): void {
    this.waiting.set(name, (this.waiting.get(name) ?? 0) + 1);
    this.reached.delete(name);
    try {
      this.playback.whenPlayed(false, (end) => {
        this.forget(name);
        this.remember(name, end);
        told(end);
        for (const watcher of [...this.watchers]) {
          if (watcher.name !== name) continue;
          this.watchers.delete(watcher);
          watcher.done(end);
        }
      });
    } catch (error) {
      this.forget(name);
      throw CallError.from(error);
    }
  }

  /** Calls `done` when the mark is reached: at once if it was, later if it waits or is yet to be set. */
  whenReached(name: string, done: (end: WaitEnd) => void): { cancel(): void } {
    const end = this.reached.get(name);
    if (end && !this.waiting.has(name)) {
      // It counts once: the next command with this name waits for a mark of its own.
      this.reached.delete(name);
      done(end);
      return { cancel: () => {} };
    }
    const watcher = { name, done };
    this.watchers.add(watcher);
    return { cancel: () => this.watchers.delete(watcher) };
  }

  /** Another agent speaks now: what an earlier one reached counts no longer. */
  newSpeaker(): void {
    this.reached.clear();
  }

  /** The call is over. */
  close(): void {
    this.watchers.clear();
    this.reached.clear();
  }

  private forget(name: string): void {
    const left = (this.waiting.get(name) ?? 1) - 1;
    if (left > 0) this.waiting.set(name, left);
    else this.waiting.delete(name);
  }

  private remember(name: string, end: WaitEnd): void {
    this.reached.delete(name);
    this.reached.set(name, end);
    if (this.reached.size > this.maxRemembered) {
      const oldest = this.reached.keys().next().value;
      if (oldest !== undefined) this.reached.delete(oldest);
    }
  }
}
