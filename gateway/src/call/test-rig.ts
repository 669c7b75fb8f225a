/** For tests of the core: a call on the memory adapter, a clock that stands still, a log and contexts that remember. */
import { MemoryLeg, type MemoryLegOptions } from "../telephony/memory/memory-leg.js";
import { ManualClock } from "../util/clock.js";
import { AFTER_DEFAULTS } from "./after-wait.js";
import { Call } from "./call.js";
import type { CallCommand, CommandReply } from "./call-commands.js";
import type { CallCore, SeatingPort } from "./call-core.js";
import type { CallError } from "./call-error.js";
import type { CallEvent, CallEventBody, StoredEvent } from "./call-events.js";
import type { EndReason, SeatCause } from "./call-state.js";
import type { CallContexts, ContextPatch } from "./context-port.js";
import type { EventLog } from "./event-log.js";
import { PLAYBACK_DEFAULTS, type WaitEnd } from "./playback.js";
import { restoreCall } from "./restore.js";
import type { SeatHolder } from "./seat.js";

/** Remembers everything, stores at once. */
export class RigLog implements EventLog {
  readonly events: StoredEvent[] = [];
  async append(event: CallEvent): Promise<StoredEvent> {
    const stored = { ...event, cursor: String(this.events.length + 1), durable: true };
    this.events.push(stored);
    return stored;
  }
  head(): string {
    return String(this.events.length);
  }
  knows(tenant: string, callId: string): boolean {
    return this.lastSequence(tenant, callId) > 0;
  }
  lastSequence(tenant: string, callId: string): number {
    const own = this.events.filter((e) => e.tenant === tenant && e.callId === callId);
    return own.at(-1)?.sequence ?? 0;
  }
  async ofCall(_tenant: string, callId: string, after: number): Promise<StoredEvent[]> {
    return this.events.filter((e) => e.callId === callId && e.sequence > after);
  }
  async eraseCaller(): Promise<number> {
    throw new Error("not in this rig");
  }
  watch(): AsyncIterable<never> {
    throw new Error("not in this rig");
  }
  async close(): Promise<void> {}
}

/** Remembers patches; can be told to fail or to hang. */
export class RigContexts implements CallContexts {
  readonly patches: ContextPatch[] = [];
  mode: "ok" | "fail" | "hang" = "ok";
  async merge(_call: unknown, patch: ContextPatch) {
    if (this.mode === "fail") throw new Error("store is away");
    if (this.mode === "hang") return new Promise<never>(() => {});
    this.patches.push(patch);
    return { revision: this.patches.length, turnCount: 0, durability: "STORE" as const };
  }
  async callEnded() {
    return undefined;
  }
}

/** A seat search that the test decides. */
export class RigSeating implements SeatingPort {
  readonly vacated: SeatCause[] = [];
  readonly searches: { readonly to: unknown; settle: (taken: boolean) => void; cancelled: boolean }[] = [];
  seatVacated(_call: CallCore, cause: SeatCause): void {
    this.vacated.push(cause);
  }
  seek(_call: CallCore, to: unknown) {
    let settle: (taken: boolean) => void = () => {};
    const done = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const search = { to, settle, cancelled: false };
    this.searches.push(search);
    return {
      done,
      cancel: () => {
        search.cancelled = true;
        settle(false);
      },
    };
  }
  callEnded(): void {}
}

/** An agent that remembers what it was told. */
export class RigHolder implements SeatHolder {
  readonly events: StoredEvent[] = [];
  readonly marks: { readonly name: string; readonly end: WaitEnd }[] = [];
  readonly notes: string[] = [];
  readonly heard: Buffer[] = [];
  readonly gaps: { readonly from: number; readonly durationMs: number }[] = [];
  gone: { readonly cause: SeatCause; readonly endReason?: EndReason } | undefined;
  constructor(
    readonly agentId = "agent",
    readonly instanceId = "instance-1",
  ) {}
  audio(_position: number, pcm: Uint8Array): void {
    this.heard.push(Buffer.from(pcm));
  }
  gap(from: number, durationMs: number): void {
    this.gaps.push({ from, durationMs });
  }
  event(event: StoredEvent): void {
    this.events.push(event);
  }
  markReached(name: string, end: WaitEnd): void {
    this.marks.push({ name, end });
  }
  note(text: string): void {
    this.notes.push(text);
  }
  playback(): void {}
  unassigned(cause: SeatCause, endReason?: EndReason): void {
    this.gone = { cause, ...(endReason ? { endReason } : {}) };
  }
}

