import { contentHash } from "../../demo/cluster/content-hash.js";
import type { ContextView } from "../../demo/cluster/evidence.js";
import type { Span } from "../../demo/evidence.js";
import type { AgentNote, BatchEvidence, CallEvidence } from "./evidence.js";

/** What the marathon promises. ms. */
export interface Promises {
  /** Hold audio after the loss of an agent was found: each time. */
  readonly silenceMs: number;
  readonly graceMs: number;
  /** p99 of the next offer after the loss of an agent was found. */
  readonly reofferMs: number;
  readonly leaseMs: number;
  /** p99 of a takeover, after the lease. */
  readonly takeoverMs: number;
}

/** As docs/reliability.md has it. */
export const PROMISES: Promises = {
  silenceMs: 300,
  graceMs: 2_000,
  reofferMs: 3_000,
  leaseMs: 2_000,
  takeoverMs: 5_000,
};

/** What can be wrong; each has to be 0. */
export const ZEROS = [
  "contextsLost",
  "contextsAltered",
  "summariesLost",
  "eventGaps",
  "eventRepeats",
  "toldNotLogged",
  "commandsTwice",
  "callsStuck",
  "callsDropped",
  "seatsTwice",
  "wrongVoices",
  "silencesTooLong",
  "phasesMissed",
] as const;
export type Zero = (typeof ZEROS)[number];

/** Something that is wrong with a call. */
export interface Problem {
  readonly what: Zero;
  readonly lane: number;
  readonly text: string;
}

/** What the auditor found in a batch. Measures in ms. */
export interface Audit {
  readonly problems: readonly Problem[];
  /** From the moment that the loss of an agent was found to the next offer. */
  readonly reofferMs: readonly number[];
  /** From SIGKILL of a gateway to `takenOver`. */
  readonly takeoverMs: readonly number[];
  /** The longest silence after each agent that was lost, without the time in which the provider stood still. */
  readonly silenceMs: readonly number[];
  /** The same with that time. */
  readonly silenceRecordedMs: readonly number[];
}

/** A caller who lost an agent is listened to for so long, ms. */
const LISTEN_MS = 1_500;
/** What the provider is asked for, and the commands in the log that ask for it once. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  "call.answer": ["AnswerCall"],
  "call.connect": ["EscalateCall", "ConnectCall"],
  "call.close": ["EscalateCall", "CloseCall"],
  "call.disconnect": ["DisconnectCall"],
};

/** Compares all that is known of a batch; looks at nothing but the evidence. */
export function audit(batch: BatchEvidence, promises: Promises = PROMISES): Audit {
  const problems: Problem[] = [];
  for (const { fault, atMs } of batch.hits)
    if (atMs === undefined)
      problems.push({ what: "phasesMissed", lane: fault.lane, text: `the call was never ${fault.phase}` });
  const silences: Silence[] = [];
  for (const call of batch.calls) {
    const wrong = (what: Zero, text: string) => problems.push({ what, lane: call.lane, text });
    checkCourse(call, wrong);
    checkContext(call, wrong);
    checkLog(call, wrong);
    checkSeats(call, wrong);
    checkVoices(call, wrong);
    for (const found of silencesOf(call, batch)) {
      silences.push(found);
      if (found.ms > promises.silenceMs)
        wrong("silencesTooLong", `${found.ms} ms of silence after an agent was lost`);
    }
  }
  return {
    problems,
    reofferMs: batch.calls.flatMap((call) => reoffersOf(call, batch)),
    takeoverMs: batch.calls.flatMap((call) => takeoversOf(call, batch)),
    silenceMs: silences.map(({ ms }) => ms),
    silenceRecordedMs: silences.map(({ recordedMs }) => recordedMs),
  };
}

type Wrong = (what: Zero, text: string) => void;

/** Every call ends, by the will of somebody in it; the provider is asked for each thing as often as it was commanded. */
function checkCourse({ providerEnd, commands, log }: CallEvidence, wrong: Wrong): void {
  if (providerEnd === undefined) wrong("callsStuck", "it did not end");
  else if (providerEnd !== "caller_hung_up" && providerEnd !== "agent_disconnected")
    wrong("callsDropped", `it ended by ${providerEnd}`);
  for (const [name, verbs] of Object.entries(VERBS)) {
    const times = commands.filter((command) => command === name).length;
    const begun = log.filter(
      ({ type, verb }) => type === "commandStarted" && verbs.includes(verb ?? ""),
    ).length;
    if (times > begun) wrong("commandsTwice", `${name} ${times} times, begun ${begun} times`);
  }
}

