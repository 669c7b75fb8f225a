import type { Clock, Timer } from "../util/clock.js";
import type { After } from "./call-commands.js";
import { CallError } from "./call-error.js";
import type { Marks } from "./marks.js";
import type { Playback, WaitEnd } from "./playback.js";

/** Defaults of waiting for playback. */
export interface AfterOptions {
  /** Default 15,000. */
  readonly defaultDeadlineMs: number;
  /** Added to the length of the queued playback where that is longer. Default 5,000. */
  readonly extraMs: number;
}

/** Defaults of AfterOptions. */
export const AFTER_DEFAULTS: AfterOptions = { defaultDeadlineMs: 15_000, extraMs: 5_000 };

/**
 * Say, then act: waits for the condition of a command. Made at the very moment the command is processed, so that it
 * covers the audio before it and none after.
 */
export class AfterWait {
  /** Resolves when the command may go ahead; rejects with AFTER_DEADLINE or COMMAND_CANCELLED. */
  readonly met: Promise<void>;
  private settle!: { readonly resolve: () => void; readonly reject: (error: CallError) => void };
  private watch: { cancel(): void } | undefined;
  private timer: Timer | undefined;
  private settled = false;

  constructor(
    after: After | undefined,
    defaultOnInterrupt: "CANCEL" | "PROCEED",
    private readonly callId: string,
    playback: Playback,
    marks: Marks,
    clock: Clock,
    options: AfterOptions,
  ) {
    this.met = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.met.catch(() => {});
    const condition = after?.condition ?? "NOW";
    if (condition === "NOW" || !after) {
      this.proceed();
      return;
    }
    const onInterrupt = after.onInterrupt ?? defaultOnInterrupt;
    const ended = (end: WaitEnd) => {
      if (end === "PLAYED" || onInterrupt === "PROCEED") this.proceed();
      else this.cancel("INTERRUPTED");
    };
    this.watch =
      condition === "MARK" ? marks.whenReached(after.mark ?? "", ended) : playback.whenPlayed(true, ended);
    if (this.settled) return;
    const deadlineMs =
      after.deadlineMs ?? Math.max(options.defaultDeadlineMs, playback.remainingMs() + options.extraMs);
    this.timer = clock.after(deadlineMs, () => {
      this.finish(() =>
        this.settle.reject(
          new CallError(
            "AFTER_DEADLINE",
            `${condition} was not reached within ${Math.round(deadlineMs)} ms`,
            {
              call_id: this.callId,
              condition,
              ...(after.mark ? { mark: after.mark } : {}),
            },
          ),
        ),
      );
    });
  }

  /** The condition counts as met. */
  proceed(): void {
    this.finish(() => this.settle.resolve());
  }

  /** The command is cancelled, if it still waits; answers whether it did. */
  cancel(cause: string): boolean {
    if (this.settled) return false;
    this.finish(() => this.settle.reject(cancelled(this.callId, cause)));
    return true;
  }

  private finish(act: () => void): void {
    if (this.settled) return;
    this.settled = true;
    this.timer?.cancel();
    this.watch?.cancel();
    act();
  }
}

/** The error of a cancelled command. Causes: CANCELLED, INTERRUPTED, CALL_ENDED, HOLDER_LOST, DISCONNECT. */
export function cancelled(callId: string, cause: string): CallError {
  return new CallError("COMMAND_CANCELLED", `the command was cancelled: ${cause}`, {
    call_id: callId,
    cause,
  });
}
