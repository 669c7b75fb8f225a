import { CallError } from "../call/call-error.js";
import { headerOf } from "./context-rules.js";
import type { CallContext } from "./context-types.js";

interface Watcher {
  readonly tenant: string;
  /** Empty: all. */
  readonly callId: string;
  /** By call id; a newer state replaces an older one that was not read yet. */
  readonly waiting: Map<string, CallContext>;
  wake: () => void;
}

/** Passes written contexts on to watchers. A slow watcher gets the newest state of each call. */
export class ContextWatchers {
  private readonly watchers = new Set<Watcher>();
  private closed = false;

  /** `maxWaiting`: calls with an unread state per watcher at most; beyond it the one that waits longest is dropped. */
  constructor(private readonly maxWaiting: number) {}

  /** A context was written. */
  publish(context: CallContext): void {
    for (const watcher of this.watchers) {
      const { tenant, callId, waiting } = watcher;
      if (tenant !== context.tenant || (callId !== "" && callId !== context.callId)) continue;
      waiting.delete(context.callId);
      waiting.set(context.callId, headerOf(context));
      if (waiting.size > this.maxWaiting) waiting.delete(waiting.keys().next().value as string);
      watcher.wake();
    }
  }

  /** Contexts from now on, without turns, until `signal` aborts. */
  watch(tenant: string, callId: string, signal: AbortSignal): AsyncIterable<CallContext> {
    const watcher: Watcher = { tenant, callId, waiting: new Map(), wake: () => {} };
    const stop = () => {
      this.watchers.delete(watcher);
      watcher.wake();
    };
    if (!signal.aborted) {
      this.watchers.add(watcher);
      signal.addEventListener("abort", stop, { once: true });
    }
    return this.iterate(watcher, signal, stop);
  }

  /** Ends all watchers with GOING_AWAY. */
  close(): void {
    this.closed = true;
    for (const watcher of this.watchers) watcher.wake();
  }

  private async *iterate(watcher: Watcher, signal: AbortSignal, stop: () => void) {
    try {
      while (!signal.aborted) {
        const [next] = watcher.waiting.entries();
        if (next) {
          watcher.waiting.delete(next[0]);
          yield next[1];
          continue;
        }
        if (this.closed) throw new CallError("GOING_AWAY", "the gateway is going away");
        await new Promise<void>((resolve) => {
          watcher.wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }
}
