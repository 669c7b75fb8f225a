const MINUTE_MS = 60_000;
/** Addresses remembered at most; beyond it the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

/** Counts wrong credentials by address, so that nobody can try keys without end. */
export class Refusals {
  private readonly byAddress = new Map<string, { count: number; untilMs: number }>();

  constructor(
    private readonly maxPerMinute: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** How long the address has to wait before it may try again, in ms; 0 as a rule. */
  waitMs(address: string): number {
    const entry = this.byAddress.get(address);
    if (!entry || entry.count < this.maxPerMinute) return 0;
    return Math.max(0, entry.untilMs - this.nowMs());
  }

  /** One more wrong credential. */
  count(address: string): void {
    const nowMs = this.nowMs();
    const entry = this.byAddress.get(address);
    if (entry && entry.untilMs > nowMs) entry.count++;
    else {
      this.byAddress.delete(address);
      this.byAddress.set(address, { count: 1, untilMs: nowMs + MINUTE_MS });
    }
    if (this.byAddress.size <= MAX_ADDRESSES) return;
    for (const oldest of this.byAddress.keys()) {
      this.byAddress.delete(oldest);
      return;
    }
  }
}
