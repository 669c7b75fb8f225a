import { callee, type SimCall, soundSpans } from "@callweave/simulator";
import type { CallweaveClient } from "callweave";
import type { LoggedEvent } from "../../demo/cluster/evidence.js";
import { lastInLog, readDatabase, readLog } from "../../demo/cluster/read-outside.js";
import type { Span } from "../../demo/evidence.js";
import type { GatewayProcess } from "../../test/harness/cluster.js";
import { until } from "../../test/harness/until.js";
import { type Audit, audit } from "./auditor.js";
import type { AgentNote, BatchEvidence, CallEvidence, HeardRun } from "./evidence.js";
import { Faults } from "./faults.js";
import { runsHeard } from "./numbers.js";
import type { PhaseName } from "./options.js";
import type { Batch } from "./plan.js";
import { type MarathonStack, numberOf } from "./stack.js";
import { Stalls } from "./stalls.js";

/** A call that did not end by then is stuck. */
const STUCK_MS = 45_000;
/**
 * Log and database have everything by then: the end of a call that was over before anybody could take it over is recorded
 * 30 s after its gateway died. Where a fault is built in, what is missing will not come.
 */
const SETTLED_MS = 45_000;
const PLANTED_MS = 3_000;
const LOOK_MS = 200;
const READY_MS = 30_000;
/** Lines of gateways that are shown of a batch. */
const MAX_LOGGED = 400;
/** Callee and caller talk for so long. */
const TALK_MS = 200;
const PICK_UP_SECONDS = 0.4;
/** Quieter than this is silence; hold audio is at about 1,600. */
const SILENT_RMS = 50;

/** One call of a batch while it lives. */
export interface LiveCall {
  readonly lane: number;
  readonly phone: SimCall;
  readonly caller: string;
  readonly placedAtMs: number;
  readonly notes: AgentNote[];
  /** What NATS brought so far, for knowing the phase; not evidence. */
  readonly feed: LoggedEvent[];
  /** Gateway that has it, by the feed. */
  owner: string | undefined;
  ownerAtFault: string | undefined;
  endedAtMs: number;
  providerEnd: string | undefined;
}

/** Whether a call has come to a phase. */
export function isIn({ phone, notes, feed }: LiveCall, phase: PhaseName): boolean {
  const seen = (type: string) => phone.events.some((event) => event.type === type);
  const escalates = () =>
    feed.findIndex(({ type, verb }) => type === "commandStarted" && verb === "EscalateCall");
  switch (phase) {
    case "claiming":
      return seen("session.open");
    case "offered":
      return notes.some(({ type }) => type === "offer");
    case "talking":
      return phone.stats.playedBytes > 0;
    case "saving":
      // The words are saved before the log says that it began.
      return notes.some(({ type }) => type === "escalating");
    case "draining": {
      const from = escalates();
      return from >= 0 && feed.slice(from).some(({ type }) => type === "contextWritten");
    }
    case "ringing":
      return seen("ringing");
    case "picked up":
      return seen("ring.picked_up");
  }
}

/** Plays the calls of a batch, lets the faults come, and gathers what can be known from the outside. */
export class BatchRun {
  private readonly calls: LiveCall[] = [];
  private readonly faults: Faults;
  private readonly stalls = new Stalls();
  private readonly gateways = new Set<GatewayProcess>();
  private startSequence = 0;

  constructor(
    private readonly stack: MarathonStack,
    private readonly batch: Batch,
    private readonly client: CallweaveClient,
    private readonly planted: boolean,
  ) {
    this.faults = new Faults(stack, batch.faults);
  }

  /** An agent said something. */
  onNote(callId: string, note: AgentNote): void {
    this.calls.find(({ phone }) => phone.id === callId)?.notes.push(note);
    this.faults.check(this.calls);
  }

  /** NATS brought an event. */
  onEvent(event: LoggedEvent): void {
    const call = this.calls.find(({ phone }) => phone.id === event.callId);
    if (!call) return;
    call.feed.push(event);
    call.owner = event.gatewayId ?? call.owner;
    this.faults.check(this.calls);
  }

