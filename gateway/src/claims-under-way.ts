import type { Clock } from "./util/clock.js";

/** A claim that became neither a call nor a refusal in this time no longer counts. */
const FORGOTTEN_MS = 60_000;

/** Sessions that were claimed and are no calls yet: calls that come at once must not go beyond the limit together. */
export class ClaimsUnderWay {
  private readonly sinceMs = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** How many there are. */
  get size(): number {
    const oldestMs = this.clock.nowMs() - FORGOTTEN_MS;
    for (const [key, sinceMs] of this.sinceMs) {
      if (sinceMs > oldestMs) break;
      this.sinceMs.delete(key);
    }
    return this.sinceMs.size;
  }

  /** Whether this session is one of them. */
  has(connector: string, sessionId: string): boolean {
    return this.sinceMs.has(keyOf(connector, sessionId));
  }

  /** It is claimed now. */
  begin(connector: string, sessionId: string): void {
    const key = keyOf(connector, sessionId);
    this.sinceMs.delete(key);
    this.sinceMs.set(key, this.clock.nowMs());
  }

  /** It is a call, or somebody else's. */
  end(connector: string, sessionId: string): void {
    this.sinceMs.delete(keyOf(connector, sessionId));
  }
}

function keyOf(connector: string, sessionId: string): string {
  return `${connector}\n${sessionId}`;
}
