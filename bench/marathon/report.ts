import { type Spread, spreadOf } from "../figures.js";
import { type Audit, PROMISES, type Problem, ZEROS, type Zero } from "./auditor.js";
import type { BatchEvidence, CallEvidence } from "./evidence.js";
import { PHASES, VICTIMS } from "./options.js";

/** What `--json` prints as its last line. Measures in ms. */
export interface MarathonResult {
  readonly ok: boolean;
  readonly seed: number;
  readonly kills: number;
  readonly calls: number;
  readonly minutes: number;
  /** Faults that came, by phase and by victim. */
  readonly phases: Readonly<Record<string, number>>;
  readonly victims: Readonly<Record<string, number>>;
  /** Each has to be 0. */
  readonly zeros: Readonly<Record<Zero, number>>;
  /** From the loss of an agent that was found to the next offer; p99 at most grace + 1 s. */
  readonly reofferMs: Spread;
  /** From the end of a dead gateway's lease to the takeover of its calls; p99 at most 5 s. Assumption A1. */
  readonly takeoverAfterLeaseMs: Spread;
  /**
   * The longest silence after the loss of an agent was found, within 1.5 s, without the time in which the provider's own
   * process stood still; each at most 300 ms.
   */
  readonly silenceMs: Spread;
  /** The same with that time. */
  readonly silenceRecordedMs: Spread;
  /** What is not 0 or late, in words. */
  readonly failed: readonly string[];
}

/** Adds up the batches. */
export class Tally {
  private readonly zeros = Object.fromEntries(ZEROS.map((zero) => [zero, 0])) as Record<Zero, number>;
  private readonly phases: Record<string, number> = Object.fromEntries(PHASES.map((phase) => [phase, 0]));
  private readonly victims: Record<string, number> = Object.fromEntries(VICTIMS.map((victim) => [victim, 0]));
  private readonly reoffers: number[] = [];
  private readonly takeovers: number[] = [];
  private readonly silences: number[] = [];
  private readonly recorded: number[] = [];
  private readonly failed: string[] = [];
  private kills = 0;
  private calls = 0;

  add({ number, hits, calls }: BatchEvidence, found: Audit): void {
    const { problems, reofferMs, takeoverMs, silenceMs } = found;
    for (const { fault, atMs } of hits) {
      if (atMs === undefined) continue;
      this.kills++;
      this.phases[fault.phase] = (this.phases[fault.phase] ?? 0) + 1;
      this.victims[fault.victim] = (this.victims[fault.victim] ?? 0) + 1;
    }
    this.calls += calls.length;
    for (const { what, lane, text } of problems) {
      this.zeros[what]++;
      this.failed.push(`batch ${number}, call ${lane}: ${what}: ${text}`);
    }
    this.reoffers.push(...reofferMs);
    this.takeovers.push(...takeoverMs.map((ms) => Math.max(0, ms - PROMISES.leaseMs)));
    this.silences.push(...silenceMs);
    this.recorded.push(...found.silenceRecordedMs);
  }

  /** Something that is wrong with no call in particular. */
  fail(text: string): void {
    this.failed.push(text);
  }

  result(seed: number, minutes: number): MarathonResult {
    const reofferMs = spreadOf(this.reoffers);
    const takeoverAfterLeaseMs = spreadOf(this.takeovers);
    const late = [
      ...(reofferMs.p99 > PROMISES.reofferMs ? [`re-offer p99 ${reofferMs.p99} ms`] : []),
      ...(takeoverAfterLeaseMs.p99 > PROMISES.takeoverMs
        ? [`takeover p99 ${takeoverAfterLeaseMs.p99} ms after the lease`]
        : []),
    ];
    const failed = [...this.failed, ...late];
    return {
      ok: failed.length === 0,
      seed,
      kills: this.kills,
      calls: this.calls,
      minutes: Math.round(minutes * 10) / 10,
      phases: this.phases,
      victims: this.victims,
      zeros: this.zeros,
      reofferMs,
      takeoverAfterLeaseMs,
      silenceMs: spreadOf(this.silences),
      silenceRecordedMs: spreadOf(this.recorded),
      failed: failed.slice(0, 20),
    };
  }
}

/** What happened in the calls that something is wrong with, line by line. */
export function timelineOf(evidence: BatchEvidence, problems: readonly Problem[]): string[] {
  const lanes = [...new Set(problems.map(({ lane }) => lane))];
  return evidence.calls
    .filter(({ lane }) => lanes.includes(lane))
    .flatMap((call) => [
      `call ${call.lane} (${call.callId}):`,
      ...problems
        .filter(({ lane }) => lane === call.lane)
        .map(({ what, text }) => `  WRONG ${what}: ${text}`),
      ...linesOf(call, evidence),
    ]);
}

function linesOf(call: CallEvidence, { hits }: BatchEvidence): string[] {
  const lines: Array<readonly [atMs: number, text: string]> = [
    [
      call.endedAtMs,
      `PROVIDER ended: ${call.providerEnd ?? "not by itself"}; commands ${call.commands.join(" ")}`,
    ],
    ...hits.flatMap(({ fault, atMs, target, overMs }) => {
      const name = `FAULT ${fault.number}: ${fault.how} ${fault.victim} ${target.slice(0, 12)} of call ${fault.lane}, ${fault.phase}`;
      const end: Array<readonly [number, string]> = overMs === undefined ? [] : [[overMs, `${name}: over`]];
      return atMs === undefined ? [] : [[atMs, name] as const, ...end];
    }),
    ...call.log.map(({ atMs, sequence, type, verb, gatewayId, seat }) => {
      const more = [
        verb,
        gatewayId,
        seat && `${seat.state} ${seat.cause} epoch ${seat.epoch} ${seat.agentId}`,
      ];
      return [atMs, `LOG ${sequence} ${type} ${more.filter(Boolean).join(" ")}`] as const;
    }),
    ...call.notes.map(({ instance, voice, atMs, ...note }) => {
      return [atMs, `AGENT ${voice} (${instance.slice(0, 4)}) ${JSON.stringify(note)}`] as const;
    }),
    ...call.heard.map(({ voice, lane, startMs, endMs }) => {
      return [startMs, `HEARD agent ${lane}-${voice} for ${Math.round(endMs - startMs)} ms`] as const;
    }),
    ...call.silent.map(
      ({ startMs, endMs }) => [startMs, `SILENT ${Math.round(endMs - startMs)} ms`] as const,
    ),
  ];
  return lines
    .sort(([a], [b]) => a - b)
    .map(([atMs, text]) => `  ${String(Math.round(atMs - call.placedAtMs)).padStart(6)} ms  ${text}`);
}