  /** Plays it to its end. Rejects when what broke cannot be started again. */
  async play(): Promise<{ readonly evidence: BatchEvidence; readonly audit: Audit }> {
    await this.everybodyThere();
    this.startSequence = await lastInLog(this.stack.nats);
    this.noteGateways();
    this.place();
    await Promise.all(this.calls.map((call) => this.toItsEnd(call)));
    this.stalls.stop();
    await this.faults.repaired();
    this.noteGateways();
    const sounds = this.calls.map((call) => soundOf(call));
    const endMs = performance.now() + (this.planted ? PLANTED_MS : SETTLED_MS);
    for (;;) {
      const evidence = await this.evidence(sounds);
      const found = audit(evidence);
      if (found.problems.length === 0 || performance.now() > endMs) return { evidence, audit: found };
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Both agents of every lane can be offered a call, at whichever gateway. */
  private async everybodyThere(): Promise<void> {
    const wanted = this.stack.agents.flat().map(({ instance }) => instance);
    let nextMs = 0;
    await until(
      async () => {
        if (performance.now() < nextMs) return false;
        nextMs = performance.now() + 100;
        const agents = await this.client.fleet.agents().catch(() => []);
        const there = new Set(
          agents.filter(({ connected }) => connected).map(({ instanceId }) => instanceId),
        );
        return wanted.every((instance) => there.has(instance));
      },
      `all ${wanted.length} agents to be there before batch ${this.batch.number}`,
      READY_MS,
    );
  }

  /** A gateway that is started again is another process. */
  private noteGateways(): void {
    for (const gateway of this.stack.cluster.gateways) this.gateways.add(gateway);
  }

  /** What gateways logged since the batch began, for looking at a failure. */
  gatewayLog(): string[] {
    const beganMs = Math.min(...this.calls.map(({ placedAtMs }) => placedAtMs));
    const since = ({ time }: Record<string, unknown>) => typeof time === "number" && time >= beganMs;
    return [...this.gateways]
      .flatMap(({ id, child }) => child.lines.filter(since).map((line) => ({ id, line })))
      .sort((a, b) => Number(a.line.time) - Number(b.line.time))
      .slice(0, MAX_LOGGED)
      .map(({ id, line: { time, level, msg, pid: _, hostname: _h, gateway_id: _g, ...rest } }) => {
        const atMs = Math.round(Number(time) - beganMs);
        return `  ${String(atMs).padStart(6)} ms  ${id} (${level}) ${msg} ${JSON.stringify(rest)}`;
      });
  }

  private place(): void {
    this.stack.agents.forEach((_, lane) => {
      const caller = `+1555${String(3_000_000 + ((this.batch.number * 16 + lane) % 1_000_000))}`;
      const phone = this.stack.cluster.simulator.placeCall({
        from: caller,
        to: numberOf(lane),
        callee: callee.picksUp({ afterSeconds: PICK_UP_SECONDS }),
        options: { recordingLimitSeconds: 60 },
      });
      this.calls.push({
        lane,
        phone,
        caller,
        placedAtMs: Date.now(),
        notes: [],
        feed: [],
        owner: undefined,
        ownerAtFault: undefined,
        endedAtMs: 0,
        providerEnd: undefined,
      });
    });
  }

  /** The caller hangs up when callee and caller have talked; whatever else ends it comes from the agents. */
  private async toItsEnd(call: LiveCall): Promise<void> {
    const { phone } = call;
    const over = () => {
      this.faults.check(this.calls);
      return phone.state === "DISCONNECTED" || phone.agentLeft;
    };
    await phone.waitUntil(over, { timeoutMs: STUCK_MS }).catch(() => {});
    if (phone.agentLeft) {
      await new Promise((resolve) => setTimeout(resolve, TALK_MS));
      phone.hangUp();
    }
    call.providerEnd = phone.endReason;
    call.endedAtMs = Date.now();
    if (phone.state !== "DISCONNECTED") phone.hangUp();
  }

  private async evidence(sounds: readonly Sound[]): Promise<BatchEvidence> {
    const { nats, database } = this.stack;
    const ids = this.calls.map(({ phone }) => phone.id);
    const [log, stored] = await Promise.all([
      readLog(nats, this.startSequence, (time) => time.getTime()).catch(() => []),
      readDatabase(database.url, ids).catch(() => []),
    ]);
    const calls = this.calls.map(
      (call, index): CallEvidence => ({
        lane: call.lane,
        callId: call.phone.id,
        caller: call.caller,
        callee: numberOf(call.lane),
        placedAtMs: call.placedAtMs,
        endedAtMs: call.endedAtMs,
        providerEnd: call.providerEnd,
        owner: call.ownerAtFault,
        commands: call.phone.events
          .filter(({ direction, type }) => direction === "in" && type.startsWith("call."))
          .map(({ type }) => type),
        heard: sounds[index]?.heard ?? [],
        silent: sounds[index]?.silent ?? [],
        notes: call.notes,
        log: log.filter(({ callId }) => callId === call.phone.id),
        stored: stored.filter(({ callId }) => callId === call.phone.id),
        summary: `Wants a person. (${call.caller})`,
      }),
    );
    return { number: this.batch.number, hits: this.faults.hits(), calls, stalls: this.stalls.spans };
  }
}

interface Sound {
  readonly heard: readonly HeardRun[];
  readonly silent: readonly Span[];
}

function soundOf({ phone }: LiveCall): Sound {
  const { recording } = phone;
  const rate = recording.sampleRate || 8_000;
  const samples = recording.track("caller");
  const offset = performance.timeOrigin + phone.startMs;
  const spans = soundSpans(samples, rate, { thresholdRms: SILENT_RMS });
  const begins = [0, ...spans.map(({ endMs }) => endMs)];
  const ends = [...spans.map(({ startMs }) => startMs), recording.durationMs];
  const silent = begins
    .map((startMs, index) => ({ startMs: startMs + offset, endMs: (ends[index] ?? startMs) + offset }))
    .filter(({ startMs, endMs }) => endMs - startMs >= 40);
  return { heard: runsHeard(samples, rate, offset), silent };
}
