import { type CallContext, ContextStatus } from "@callweave/proto/messages";
import { type Signal, signal } from "@preact/signals";
import type { DeskApi } from "../wire/api.js";
import type { Connection } from "../wire/connection.js";
import { WireError } from "../wire/connection.js";
import { Batched } from "./batched.js";
import { toMs } from "./time.js";

/** Contexts read at the start, newest first. */
const MAX_RECENT = 1_000;
/** Missed calls read at the start. */
const MAX_MISSED = 500;
/** Contexts kept in the page. */
const MAX_KEPT = 5_000;
/** How often a whole context is read again while it grows, at most, ms. */
const REREAD_MS = 250;

/** A context that is looked at: with all its turns, read again as it grows. */
export interface OpenContext {
  readonly context: Signal<CallContext | undefined>;
  /** Why it cannot be read: "CONTEXT_NOT_FOUND", "CONTEXT_STORE_AWAY" … */
  readonly problem: Signal<string>;
  close(): void;
}

interface Opened extends Omit<OpenContext, "close"> {
  users: number;
  reading: boolean;
  stale: boolean;
}

/** Contexts of the tenant without their turns, and whole ones for the calls that are looked at. */
export class Contexts {
  readonly batch = new Batched();
  private readonly heads = new Map<string, CallContext>();
  private readonly opened = new Map<string, Opened>();

  constructor(
    private readonly connection: Connection,
    private readonly api: DeskApi,
  ) {
    connection.onLive(() => this.follow());
  }

  /** The context of a call without its turns. Subscribes. */
  head(callId: string): CallContext | undefined {
    void this.batch.version;
    return this.heads.get(callId);
  }

  /** Without subscribing. */
  peek(callId: string): CallContext | undefined {
    return this.heads.get(callId);
  }

  /** Callers that nobody has called back yet, oldest first. Subscribes. */
  missed(): CallContext[] {
    void this.batch.version;
    return [...this.heads.values()].filter(isMissed).sort((a, b) => toMs(a.updateTime) - toMs(b.updateTime));
  }

  /** All that are known, newest first. Subscribes. */
  all(): CallContext[] {
    void this.batch.version;
    return [...this.heads.values()].sort((a, b) => toMs(b.createTime) - toMs(a.createTime));
  }

  /** Looks at a context until `close`. */
  open(callId: string): OpenContext {
    let one = this.opened.get(callId);
    if (!one) {
      one = { context: signal(undefined), problem: signal(""), users: 0, reading: false, stale: false };
      this.opened.set(callId, one);
    }
    one.users++;
    void this.read(callId);
    let closed = false;
    return {
      context: one.context,
      problem: one.problem,
      close: () => {
        if (closed) return;
        closed = true;
        const known = this.opened.get(callId);
        if (known && --known.users === 0) this.opened.delete(callId);
      },
    };
  }

  /** A context as a write answered it. */
  put(context: CallContext): void {
    const known = this.heads.get(context.callId);
    if (!known || newer(context, known)) {
      this.heads.set(context.callId, { ...context, turns: [] });
      this.batch.changed();
    }
    void this.read(context.callId);
  }

  private follow(): void {
    // First the watch, then the lists: what is written between the two comes twice rather than never.
    this.api.watchContexts({
      message: ({ context }) => context && this.put(context),
      end: (error) => {
        if (error?.reason === "LOST") return;
        setTimeout(() => this.connection.status.value === "live" && this.follow(), 1_000);
      },
    });
    void this.list([], MAX_RECENT);
    void this.list([ContextStatus.CALLBACK_WANTED, ContextStatus.ABANDONED], MAX_MISSED);
    for (const callId of this.opened.keys()) void this.read(callId);
  }

  private async list(statuses: ContextStatus[], max: number): Promise<void> {
    try {
      const { contexts } = await this.api.listContexts(statuses, max);
      for (const context of contexts) {
        const known = this.heads.get(context.callId);
        if (!known || newer(context, known)) this.heads.set(context.callId, context);
      }
      if (this.heads.size > MAX_KEPT) this.forgetOld();
      this.batch.changed();
    } catch (error) {
      if (error instanceof WireError && error.reason === "LOST") return;
      setTimeout(() => this.connection.status.value === "live" && void this.list(statuses, max), 2_000);
    }
  }

  private forgetOld(): void {
    const old = [...this.heads.values()].filter((one) => !isMissed(one));
    old.sort((a, b) => toMs(a.updateTime) - toMs(b.updateTime));
    for (const { callId } of old.slice(0, this.heads.size - MAX_KEPT)) this.heads.delete(callId);
  }

  /** Reads a whole context; one reading at a time, and again when it changed meanwhile. */
  private async read(callId: string): Promise<void> {
    const one = this.opened.get(callId);
    if (!one) return;
    if (one.reading) {
      one.stale = true;
      return;
    }
    one.reading = true;
    one.stale = false;
    try {
      const { context } = await this.api.getContext(callId);
      one.context.value = context;
      one.problem.value = "";
    } catch (error) {
      const reason = error instanceof WireError ? error.reason : "INTERNAL";
      if (reason !== "LOST") one.problem.value = reason;
    }
    setTimeout(() => {
      one.reading = false;
      if (one.stale) void this.read(callId);
    }, REREAD_MS);
  }
}

/** Nobody was there for this caller, and nobody has called back. */
export function isMissed({ status, outcome }: CallContext): boolean {
  return (status === ContextStatus.CALLBACK_WANTED || status === ContextStatus.ABANDONED) && outcome === "";
}

function newer(a: CallContext, b: CallContext): boolean {
  return a.revision > b.revision || (a.revision === b.revision && toMs(a.updateTime) >= toMs(b.updateTime));
}
