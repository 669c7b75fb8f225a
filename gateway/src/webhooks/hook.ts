import { setTimeout as pause } from "node:timers/promises";
import { CallError } from "../call/call-error.js";
import type { StoredEvent } from "../call/call-events.js";
import type { EventLog } from "../call/event-log.js";
import type { ContextService } from "../context/context-types.js";
import type { Logger } from "../util/logger.js";
import type { DeadLetter, DeadLetters } from "./dead-letters.js";
import { idOf, makePost } from "./delivery.js";
import { eventName } from "./event-names.js";
import { type HookState, type HookStateStore, LeaseLost } from "./hook-state.js";
import { Lanes } from "./lanes.js";
import type { WebhookOptions } from "./options.js";
import type { Attempt, Sender } from "./sender.js";

/** What a webhook is made of. */
export interface HookParts {
  readonly options: WebhookOptions;
  readonly events: EventLog;
  readonly contexts: ContextService;
  readonly state: HookStateStore;
  readonly sender: Sender;
  readonly deadLetters: DeadLetters;
  readonly logger: Logger;
}

/** How often what was delivered is written down. A crash repeats deliveries of this long, with their ids. */
const SAVE_MS = 200;
/** Pause after the event log or the state could not be used. */
const RETRY_MS = 1_000;

/** One webhook: reads the event log from where it was, and delivers, while it is this gateway that may. */
export class Hook {
  /** Since the start: delivered, attempts that failed, dead letters, events that the log no longer had. */
  readonly counts = { delivered: 0, failed: 0, dead: 0, gone: 0 };
  private readonly ending = new AbortController();
  private running: Promise<void> | undefined;
  private lanes: Lanes | undefined;

  constructor(private readonly parts: HookParts) {}

  get options(): WebhookOptions {
    return this.parts.options;
  }

  /** Whether it is this gateway that delivers. */
  get holds(): boolean {
    return this.lanes !== undefined;
  }

