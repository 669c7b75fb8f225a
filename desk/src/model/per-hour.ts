import {
  type CallContext,
  type CallEvent,
  EscalationOutcome,
  EscalationStep,
} from "@callweave/proto/messages";
import { signal } from "@preact/signals";
import type { DeskApi } from "../wire/api.js";
import { toMs } from "./time.js";

const HOUR_MS = 3_600_000;
/** Hours shown. */
export const HOURS = 24;
/** Handovers whose waiting is read, the newest. */
const MAX_READ = 200;
/** Read at a time. */
const AT_ONCE = 6;

/** A value for each of the last 24 hours, oldest first. */
export interface HourValue {
  /** When the hour begins, ms. */
  readonly fromMs: number;
  readonly value: number;
}

/** Puts values into hours by `pick`: how many, or the largest. */
export function perHour(
  items: readonly { readonly atMs: number; readonly value: number }[],
  nowMs: number,
  pick: (values: readonly number[]) => number,
): HourValue[] {
  const lastHour = Math.floor(nowMs / HOUR_MS);
  const buckets = Array.from({ length: HOURS }, () => [] as number[]);
  for (const { atMs, value } of items) {
    const index = HOURS - 1 - (lastHour - Math.floor(atMs / HOUR_MS));
    buckets[index]?.push(value);
  }
  return buckets.map((values, i) => ({ fromMs: (lastHour - HOURS + 1 + i) * HOUR_MS, value: pick(values) }));
}

/** How long a caller waited for a person, from the events of a call; undefined when nobody was asked for. */
export function waitOf(
  events: readonly CallEvent[],
): { readonly atMs: number; readonly value: number } | undefined {
  let sinceMs: number | undefined;
  let lastMs = 0;
  for (const { event, time } of events) {
    lastMs = toMs(time);
    if (event?.$case === "escalation" && event.value.step === EscalationStep.SAVING) sinceMs ??= lastMs;
    if (sinceMs === undefined) continue;
    const done = event?.$case === "commandDone" ? event.value.escalation?.outcome : undefined;
    if (done === EscalationOutcome.CONNECTED || event?.$case === "connected" || event?.$case === "ended")
      return { atMs: sinceMs, value: (lastMs - sinceMs) / 1_000 };
  }
  return sinceMs === undefined ? undefined : { atMs: sinceMs, value: (lastMs - sinceMs) / 1_000 };
}

/** The waiting of the newest handovers, read from the events of each call once. */
export class Waits {
  readonly known = signal<readonly { readonly atMs: number; readonly value: number }[]>([]);
  private readonly read = new Set<string>();
  private busy = false;

  constructor(private readonly api: DeskApi) {}

  /** Reads what is not known yet. */
  async update(contexts: readonly CallContext[], nowMs: number): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    const wanted = contexts
      .filter(
        ({ escalationReason, createTime }) =>
          escalationReason !== 0 && toMs(createTime) > nowMs - HOURS * HOUR_MS,
      )
      .slice(0, MAX_READ)
      .filter(({ callId }) => !this.read.has(callId));
    for (let i = 0; i < wanted.length; i += AT_ONCE) {
      const found = await Promise.all(
        wanted.slice(i, i + AT_ONCE).map(({ callId }) => this.waitOfCall(callId)),
      );
      this.known.value = [...this.known.value, ...found.filter((one) => one !== undefined)];
    }
    this.busy = false;
  }

  private waitOfCall(callId: string): Promise<ReturnType<typeof waitOf>> {
    return new Promise((resolve) => {
      const events: CallEvent[] = [];
      const stream = this.api.watchCalls(
        { filter: { callIds: [callId], pools: [], states: [] }, fromBeginning: true },
        {
          message: ({ item }) => {
            if (item?.$case === "event") events.push(item.value);
            if (item?.$case !== "live") return;
            stream.cancel();
            // One that is still going on is read again later.
            if (events.some(({ event }) => event?.$case === "ended")) this.read.add(callId);
            resolve(this.read.has(callId) ? waitOf(events) : undefined);
          },
          end: () => resolve(undefined),
        },
      );
    });
  }
}
