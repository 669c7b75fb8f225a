/**
 * How many frames a connection may send: a bucket that holds a second's worth. When it is empty the socket is read
 * later; the sender is slowed down and loses nothing.
 */
export class FrameRate {
  private tokens: number;
  private filledMs: number;

  constructor(
    private readonly perSecond: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {
    this.tokens = perSecond;
    this.filledMs = nowMs();
  }

  /** Counts a frame; answers how long to wait before the next one is read, in ms: 0 as a rule. */
  count(): number {
    const nowMs = this.nowMs();
    const { perSecond } = this;
    this.tokens = Math.min(perSecond, this.tokens + ((nowMs - this.filledMs) * perSecond) / 1000) - 1;
    this.filledMs = nowMs;
    return this.tokens >= 1 ? 0 : Math.ceil(((1 - this.tokens) * 1000) / perSecond);
  }
}
