import type { CallEvent } from "@callweave/proto/messages";
import { type Signal, signal } from "@preact/signals";
import type { DeskApi } from "../wire/api.js";
import type { Connection } from "../wire/connection.js";
import { applyEvent, type CallEntry } from "./call-entry.js";

/** Events kept of one call; older ones are left out, and the page says so. */
const MAX_EVENTS = 5_000;

/** Everything that is stored of one call, and what comes. */
export class History {
  readonly events: Signal<readonly CallEvent[]> = signal([]);
  /** The call as its events tell it: also when it has been over for long. */
  readonly entry: Signal<CallEntry | undefined> = signal(undefined);
  /** Everything stored was read. */
  readonly complete = signal(false);
  private closed = false;
  private stop = () => {};

  constructor(
    private readonly connection: Connection,
    private readonly api: DeskApi,
    private readonly callId: string,
  ) {
    this.read();
    connection.onLive(() => !this.closed && this.read());
  }

  close(): void {
    this.closed = true;
    this.stop();
  }

  /** From the beginning, also after a broken connection: a call has few events. */
  private read(): void {
    if (this.connection.status.value !== "live") return;
    this.stop();
    let events: CallEvent[] = [];
    let entry: CallEntry | undefined;
    let waiting = false;
    const show = () => {
      waiting = false;
      this.events.value = events;
      this.entry.value = entry;
    };
    const stream = this.api.watchCalls(
      { filter: { callIds: [this.callId], pools: [], states: [] }, fromBeginning: true },
      {
        message: ({ item }) => {
          if (item?.$case === "event") {
            events = [...events.slice(1 - MAX_EVENTS), item.value];
            entry = applyEvent(entry, item.value);
          } else if (item?.$case === "live") this.complete.value = true;
          if (!waiting) requestAnimationFrame(show);
          waiting = true;
        },
        end: (error) => {
          if (error && error.reason !== "LOST") this.complete.value = true;
        },
      },
    );
    this.stop = () => stream.cancel();
  }
}