/** Sample value of the rig's hold audio, so that tests tell it from the agent's. */
export const HOLD_SAMPLE = 7;

/** Options of the rig. */
export interface RigOptions extends MemoryLegOptions {
  /** Seat an agent at once. Default true. */
  readonly seated?: boolean;
  readonly maxQueuedMs?: number;
  /** The log of an earlier owner of the call: this one takes it over. */
  readonly takeOver?: RigLog;
}

/** A call at 8 kHz (16 bytes are a millisecond). */
export function rig(options: RigOptions = {}) {
  const clock = new ManualClock();
  const log = options.takeOver ?? new RigLog();
  const contexts = new RigContexts();
  const seating = new RigSeating();
  const incoming = {
    connector: "memory",
    callId: "c-1",
    sessionId: "s-1",
    from: "+15550100",
    to: "+15550111",
    sampleRateHz: 8000,
    audioMode: "mixed" as const,
  };
  const leg = new MemoryLeg(incoming, clock, options);
  const call = new Call(
    {
      tenant: "default",
      callId: "c-1",
      sessionId: "s-1",
      connector: "memory",
      caller: "+15550100",
      callee: "+15550111",
      rawCaller: "+15550100",
      rawCallee: "+15550111",
      pool: "default",
      locale: "en",
      sampleRateHz: 8000,
      gatewayId: "gateway-1",
    },
    leg,
    {
      clock,
      contexts,
      seating,
      hold: () => ({
        read(target, offset, maxBytes) {
          for (let i = 0; i < maxBytes; i += 2) {
            target[offset + i] = HOLD_SAMPLE;
            target[offset + i + 1] = 0;
          }
          return maxBytes;
        },
      }),
      options: {
        playback: {
          ...PLAYBACK_DEFAULTS,
          ...(options.maxQueuedMs ? { maxQueuedMs: options.maxQueuedMs } : {}),
        },
        after: AFTER_DEFAULTS,
        mediaGiveUpMs: 10_000,
        finalSaveMs: 1_500,
        maxListeners: 10,
      },
    },
    log,
    options.takeOver && restoreCall(log.events),
  );
  const holder = new RigHolder();
  if (options.seated !== false && !options.takeOver) call.takeSeat(0, holder, "ACCEPTED");
  const actor = { tenant: "default", name: "client:test" };
  let ids = 0;
  const give = (command: CallCommand, waitMs = 0, requestId = `r-${++ids}`): Promise<CommandReply> =>
    call.execute(actor, requestId, command, waitMs);
  return {
    clock,
    log,
    contexts,
    seating,
    leg,
    call,
    holder,
    give,
    /** The bodies of all events of a type, in order. */
    told: <T extends CallEventBody["type"]>(type: T) =>
      log.events.map((e) => e.body).filter((b): b is Extract<CallEventBody, { type: T }> => b.type === type),
    /** `ms` of agent audio: every sample 1. */
    speech: (ms: number) => new Uint8Array(ms * 16).map((_, i) => (i % 2 === 0 ? 1 : 0)),
    /** Answers and lets it settle. */
    async answer() {
      await give({ verb: "AnswerCall" });
      await clock.advance(0);
    },
  };
}

/** The CallError a promise rejects with; fails when it does not. */
export async function refusal(promise: Promise<unknown>): Promise<CallError> {
  try {
    await promise;
  } catch (error) {
    return error as CallError;
  }
  throw new Error("was not refused");
}

/** An escalation with the defaults of the contract. */
export function escalate(changes: Partial<Extract<CallCommand, { verb: "EscalateCall" }>> = {}): CallCommand {
  return {
    verb: "EscalateCall",
    reason: "ASKED_FOR_HUMAN",
    summary: "Wants a person.",
    summarySource: "RULES",
    routingHint: "",
    data: {},
    target: { callee: { ringTimeSeconds: 20 } },
    after: { condition: "PLAYBACK_DRAINED", onInterrupt: "PROCEED" },
    confirm: "NONE",
    confirmTimeoutMs: 20_000,
    then: "LEAVE",
    whileRinging: "HOLD_AUDIO",
    onContextFailure: "CONNECT_ANYWAY",
    saveTimeoutMs: 1_500,
    ...changes,
  };
}