/**
 * What agents were told is stored is there, once and unaltered. A write whose agent died before it was told may be there or
 * not, but not in part.
 */
function checkContext(call: CallEvidence, wrong: Wrong): void {
  const { stored, notes } = call;
  const writing = notes.filter(isType("writing"));
  const written = new Set(notes.filter(isType("written")).map(({ turnId }) => turnId));
  const [only] = stored;
  const escalated = notes.some((note) => note.type === "escalated" && note.outcome === "CONNECTED");
  if (!only) {
    if (written.size > 0 || escalated) wrong("contextsLost", "it is not in the database");
    return;
  }
  if (stored.length > 1) wrong("contextsAltered", `${stored.length} documents`);
  const there = new Set(only.turns.map(({ id }) => id));
  const missing = [...written].filter((id) => !there.has(id));
  if (missing.length > 0) {
    wrong("contextsLost", `turns ${missing.join(", ")} were told as stored and are gone`);
    return;
  }
  if (summarySaved(call) && only.summary !== call.summary)
    wrong("contextsLost", "the summary of the escalation is gone");
  // Words are in no log: whoever goes on with an escalation must have saved them, or found them saved.
  else if (call.log.some(({ type }) => type === "connected") && only.summary === "")
    wrong("summariesLost", "a human was reached without the summary of the escalation");
  const turns = writing
    .filter(({ turnId }) => there.has(turnId))
    .map(({ turnId, text }) => ({ id: turnId, role: "AI", text }));
  const escalates = only.summary !== "";
  const expected: ContextView = {
    callId: call.callId,
    caller: call.caller,
    callee: call.callee,
    turns: sorted(turns),
    summary: escalates ? call.summary : "",
    reason: escalates ? "ASKED_FOR_HUMAN" : "",
  };
  const found = { ...only, turns: sorted(only.turns) };
  if (contentHash(expected) !== contentHash(found))
    wrong("contextsAltered", `${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
}

/** The log says that the context was written after an escalation had begun, before its gateway died. */
function summarySaved({ log }: CallEvidence): boolean {
  let begun = false;
  for (const { type, verb } of log) {
    if (type === "commandStarted" && verb === "EscalateCall") begun = true;
    if (type === "takenOver") begun = false;
    if (type === "contextWritten" && begun) return true;
  }
  return false;
}

function sorted(turns: ContextView["turns"]): ContextView["turns"] {
  return [...turns].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Numbers from 1 without gap or repeat, from arrival to end; what agents were told as durable is there. */
function checkLog({ log, notes }: CallEvidence, wrong: Wrong): void {
  const types = new Map<number, string>();
  let last = 0;
  for (const { sequence, type } of log) {
    if (sequence <= last) wrong("eventRepeats", `event ${sequence} (${type}) comes after ${last}`);
    else if (sequence > last + 1) wrong("eventGaps", `${last} is followed by ${sequence} (${type})`);
    last = Math.max(last, sequence);
    types.set(sequence, type);
  }
  const ends = log.filter(({ type }) => type === "ended").length;
  if (ends === 0) wrong(log.length === 0 ? "eventGaps" : "callsStuck", "the log has no end of the call");
  if (ends > 1) wrong("eventRepeats", "the call ended twice");
  for (const note of notes.filter(isType("event")))
    if (note.durable && types.get(note.sequence) !== note.event)
      wrong(
        "toldNotLogged",
        `an agent was told ${note.sequence} ${note.event}, the log has ${types.get(note.sequence) ?? "nothing"}`,
      );
}

/** One holder in each epoch, by the log and by what agents were told; epochs only grow. */
function checkSeats({ log, notes }: CallEvidence, wrong: Wrong): void {
  const holders = new Map<number, string>();
  const holds = (epoch: number, instance: string) => {
    const other = holders.get(epoch);
    if (other !== undefined && other !== instance)
      wrong("seatsTwice", `epoch ${epoch} was held by ${other} and by ${instance}`);
    holders.set(epoch, instance);
  };
  let last = 0;
  for (const { seat } of log) {
    if (seat?.state !== "HELD") continue;
    holds(seat.epoch, seat.instanceId);
    if (seat.epoch < last) wrong("seatsTwice", `epoch ${seat.epoch} was held again after ${last}`);
    last = Math.max(last, seat.epoch);
  }
  for (const note of notes) if (note.type === "given") holds(note.epoch, note.instance);
}

/** A caller hears only agents that held the seat, in the order of the log, each frame once. */
function checkVoices({ lane, heard, log, notes }: CallEvidence, wrong: Wrong): void {
  const voiceOf = new Map(notes.map(({ instance, voice }) => [instance, voice]));
  const holders = log.flatMap(({ seat }) => (seat?.state === "HELD" ? [voiceOf.get(seat.instanceId)] : []));
  let at = 0;
  for (const run of heard) {
    if (run.lane !== lane) wrong("wrongVoices", `the agent of call ${run.lane} was heard`);
    const next = holders.indexOf(run.voice, at);
    if (next < 0) wrong("wrongVoices", `agent ${run.voice} was heard without the seat`);
    else at = next;
  }
  // What an agent had queued at a gateway that died counts as not heard, whether that had the call or only relayed its agent:
  // it is played once more.
  const calls = log.filter(({ type }) => type === "takenOver").length;
  const seats = log.filter(({ seat }) => seat?.cause === "TAKEN_OVER").length;
  const takeovers = Math.max(calls, seats);
  const repeats = heard.reduce((sum, run) => sum + run.repeats, 0);
  if (repeats > takeovers) wrong("wrongVoices", `frames were heard again, ${repeats} times`);
}

interface Silence {
  readonly ms: number;
  readonly recordedMs: number;
}

/** The longest silence after each loss of an agent of an answered call, unless something else broke as well. */
function silencesOf(call: CallEvidence, batch: BatchEvidence): Silence[] {
  if (!isClean(batch)) return [];
  const { log, silent } = call;
  const answered = log.find(({ type }) => type === "answered");
  return log.flatMap((event, index) => {
    if (event.seat?.cause !== "LOST" || !answered || answered.atMs > event.atMs) return [];
    const later = log.slice(index + 1);
    const end = later.find(
      ({ type, seat }) => seat?.state === "HELD" || type === "connected" || type === "ended",
    );
    const connected = log.slice(0, index).some(({ type }) => type === "connected");
    if (connected) return [];
    const startMs = event.atMs;
    const endMs = Math.min(end?.atMs ?? Number.POSITIVE_INFINITY, startMs + LISTEN_MS, call.endedAtMs);
    const all = silent.map((span) => {
      const heard = { startMs: Math.max(span.startMs, startMs), endMs: Math.min(span.endMs, endMs) };
      const stoodMs = batch.stalls.reduce((sum, stall) => sum + Math.max(0, overlapMs(stall, heard)), 0);
      const recordedMs = heard.endMs - heard.startMs;
      return { ms: recordedMs - stoodMs, recordedMs };
    });
    const longest = (pick: (one: Silence) => number) => Math.round(Math.max(0, ...all.map(pick)));
    return [{ ms: longest(({ ms }) => ms), recordedMs: longest(({ recordedMs }) => recordedMs) }];
  });
}

function overlapMs(a: Span, b: Span): number {
  return Math.min(a.endMs, b.endMs) - Math.max(a.startMs, b.startMs);
}

function reoffersOf({ log }: CallEvidence, batch: BatchEvidence): number[] {
  if (!isClean(batch)) return [];
  return log.flatMap((event, index) => {
    if (event.seat?.cause !== "LOST") return [];
    const next = log.slice(index + 1).find(({ type, seat }) => type === "offered" || seat?.state === "HELD");
    return next?.type === "offered" ? [next.atMs - event.atMs] : [];
  });
}

function takeoversOf({ log }: CallEvidence, { hits }: BatchEvidence): number[] {
  const killed = hits.find(({ fault }) => fault.victim === "gateway" && fault.how === "kill")?.atMs;
  if (killed === undefined) return [];
  return log.flatMap(({ type, atMs }) => (type === "takenOver" && atMs > killed ? [atMs - killed] : []));
}

/** Nothing broke that has agents' seats lost by itself: what is measured then has one cause. */
function isClean({ hits }: BatchEvidence): boolean {
  return hits.every(({ fault }) => fault.victim === "agent" || fault.victim === "mongodb");
}

function isType<T extends AgentNote["type"]>(type: T) {
  return (note: AgentNote): note is Extract<AgentNote, { type: T }> => note.type === type;
}
