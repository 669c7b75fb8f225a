import type { AuditEvent } from "./audit-sink.js";

const WINDOW_MS = 60_000;
const LIMITED = ["AUTHENTICATION_REFUSED", "PERMISSION_DENIED"] as const;

/**
 * Keeps somebody who is refused again and again from filling the log: so many refusals of a kind get an entry each in a
 * minute, the others one entry at its end that counts them.
 */
export class RefusalLimit {
  private readonly windows = new Map<string, { taken: number; readonly over: Map<string, number> }>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly perMinute: number,
    private readonly tell: (event: AuditEvent) => void,
  ) {}

  /** False: it is counted instead. */
  takes({ kind, tenant }: AuditEvent): boolean {
    if (!(LIMITED as readonly string[]).includes(kind)) return true;
    this.timer ??= setTimeout(() => this.turn(), WINDOW_MS).unref();
    const window = this.windows.get(kind) ?? { taken: 0, over: new Map<string, number>() };
    this.windows.set(kind, window);
    if (window.taken < this.perMinute) {
      window.taken++;
      return true;
    }
    window.over.set(tenant, (window.over.get(tenant) ?? 0) + 1);
    return false;
  }

  /** Tells what was counted. */
  stop(): void {
    this.turn();
  }

  private turn(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const kind of LIMITED) {
      for (const [tenant, count] of this.windows.get(kind)?.over ?? [])
        this.tell({ tenant, kind, actor: "several", operation: "", details: { count: String(count) } });
    }
    this.windows.clear();
  }
}
