import type { CallEvent } from "@callweave/proto/messages";
import type { DeskApi } from "../wire/api.js";
import type { Connection } from "../wire/connection.js";
import { Batched } from "./batched.js";
import { applyEvent, type CallEntry, entryOf, isOver, isWaiting } from "./call-entry.js";

/** Ended calls that are kept in the list, newest first. */
const MAX_ENDED = 200;
const RETRY_MS = 1_000;

/** What happened to a call, with the call before and after it. */
export type CallNews = (event: CallEvent, after: CallEntry, before: CallEntry | undefined) => void;

/** All calls of the tenant: listed once, then followed by events from the cursor of the list, also over reconnects. */
export class Calls {
  readonly batch = new Batched();
  private readonly entries = new Map<string, CallEntry>();
  private readonly listeners: CallNews[] = [];
  private cursor = "";
  /** Events up to here were there before the page: nobody is to be alarmed by them. */
  private live = false;

  constructor(
    private readonly connection: Connection,
    private readonly api: DeskApi,
  ) {
    connection.onLive(() => void this.follow());
  }

  /** Told of everything that happens from now on. */
  onNews(listener: CallNews): void {
    this.listeners.push(listener);
  }

  /** One call; undefined when it is not known. Subscribes. */
  get(callId: string): CallEntry | undefined {
    void this.batch.version;
    return this.entries.get(callId);
  }

  /** Without subscribing. */
  peek(callId: string): CallEntry | undefined {
    return this.entries.get(callId);
  }

  /** Calls that wait for somebody, longest first. Subscribes. */
  waiting(): CallEntry[] {
    return this.select(isWaiting).sort((a, b) => (a.waitingSinceMs ?? 0) - (b.waitingSinceMs ?? 0));
  }

  /** Calls where somebody is, newest first. Subscribes. */
  talking(): CallEntry[] {
    return this.select((entry) => !isOver(entry) && !isWaiting(entry)).sort(newestFirst);
  }

  /** Calls that are over, newest first. Subscribes. */
  ended(): CallEntry[] {
    return this.select(isOver).sort(newestFirst).slice(0, MAX_ENDED);
  }

  /** A call as it was answered by a command: newer than what events said so far. */
  put(entry: CallEntry): void {
    this.entries.set(entry.call.callId, entry);
    this.batch.changed();
  }

  private select(wanted: (entry: CallEntry) => boolean): CallEntry[] {
    void this.batch.version;
    return [...this.entries.values()].filter(wanted);
  }

  /** Lists when there is no cursor yet, then watches until the connection breaks. */
  private async follow(): Promise<void> {
    try {
      if (this.cursor === "") await this.list();
    } catch {
      this.again();
      return;
    }
    this.api.watchCalls(
      { cursor: this.cursor },
      {
        message: ({ item }) => {
          if (item?.$case === "event") this.event(item.value);
          else if (item?.$case === "live") {
            this.live = true;
            if (item.value.cursor !== "") this.cursor = item.value.cursor;
          }
        },
        end: (error) => {
          // Too long away: what happened meanwhile is in the list.
          if (error?.reason === "CURSOR_EXPIRED") this.cursor = "";
          if (error?.reason !== "LOST") this.again();
        },
      },
    );
  }

  private again(): void {
    setTimeout(() => {
      if (this.connection.status.value === "live") void this.follow();
    }, RETRY_MS);
  }

  private async list(): Promise<void> {
    const seen = new Set<string>();
    let cursor = "";
    let pageToken = "";
    do {
      const page = await this.api.listCalls(pageToken);
      cursor ||= page.cursor;
      pageToken = page.nextPageToken;
      for (const call of page.calls) {
        seen.add(call.callId);
        this.entries.set(call.callId, entryOf(call, this.entries.get(call.callId)));
      }
    } while (pageToken !== "");
    for (const [id, entry] of this.entries) if (!seen.has(id) && !isOver(entry)) this.entries.delete(id);
    this.cursor = cursor;
    this.batch.changed();
  }

  private event(event: CallEvent): void {
    if (event.cursor !== "") this.cursor = event.cursor;
    const before = this.entries.get(event.callId);
    const after = applyEvent(before, event);
    if (!after || after === before) return;
    this.entries.set(event.callId, after);
    this.forgetOld();
    this.batch.changed();
    if (this.live) for (const listener of this.listeners) listener(event, after, before);
  }

  private forgetOld(): void {
    if (this.entries.size < 2 * MAX_ENDED) return;
    let ended = 0;
    for (const [id, entry] of [...this.entries].reverse()) {
      if (isOver(entry) && ++ended > MAX_ENDED) this.entries.delete(id);
    }
  }
}

function newestFirst(a: CallEntry, b: CallEntry): number {
  return (b.call.createTime?.seconds ?? 0) - (a.call.createTime?.seconds ?? 0);
}