  /** Events that were read and are not delivered, and the time of the oldest. */
  get waiting(): { readonly count: number; readonly oldest: Date | undefined } {
    return { count: this.lanes?.size ?? 0, oldest: this.lanes?.oldest?.time };
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Attempts under way are cut; they are repeated by whoever goes on. */
  async stop(): Promise<void> {
    this.ending.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { state, options, logger } = this.parts;
    const { signal } = this.ending;
    while (!signal.aborted) {
      try {
        const found = await state.acquire(signal);
        logger.info({ webhook: options.name, tenant: options.tenant }, "this gateway delivers the webhook");
        await this.deliver(found);
      } catch (error) {
        if (signal.aborted) break;
        const fields = { webhook: options.name, err: error instanceof Error ? error.message : "unknown" };
        if (error instanceof LeaseLost) logger.info(fields, "webhook given up");
        else logger.warn(fields, "webhook cannot go on; tries again");
        await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    }
    await state.release().catch(() => {});
  }

  /** Until the gateway stops, the lease is lost or something fails; then rejects, unless it stops. */
  private async deliver(found: HookState | undefined): Promise<void> {
    const { events, options, state } = this.parts;
    const round = new AbortController();
    const signal = AbortSignal.any([round.signal, this.ending.signal]);
    const lanes = new Lanes(options, (event, attempts) => this.attempt(event, attempts, signal));
    let cursor = found?.cursor ?? (await events.head(options.tenant));
    let failure: unknown;
    const keep = async (): Promise<void> => {
      let written = "";
      let writtenMs = performance.now();
      while (!signal.aborted) {
        const now: HookState = { cursor, pending: lanes.places() };
        const text = JSON.stringify(now);
        if (text !== written || performance.now() - writtenMs >= state.renewMs) {
          try {
            await state.save(now);
            [written, writtenMs] = [text, performance.now()];
          } catch (error) {
            // What is not written down for a lease may be delivered by another one: then it is not here as well.
            if (error instanceof LeaseLost || performance.now() - writtenMs >= options.leaseMs) throw error;
          }
        }
        await pause(SAVE_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    };
    const read = async (): Promise<void> => {
      for (const event of await this.stillPending(found)) lanes.add(event);
      this.lanes = lanes;
      while (!signal.aborted) {
        try {
          for await (const item of events.watch(options.tenant, cursor, this.filter, signal)) {
            // What is told before it is stored comes again once it is.
            if ("event" in item && item.event.durable) {
              if (this.wants(item.event)) lanes.add(item.event);
              cursor = item.event.cursor;
            } else if ("live" in item && item.live.cursor !== "") cursor = item.live.cursor;
            await lanes.room(signal);
          }
          if (!signal.aborted) throw new Error("the event log ended");
        } catch (error) {
          if (!(error instanceof CallError) || error.reason !== "CURSOR_EXPIRED") throw error;
          this.counts.gone++;
          this.parts.logger.error({ webhook: options.name }, "events are gone before they were delivered");
          cursor = error.metadata.oldest ?? (await events.head(options.tenant));
        }
      }
    };
    const fail = (error: unknown) => {
      failure ??= error;
      round.abort();
    };
    await Promise.all([keep().catch(fail), read().catch(fail)]);
    this.lanes = undefined;
    await lanes.stop();
    await state.save({ cursor, pending: lanes.places() }).catch(fail);
    if (failure !== undefined && !this.ending.signal.aborted) throw failure;
  }

  private get filter() {
    return { callIds: [], pools: this.options.pools };
  }

  private wants({ body }: StoredEvent): boolean {
    const { events } = this.options;
    return events.length === 0 || events.includes(eventName(body));
  }

  /** The events that were read before and not delivered. */
  private async stillPending(found: HookState | undefined): Promise<StoredEvent[]> {
    const { events, options, logger } = this.parts;
    const byCall = new Map<string, Map<number, StoredEvent>>();
    const pending: StoredEvent[] = [];
    for (const { callId, sequence } of found?.pending ?? []) {
      let stored = byCall.get(callId);
      if (!stored) {
        const all = await events.ofCall(options.tenant, callId, sequence - 1);
        stored = new Map(all.map((event) => [event.sequence, event]));
        byCall.set(callId, stored);
      }
      const event = stored.get(sequence);
      if (event) pending.push(event);
      else {
        this.counts.gone++;
        logger.error({ webhook: options.name, call_id: callId }, "an event is gone before it was delivered");
      }
    }
    return pending;
  }

  /** One attempt; answers when the next one may be, or undefined when it is done with. */
  private async attempt(
    event: StoredEvent,
    attempts: number,
    signal: AbortSignal,
  ): Promise<{ readonly unreachable: boolean; readonly retryAfterMs?: number } | undefined> {
    const { options, logger, deadLetters } = this.parts;
    const attempt = await this.send(event, signal);
    if (attempt.result === "delivered") {
      this.counts.delivered++;
      return undefined;
    }
    if (signal.aborted) return { unreachable: false };
    this.counts.failed++;
    const fields = {
      webhook: options.name,
      call_id: event.callId,
      delivery: idOf(options, event.callId, event.sequence),
      attempts,
      err: attempt.error,
    };
    const old = Date.now() - event.time.getTime() >= options.maxAgeSeconds * 1000;
    if (attempt.result === "failed" && !old) {
      logger[attempts === 1 ? "warn" : "debug"](fields, "webhook not delivered; tries again");
      return attempt;
    }
    try {
      const dropped = await deadLetters.add(
        letterOf(options, event, attempts, attempt.error),
        options.maxDeadLetters,
      );
      this.counts.dead++;
      logger.error(fields, "webhook given up: a dead letter");
      if (dropped) logger.error({ webhook: options.name }, "too many dead letters: the oldest is gone");
      return undefined;
    } catch (error) {
      logger.error({ ...fields, err: codeOf(error) }, "a dead letter cannot be kept; tries again");
      return { unreachable: false };
    }
  }

  private async send(event: StoredEvent, signal: AbortSignal): Promise<Attempt> {
    const { options, contexts, sender } = this.parts;
    try {
      const post = await makePost(options, event, contexts, new Date());
      return await sender.send(post, signal);
    } catch (error) {
      return { result: "failed", error: codeOf(error), unreachable: false };
    }
  }

  /** A dead letter that somebody wants sent again: one attempt, in no order. */
  async sendAgain(letter: DeadLetter): Promise<void> {
    const { events, deadLetters, logger, options } = this.parts;
    const [event] = await events.ofCall(letter.tenant, letter.callId, letter.sequence - 1);
    const found = event?.sequence === letter.sequence ? event : undefined;
    const attempt: Attempt = found
      ? await this.send(found, this.ending.signal)
      : { result: "refused", error: "the event is gone" };
    if (this.ending.signal.aborted && attempt.result !== "delivered") return;
    const delivered = attempt.result === "delivered";
    if (delivered) this.counts.delivered++;
    const again = delivered
      ? undefined
      : {
          ...letter,
          attempts: letter.attempts + 1,
          error: attempt.error,
          deadTime: new Date().toISOString(),
        };
    await deadLetters.done(letter, again);
    const fields = { webhook: options.name, call_id: letter.callId, delivery: letter.id };
    if (again) logger.error({ ...fields, err: again.error }, "a dead letter could not be sent again");
    else logger.info(fields, "a dead letter was sent again");
  }
}

function letterOf(hook: WebhookOptions, event: StoredEvent, attempts: number, error: string): DeadLetter {
  const { callId, sequence } = event;
  return {
    id: idOf(hook, callId, sequence),
    tenant: hook.tenant,
    webhook: hook.name,
    callId,
    sequence,
    type: eventName(event.body),
    eventTime: event.time.toISOString(),
    deadTime: new Date().toISOString(),
    attempts,
    error,
  };
}

function codeOf(error: unknown): string {
  if (error instanceof CallError) return error.reason;
  return String((error as NodeJS.ErrnoException | undefined)?.code ?? "UNKNOWN");
}
