import type { Clock, Timer } from "../util/clock.js";

/**
 * Decides when a call whose media connection is gone is over: the provider closed its session, no longer knows it, or
 * gave no sign for `giveUpMs`. A closed session with media up ends nothing.
 */
export class MediaWatch {
  private lost = false;
  private sessionClosed = false;
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    /** Default 10,000. */
    private readonly giveUpMs: number,
    private readonly isAlive: () => Promise<boolean | undefined>,
    private readonly over: (why: "MEDIA_LOST" | "SESSION_CLOSED") => void,
  ) {}

  /** The media connection is gone; false when that is no news. */
  mediaLost(): boolean {
    if (this.lost) return false;
    this.lost = true;
    if (this.sessionClosed) {
      this.over("SESSION_CLOSED");
      return true;
    }
    this.timer = this.clock.after(this.giveUpMs, () => this.over("MEDIA_LOST"));
    this.isAlive().then(
      (alive) => {
        if (alive === false && this.lost) this.over("MEDIA_LOST");
      },
      () => {},
    );
    return true;
  }

  /** It is back; false when it was not lost. */
  mediaRestored(): boolean {
    if (!this.lost) return false;
    this.lost = false;
    this.timer?.cancel();
    return true;
  }

  /** The provider closed the session. */
  closed(): void {
    this.sessionClosed = true;
    if (this.lost) this.over("SESSION_CLOSED");
  }

  /** No more decisions. */
  stop(): void {
    this.lost = false;
    this.timer?.cancel();
  }
}
