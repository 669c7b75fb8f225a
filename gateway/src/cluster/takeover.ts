import type { CallEvent } from "../call/call-events.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { CallContexts } from "../call/context-port.js";
import type { EventLog } from "../call/event-log.js";
import { restoreCall } from "../call/restore.js";
import type { Connector } from "../telephony/telephony.js";
import type { Clock, Timer } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import type { OwnedCall, Ownership } from "./ownership.js";

/** Options of takeovers. */
export interface TakeoverOptions {
  /** First pause between two looks at the provider; doubled each time, with jitter. Default 250. */
  readonly firstPauseMs: number;
  /** Longest pause. Default 3,000. */
  readonly maxPauseMs: number;
  /** A call that nobody could take over after this long is written off. Default 30,000. */
  readonly giveUpMs: number;
}

/** What takeovers need. */
export interface TakeoverDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connectors: readonly Connector[];
  readonly ownership: Pick<Ownership, "orphans" | "writeOff">;
  readonly events: EventLog;
  readonly contexts: CallContexts;
  readonly options: TakeoverOptions;
  readonly random?: () => number;
}

/**
 * Calls whose gateway died: asks the provider for them, with growing pauses, until they were claimed by somebody or are
 * written off. That a call of a dead gateway can be claimed at all is an assumption the vendor has not confirmed (A1).
 */
export class Takeover {
  private readonly since = new Map<string, number>();
  private timer: Timer | undefined;
  private pauseMs = 0;
  private stopped = false;

  constructor(private readonly deps: TakeoverDeps) {}

  /** A gateway is gone, or this one has just come: is there something to take over? */
  look(): void {
    if (this.stopped) return;
    // Already at it: the pauses go on as they are when nothing new is there.
    if (this.timer && this.deps.ownership.orphans().every((orphan) => this.since.has(keyOf(orphan)))) return;
    this.pauseMs = this.deps.options.firstPauseMs;
    this.timer?.cancel();
    this.round();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Orphans that are waited for, for metrics. */
  get waiting(): number {
    return this.since.size;
  }

  private round(): void {
    const { ownership, connectors, clock, options } = this.deps;
    const orphans = ownership.orphans();
    const keys = new Set(orphans.map(keyOf));
    for (const key of [...this.since.keys()]) if (!keys.has(key)) this.since.delete(key);
    if (orphans.length === 0) {
      this.timer = undefined;
      return;
    }
    const now = clock.nowMs();
    const wanted = new Set<string>();
    for (const orphan of orphans) {
      const connector = connectors.find(({ name }) => name === orphan.connector);
      const key = keyOf(orphan);
      // Time counts only while the provider can be asked.
      if (!connector?.ready || !this.since.has(key)) this.since.set(key, now);
      else if (now - (this.since.get(key) ?? now) > options.giveUpMs) void this.writeOff(orphan);
      if (connector?.ready) wanted.add(orphan.connector);
    }
    for (const connector of connectors) if (wanted.has(connector.name)) connector.lookForCalls?.();
    const jitter = 0.5 + (this.deps.random ?? Math.random)();
    this.timer = clock.after(this.pauseMs * jitter, () => this.round());
    this.pauseMs = Math.min(this.pauseMs * 2, options.maxPauseMs);
  }

  /** Nobody will have it: its end is recorded and its context closed, by one gateway. */
  private async writeOff(orphan: OwnedCall): Promise<void> {
    const { ownership, events, contexts, clock, logger } = this.deps;
    const { tenant, callId } = orphan;
    // A gateway that is only cut off from NATS still has its calls: as long as the provider has the session open, it is
    // not over.
    const connector = this.deps.connectors.find(({ name }) => name === orphan.connector);
    if (connector?.isOpen && (await connector.isOpen(orphan.sessionId)) !== false) {
      this.since.delete(keyOf(orphan));
      return;
    }
    if (!(await ownership.writeOff(orphan))) return;
    logger.error(
      { call_id: callId, gateway_id: orphan.gatewayId },
      "a call of a dead gateway was not taken over",
    );
    try {
      const history = await events.ofCall(tenant, callId, 0);
      const restored = restoreCall(history);
      const last = history.at(-1);
      if (!restored?.live || !last) return;
      const end: CallEvent = {
        tenant,
        callId,
        pool: last.pool,
        sequence: restored.lastSequence + 1,
        ownerEpoch: restored.ownerEpoch + 1,
        time: clock.wallNow(),
        position: restored.live.position,
        body: { type: "ended", reason: "MEDIA_LOST" },
      };
      await events.append(end);
      const call = lastSnapshot(history.map(({ body }) => body));
      if (call) {
        const ended: CallSnapshot = { ...call, state: "DISCONNECTED", endReason: "MEDIA_LOST" };
        await contexts.callEnded(ended);
      }
    } catch (error) {
      logger.error({ call_id: callId, err: String(error) }, "the end of a lost call could not be recorded");
    }
  }
}

function lastSnapshot(bodies: readonly CallEvent["body"][]): CallSnapshot | undefined {
  for (const body of [...bodies].reverse()) if (body.type === "arrived") return body.call;
  return undefined;
}

function keyOf({ tenant, callId, incarnation }: OwnedCall): string {
  return `${tenant}\n${callId}\n${incarnation}`;
}
