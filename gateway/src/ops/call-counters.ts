import type { StoredEvent } from "../call/call-events.js";
import type { MetricName } from "./metric-catalogue.js";

/** Where counts go; labels in any order. */
export interface CountSink {
  count(name: MetricName, labels?: Readonly<Record<string, string>>, by?: number): void;
  observe(name: MetricName, value: number, labels?: Readonly<Record<string, string>>): void;
}

interface Track {
  readonly arrivedMs: number;
  /** Since when it waits for an agent; undefined while it has one. */
  waitsSinceMs: number | undefined;
  after: "arrival" | "loss";
}

/** Calls whose times are remembered at most; times of further calls are not measured. */
const MAX_TRACKED = 20_000;

/** Seat causes after which somebody sits in the seat. */
const SEATED: ReadonlySet<string> = new Set([
  "ACCEPTED",
  "REATTACHED",
  "TRANSFERRED",
  "ESCALATED",
  "TAKEN_OVER",
]);

/** Counts calls by their events: the one place where an event becomes figures. */
export class CallCounters {
  private readonly tracks = new Map<string, Track>();

  /** @param nowMs A monotonic clock, ms. */
  constructor(
    private readonly sink: CountSink,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** Calls whose times are remembered now. */
  get tracked(): number {
    return this.tracks.size;
  }

  /** Takes an event of a call of this gateway. */
  onEvent(event: StoredEvent): void {
    const { sink } = this;
    // As text: kinds that a newer version has are counted as events alone.
    const body = event.body as { readonly type: string } & Readonly<Record<string, unknown>>;
    const key = `${event.tenant}\n${event.callId}`;
    sink.count("callweave_events_total", { durable: String(event.durable) });
    switch (body.type) {
      case "arrived":
        sink.count("callweave_calls_arrived_total");
        this.begin(key);
        return;
      case "takenOver":
        sink.count("callweave_takeovers_total");
        this.begin(key);
        return;
      case "eventsLost":
        sink.count("callweave_events_lost_total");
        return;
      case "answered":
        sink.count("callweave_calls_answered_total");
        return;
      case "connected":
        sink.count("callweave_calls_connected_total");
        return;
      case "unserved":
        sink.count("callweave_calls_unserved_total", { action: text(body.action) });
        return;
      case "holdChanged":
        if (body.holding === true) sink.count("callweave_calls_held_total");
        return;
      case "offered":
        sink.count("callweave_offers_total");
        if (Number(body.attempt) > 1) sink.count("callweave_reoffers_total");
        return;
      case "offerEnded":
        sink.count("callweave_offers_ended_total", { end: text(body.end) });
        return;
      case "seatChanged":
        this.seatChanged(key, text(body.cause), (body.seat as { state?: string } | undefined)?.state);
        return;
      case "commandDone":
        this.commandDone(body);
        return;
      case "contextWritten":
        sink.count("callweave_contexts_written_total", { durability: text(body.durability) });
        return;
      case "mediaChanged":
        sink.count("callweave_media_changes_total", { change: text(body.change) });
        return;
      case "ended":
        this.ended(key, text(body.reason));
        return;
    }
  }

  private begin(key: string): void {
    if (this.tracks.size >= MAX_TRACKED) return;
    const now = this.nowMs();
    this.tracks.set(key, { arrivedMs: now, waitsSinceMs: now, after: "arrival" });
  }

  private seatChanged(key: string, cause: string, state: string | undefined): void {
    this.sink.count("callweave_seat_changes_total", { cause });
    const track = this.tracks.get(key);
    if (!track) return;
    if (state === "HELD" && SEATED.has(cause)) {
      if (track.waitsSinceMs !== undefined) {
        const seconds = (this.nowMs() - track.waitsSinceMs) / 1000;
        this.sink.observe("callweave_seat_wait_seconds", seconds, { after: track.after });
      }
      track.waitsSinceMs = undefined;
    } else if (cause === "LOST" && track.waitsSinceMs === undefined) {
      track.waitsSinceMs = this.nowMs();
      track.after = "loss";
    }
  }

  private commandDone(body: Readonly<Record<string, unknown>>): void {
    const error = body.error as { readonly reason?: string } | undefined;
    this.sink.count("callweave_commands_total", {
      verb: text(body.verb),
      result: error ? text(error.reason) : "OK",
    });
    const escalation = body.escalation as { outcome?: string; durability?: string } | undefined;
    if (!escalation) return;
    this.sink.count("callweave_escalations_total", { outcome: text(escalation.outcome) });
    this.sink.count("callweave_escalation_contexts_total", { durability: escalation.durability ?? "NONE" });
  }

  private ended(key: string, reason: string): void {
    this.sink.count("callweave_calls_ended_total", { reason });
    const track = this.tracks.get(key);
    if (!track) return;
    this.tracks.delete(key);
    this.sink.observe("callweave_call_duration_seconds", (this.nowMs() - track.arrivedMs) / 1000);
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "UNKNOWN";
}
