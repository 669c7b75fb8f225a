import type { Clock } from "../util/clock.js";
import { spoolKey } from "./context-spool.js";
import type { CallContext } from "./context-types.js";

/** Bounds of what is remembered. */
export interface RecentOptions {
  /** Contexts at most. */
  readonly maxCount: number;
  /** Bytes at most, estimated. */
  readonly maxBytes: number;
  /** How long after it was last read or written, in ms. */
  readonly maxAgeMs: number;
}

interface Remembered {
  readonly context: CallContext;
  readonly bytes: number;
  readonly atMs: number;
}

/** Contexts that were read or written lately, for the time in which the database is away. The longest unused go first. */
export class RecentContexts {
  private readonly kept = new Map<string, Remembered>();
  private bytes = 0;

  constructor(
    private readonly options: RecentOptions,
    private readonly clock: Clock,
  ) {}

  get size(): number {
    return this.kept.size;
  }

  keep(context: CallContext): void {
    this.forget(context.tenant, context.callId);
    const bytes = sizeOf(context);
    if (bytes > this.options.maxBytes) return;
    this.kept.set(spoolKey(context.tenant, context.callId), { context, bytes, atMs: this.clock.nowMs() });
    this.bytes += bytes;
    while (this.kept.size > this.options.maxCount || this.bytes > this.options.maxBytes) {
      const [oldest] = this.kept.values();
      if (!oldest) return;
      this.forget(oldest.context.tenant, oldest.context.callId);
    }
  }

  get(tenant: string, callId: string): CallContext | undefined {
    const found = this.kept.get(spoolKey(tenant, callId));
    return found && this.isFresh(found) ? found.context : undefined;
  }

  /** All of a tenant. */
  *of(tenant: string): Iterable<CallContext> {
    for (const found of this.kept.values())
      if (found.context.tenant === tenant && this.isFresh(found)) yield found.context;
  }

  forget(tenant: string, callId: string): void {
    const key = spoolKey(tenant, callId);
    const found = this.kept.get(key);
    if (!found) return;
    this.kept.delete(key);
    this.bytes -= found.bytes;
  }

  private isFresh(found: Remembered): boolean {
    return this.clock.nowMs() - found.atMs <= this.options.maxAgeMs;
  }
}

/** About what it takes in memory. */
function sizeOf(context: CallContext): number {
  let units = context.summary.length + context.outcome.length + JSON.stringify(context.data).length;
  for (const turn of context.turns) units += turn.text.length + turn.heard.length + 100;
  for (const note of context.notes) units += note.text.length + 50;
  for (const conflict of context.conflicts ?? []) units += conflict.value.length + 50;
  return 1000 + 2 * units;
}
