import type { StoredEvent } from "../call/call-events.js";
import type { Place } from "./hook-state.js";
import type { WebhookOptions } from "./options.js";

/** Why an event has to be tried again. */
export interface Retry {
  /** Nobody answered: it is tried at once when another delivery came through. */
  readonly unreachable: boolean;
  /** The receiver asked to wait this long, ms. */
  readonly retryAfterMs?: number;
}

interface Lane {
  readonly callId: string;
  readonly queue: StoredEvent[];
  state: "ready" | "running" | "waiting";
  attempts: number;
  timer: NodeJS.Timeout | undefined;
  unreachable: boolean;
}

type Limits = Pick<WebhookOptions, "maxConcurrent" | "maxWaiting" | "firstRetryMs" | "maxRetryMs">;

/** Events on their way, in order within each call, of many calls side by side. */
export class Lanes {
  private readonly lanes = new Map<string, Lane>();
  /** In the order they were read. */
  private readonly pending = new Set<StoredEvent>();
  private readonly ready: Lane[] = [];
  private readonly running = new Set<Promise<void>>();
  private wake: () => void = () => {};
  private stopped = false;

  /** `attempt` resolves with undefined when the event is done with, never rejects; attempts count from 1. */
  constructor(
    private readonly limits: Limits,
    private readonly attempt: (event: StoredEvent, attempts: number) => Promise<Retry | undefined>,
    private readonly random: () => number = Math.random,
  ) {}

  /** Events that are not done with. */
  get size(): number {
    return this.pending.size;
  }

  /** The one that was read first. */
  get oldest(): StoredEvent | undefined {
    const [first] = this.pending;
    return first;
  }

  places(): Place[] {
    return [...this.pending].map(({ callId, sequence }) => ({ callId, sequence }));
  }

  add(event: StoredEvent): void {
    const { callId } = event;
    this.pending.add(event);
    const lane = this.lanes.get(callId);
    if (lane) {
      lane.queue.push(event);
      return;
    }
    const fresh: Lane = {
      callId,
      queue: [event],
      state: "ready",
      attempts: 0,
      timer: undefined,
      unreachable: false,
    };
    this.lanes.set(callId, fresh);
    this.makeReady(fresh);
  }

  /** Resolves when one more may be added, or `signal` aborts. */
  async room(signal: AbortSignal): Promise<void> {
    if (this.size < this.limits.maxWaiting || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        this.wake = () => {};
        resolve();
      };
      this.wake = done;
      signal.addEventListener("abort", done);
    });
  }

  /** No new attempts; waits for those under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const { timer } of this.lanes.values()) clearTimeout(timer);
    await Promise.all(this.running);
  }

  private makeReady(lane: Lane): void {
    lane.state = "ready";
    lane.timer = undefined;
    this.ready.push(lane);
    this.pump();
  }

  private pump(): void {
    while (!this.stopped && this.running.size < this.limits.maxConcurrent) {
      const lane = this.ready.shift();
      if (!lane) return;
      lane.state = "running";
      const run = this.run(lane).finally(() => {
        this.running.delete(run);
        this.pump();
      });
      this.running.add(run);
    }
  }

  private async run(lane: Lane): Promise<void> {
    const [event] = lane.queue as [StoredEvent];
    lane.attempts++;
    const retry = await this.attempt(event, lane.attempts);
    if (this.stopped && retry) return;
    if (retry) {
      this.wait(lane, retry);
      return;
    }
    lane.queue.shift();
    lane.attempts = 0;
    this.pending.delete(event);
    this.wake();
    if (lane.queue.length === 0) this.lanes.delete(lane.callId);
    else this.makeReady(lane);
    this.reached();
  }

  private wait(lane: Lane, { unreachable, retryAfterMs = 0 }: Retry): void {
    const { firstRetryMs, maxRetryMs } = this.limits;
    const full = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(30, lane.attempts - 1));
    const delayMs = Math.min(maxRetryMs, Math.max(retryAfterMs, full * (0.5 + this.random() / 2)));
    lane.state = "waiting";
    lane.unreachable = unreachable;
    lane.timer = setTimeout(() => this.makeReady(lane), delayMs);
    lane.timer.unref();
  }

  /** The receiver is there: what waits because it was not goes at once. */
  private reached(): void {
    for (const lane of this.lanes.values()) {
      if (lane.state !== "waiting" || !lane.unreachable) continue;
      clearTimeout(lane.timer);
      this.makeReady(lane);
    }
  }
}
