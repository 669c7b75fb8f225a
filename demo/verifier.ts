import type { CallContext } from "callweave";
import { findAudio, longestSilence, type Match } from "./audio-match.js";
import { type Evidence, providerEvent, ringing } from "./evidence.js";
import { type Expectation, VOICES } from "./scenario.js";

/** One thing looked at. */
export interface Check {
  readonly name: CheckName;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
}

/** Names of the checks. */
export type CheckName =
  | "callStates"
  | "eventSequence"
  | "endReason"
  | "providerEnd"
  | "commands"
  | "contextStatus"
  | "contextSummary"
  | "contextTurns"
  | "contextConsent"
  | "contextWhileRinging"
  | "transcript"
  | "agentHeardByCaller"
  | "announcementHeardFully"
  | "noSilenceWhileRinging"
  | "specialistHearsNoAgent"
  | "agentLeft"
  | "callerSpecialistTalked";

/** Something that was said and where the recording has it. */
export interface SaidAt {
  readonly text: string;
  readonly match: Match | undefined;
}

/** The verdict on one call. */
export interface Verdict {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** Undefined: there was nothing to announce. */
  readonly announcementHeardFully: boolean | undefined;
  readonly callerSpecialistTalked: boolean;
  readonly agentLeft: boolean;
  /** Share of the caller's words in the context's turns, 0 to 1; undefined when nothing was to be understood. */
  readonly wordShare: number | undefined;
  /** The agent's turns where the caller heard them. */
  readonly agentSaid: readonly SaidAt[];
}

/** Gives the audio of a sentence in a voice at the rate of the call: the reference that recordings are compared with. */
export type Speak = (text: string, voice: string) => Promise<Int16Array>;

/** Limits of the verifier. */
export const LIMITS = {
  /** Share of the caller's words that has to be in the transcript. */
  minWordShare: 0.6,
  /** Longest silence that the caller may hear while the specialist's phone rings, ms. */
  maxSilenceMs: 2000,
  /** What of a sentence may be missing that still counts as heard, ms: less than one frame, too short to be heard. */
  maxMissingMs: 20,
  /** Hold sound that the specialist may hear at pick-up, ms: what the gateway gives ahead of the ear, and a frame. */
  maxHoldTailMs: 140,
  /** Holes in one sentence, ms in all, that still count as heard: the provider's buffer ran empty. */
  maxHolesMs: 400,
} as const;

/**
 * Judges a call by its evidence alone: recordings and record of the provider, the gateway's API. What the agent believes
 * is not asked.
 * @param speak makes the reference audio of what should have been said
 */
export async function verify(evidence: Evidence, expected: Expectation, speak: Speak): Promise<Verdict> {
  const agentSaid = await locateAgentTurns(evidence, speak);
  const announcement = await announcementHeard(evidence, expected, speak);
  const talked = await partiesTalked(evidence, expected, speak);
  const left = agentLeft(evidence, expected);
  const wordShare = sharedWords(evidence.context, expected);
  const checks: Check[] = [
    callStates(evidence, expected),
    eventSequence(evidence),
    check("endReason", endReasonOf(evidence) === expected.endReason, String(endReasonOf(evidence))),
    check("providerEnd", evidence.providerEnd === expected.providerEnd, String(evidence.providerEnd)),
    commands(evidence, expected),
    ...contextChecks(evidence, expected),
    check(
      "transcript",
      wordShare === undefined || wordShare >= LIMITS.minWordShare,
      wordShare === undefined ? "nothing to understand" : `${Math.round(wordShare * 100)} % of the words`,
    ),
    agentHeard(agentSaid),
    ...(announcement ? [announcement] : []),
    ...silenceWhileRinging(evidence),
    specialistHearsNoAgent(evidence),
    left,
    talked,
  ];
  return {
    ok: checks.every(({ ok }) => ok),
    checks,
    announcementHeardFully: announcement?.ok,
    callerSpecialistTalked: expected.talk !== undefined && talked.ok,
    agentLeft: expected.talk !== undefined && left.ok,
    wordShare,
    agentSaid,
  };
}

function check(name: CheckName, ok: boolean, detail: string): Check {
  return { name, ok, detail };
}

// The gateway's API.

/** States as WatchCalls told them. */
export function statesOf(evidence: Evidence): string[] {
  const STATE: Readonly<Record<string, string>> = {
    arrived: "PENDING",
    answered: "ANSWERED",
    connected: "CONNECTED",
    ended: "DISCONNECTED",
  };
  return evidence.gatewayEvents.flatMap(({ type }) => STATE[type] ?? []);
}

/** Why the gateway says that the call ended. */
export function endReasonOf(evidence: Evidence): string | undefined {
  const ended = evidence.gatewayEvents.find((event) => event.type === "ended");
  return ended?.type === "ended" ? ended.reason : undefined;
}

/** How escalations ended, one after the other. */
export function escalationOutcomesOf(evidence: Evidence): string[] {
  return evidence.gatewayEvents.flatMap((event) =>
    event.type === "commandDone" && event.escalation ? [event.escalation.outcome] : [],
  );
}

function callStates(evidence: Evidence, expected: Expectation): Check {
  const states = statesOf(evidence);
  const outcomes = escalationOutcomesOf(evidence);
  const ok = same(states, expected.states) && same(outcomes, expected.escalationOutcomes);
  return check(
    "callStates",
    ok,
    [...states, ...outcomes.map((outcome) => `escalation ${outcome}`)].join(", "),
  );
}

function eventSequence(evidence: Evidence): Check {
  const own = evidence.gatewayEvents.filter(({ callId }) => callId === evidence.callId);
  const wrong = own.findIndex(({ sequence }, index) => sequence !== index + 1);
  const ok = own.length > 0 && own.length === evidence.gatewayEvents.length && wrong < 0;
  return check("eventSequence", ok, ok ? `1 to ${own.length}` : `gap or stranger at event ${wrong + 1}`);
}

/** Nothing was done to the call that had no reason. */
function commands(evidence: Evidence, expected: Expectation): Check {
  const count = (type: string) =>
    evidence.providerEvents.filter((event) => event.direction === "in" && event.type === type).length;
  const found = {
    answer: count("call.answer"),
    connect: count("call.connect"),
    close: count("call.close"),
    disconnect: count("call.disconnect"),
  };
  const ok =
    found.answer === 1 &&
    found.connect === expected.escalationOutcomes.length &&
    found.close === (expected.talk ? 1 : 0) &&
    found.disconnect === (expected.providerEnd === "agent_disconnected" ? 1 : 0);
  const text = Object.entries(found).map(([name, times]) => `${name} ${times}×`);
  return check("commands", ok, text.join(", "));
}

// The context.

function contextChecks(evidence: Evidence, expected: Expectation): Check[] {
  const { context } = evidence;
  if (!context) return [check("contextStatus", false, "no context")];
  const reason = context.escalationReason;
  const outcome = expected.contextOutcome;
  const statusOk =
    context.status === expected.status &&
    reason === expected.escalationReason &&
    (outcome === undefined || context.outcome === outcome);
  const words = [context.status, reason, context.outcome].filter(Boolean).join(", ");
  return [
    check("contextStatus", statusOk, words),
    summaryCheck(context, expected),
    turnsCheck(context, expected),
    check(
      "contextConsent",
      context.consent?.transcript === true && context.consent.disclosedTime !== undefined,
      context.consent?.disclosedTime ? "disclosed" : "not disclosed",
    ),
    ...whileRinging(evidence, expected),
  ];
}

function summaryCheck(context: CallContext, expected: Expectation): Check {
  const summary = context.summary ?? "";
  const sentences = summary.match(/[^.!?]+[.!?]+/g)?.length ?? 0;
  const missing = expected.summaryContains.filter((words) => !summary.includes(words));
  const ok = sentences >= 1 && sentences <= 3 && missing.length === 0;
  return check("contextSummary", ok, missing.length > 0 ? `misses “${missing.join("”, “")}”` : summary);
}

function turnsCheck(context: CallContext, expected: Expectation): Check {
  const said = context.turns.filter(({ role }) => role === "AI").map(({ text }) => text);
  let at = 0;
  for (const text of said) if (text === expected.agentSays[at]) at++;
  const callerTurns = context.turns.filter(({ role }) => role === "CALLER").length;
  const understood = expected.callerSaid.filter((sentence) => sentence.understood).length;
  const times = context.turns.map(({ time }) => time?.getTime() ?? 0);
  const missing = expected.agentSays[at];
  const complete = context.turnCount === context.turns.length;
  const ok =
    missing === undefined && callerTurns >= understood && complete && times.every((time) => time > 0);
  const detail =
    missing === undefined
      ? `${said.length} of the agent, ${callerTurns} of the caller${complete ? "" : ", incomplete"}`
      : `misses the agent's “${missing}”`;
  return check("contextTurns", ok, detail);
}

/** The desk had why and what before anybody picked up. */
function whileRinging(evidence: Evidence, expected: Expectation): Check[] {
  if (expected.escalationOutcomes.length === 0) return [];
  const read = evidence.contextWhileRinging;
  const [rang] = ringing(evidence);
  const ok =
    read !== undefined &&
    rang !== undefined &&
    read.atMs < rang.endMs &&
    read.context.callId === evidence.callId &&
    read.context.status === "ESCALATING" &&
    read.context.escalationReason === expected.escalationReason &&
    (read.context.summary ?? "") !== "";
  const detail = read ? `${read.context.status} at ${seconds(read.atMs)}` : "not there";
  return [check("contextWhileRinging", ok, detail)];
}

/** How many of the words that the caller said are in the transcript, in their order. */
function sharedWords(context: CallContext | undefined, expected: Expectation): number | undefined {
  const said = wordsOf(expected.callerSaid.filter(({ understood }) => understood).map(({ text }) => text));
  if (said.length === 0) return undefined;
  const turns = context?.turns.filter(({ role }) => role === "CALLER").map(({ text }) => text) ?? [];
  return commonWords(said, wordsOf(turns)) / said.length;
}

function wordsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => text.toLowerCase().match(/[a-z']+/g) ?? []);
}

/** Length of the longest common subsequence. */
function commonWords(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    for (let i = 0; i < b.length; i++) {
      next.push(word === b[i] ? (row[i] ?? 0) + 1 : Math.max(row[i + 1] ?? 0, next[i] ?? 0));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

// The recordings.

function sentencesOf(text: string): string[] {
  return text.match(/[^.!?]+[.!?]+/g)?.map((sentence) => sentence.trim()) ?? [text];
}

/** A text, sentence by sentence, from `fromMs` on; holes and what is missing are those of the worst sentence. */
async function locate(
  text: string,
  voice: string,
  recording: Int16Array,
  evidence: Evidence,
  speak: Speak,
  window: { readonly fromMs: number; readonly toMs?: number },
): Promise<Match | undefined> {
  let whole: Match | undefined;
  let fromMs = window.fromMs;
  const sentences = sentencesOf(text);
  let found = 0;
  let all = 0;
  let missingMs = 0;
  for (const sentence of sentences) {
    const piece = await speak(sentence, voice);
    const match = findAudio(piece, recording, {
      sampleRateHz: evidence.sampleRateHz,
      fromMs,
      ...(window.toMs === undefined ? {} : { toMs: window.toMs }),
    });
    all += piece.length;
    found += (match?.share ?? 0) * piece.length;
    missingMs = Math.max(missingMs, match?.missingMs ?? (piece.length * 1000) / evidence.sampleRateHz);
    if (!match) continue;
    fromMs = match.endMs;
    whole = {
      startMs: whole?.startMs ?? match.startMs,
      endMs: match.endMs,
      holesMs: Math.max(whole?.holesMs ?? 0, match.holesMs),
      missingMs: 0,
      share: 0,
    };
  }
  return whole && { ...whole, missingMs, share: found / Math.max(1, all) };
}

const isWhole = (match: Match | undefined) =>
  match !== undefined && match.missingMs < LIMITS.maxMissingMs && match.holesMs <= LIMITS.maxHolesMs;

/** Where the caller heard each turn that the context says the agent said. */
async function locateAgentTurns(evidence: Evidence, speak: Speak): Promise<SaidAt[]> {
  const found: SaidAt[] = [];
  let fromMs = 0;
  for (const turn of evidence.context?.turns ?? []) {
    if (turn.role !== "AI") continue;
    const text = turn.interrupted ? turn.heard || turn.text : turn.text;
    const match = await locate(text, VOICES.agent, evidence.heard.caller, evidence, speak, { fromMs });
    if (match) fromMs = match.endMs;
    found.push({ text, match });
  }
  return found;
}

/** What the context says was said was heard, except for the last turn, which the end of the call may have cut off. */
function agentHeard(said: readonly SaidAt[]): Check {
  const missing = said.filter(({ match }, index) => index < said.length - 1 && !isWhole(match));
  const how = ({ text, match }: SaidAt) =>
    `${Math.floor((match?.share ?? 0) * 100)} % with ${Math.round(match?.holesMs ?? 0)} ms of holes of “${text}”`;
  const detail = missing.length === 0 ? `${said.length} turns` : missing.map(how).join("; ");
  return check("agentHeardByCaller", said.length > 0 && missing.length === 0, detail);
}

/** The last thing that the agent has to say, whole, and before the effect that follows it. */
async function announcementHeard(
  evidence: Evidence,
  expected: Expectation,
  speak: Speak,
): Promise<Check | undefined> {
  const byAgent = expected.providerEnd === "agent_disconnected";
  if (expected.announcement === undefined && !byAgent) return undefined;
  const details: string[] = [];
  let ok = true;
  const look = async (text: string, what: string, beforeMs: number | undefined) => {
    const { caller } = evidence.heard;
    const toMs = beforeMs ?? evidence.durationMs;
    const match = await locate(text, VOICES.agent, caller, evidence, speak, { fromMs: 0, toMs });
    if (beforeMs === undefined || !isWhole(match)) ok = false;
    const share = `${Math.floor((match?.share ?? 0) * 100)} % of “${text}”`;
    details.push(
      `${share} before ${what}${beforeMs === undefined ? ", which never came" : ` at ${seconds(beforeMs)}`}`,
    );
  };
  if (expected.announcement !== undefined) {
    const connect = evidence.providerEvents.find((e) => e.direction === "in" && e.type === "call.connect");
    await look(expected.announcement, "connect", connect?.atMs);
  }
  const last = expected.agentSays.at(-1);
  if (byAgent && last !== undefined) {
    const end = evidence.providerEvents.find((e) => e.direction === "in" && e.type === "call.disconnect");
    await look(last, "disconnect", end?.atMs);
  }
  return check("announcementHeardFully", ok, details.join("; "));
}

function silenceWhileRinging(evidence: Evidence): Check[] {
  return ringing(evidence).map((rang) => {
    // From before the ringing: the silence may have begun with the end of the announcement.
    const fromMs = Math.max(0, rang.startMs - LIMITS.maxSilenceMs);
    const silence = longestSilence(evidence.heard.caller, evidence.sampleRateHz, fromMs, rang.endMs);
    const lengthMs = silence.endMs - silence.startMs;
    return check(
      "noSilenceWhileRinging",
      lengthMs <= LIMITS.maxSilenceMs,
      `rang ${seconds(rang.endMs - rang.startMs)}, longest silence ${Math.round(lengthMs)} ms`,
    );
  });
}

/**
 * By the provider's record, and by what is in the recording besides the caller. The gateway hears of the pick-up by its
 * response; hold sound that the provider has by then (`maxHoldTailMs`) may still be played. Nothing the agent said may.
 */
function specialistHearsNoAgent(evidence: Evidence): Check {
  const noted = evidence.agentAtSpecialist.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
  const frames = strangeFrames(evidence.heard.specialist, evidence.said.caller, evidence.sampleRateHz, 0);
  const pickedUpMs = providerEvent(evidence, "ring.picked_up")?.atMs ?? 0;
  const lastMs = pickedUpMs + 2 * LIMITS.maxHoldTailMs;
  const holdTail = frames.every(({ atMs, sound }) => atMs <= lastMs && isPartOf(sound, evidence.holdSound));
  const strangeMs = frames.length * FRAME_MS;
  const ok = holdTail && Math.max(noted, strangeMs) <= LIMITS.maxHoldTailMs && (noted === 0 || strangeMs > 0);
  const what = holdTail && strangeMs > 0 ? "of the hold sound's tail" : "of sound that is not the caller's";
  return check(
    "specialistHearsNoAgent",
    ok,
    `${Math.round(noted)} ms by the record, ${strangeMs} ms ${what}`,
  );
}

const FRAME_MS = 20;

/** The frames of what somebody heard that are not what the other said, and what is in them besides it. */
function strangeFrames(
  heard: Int16Array,
  said: Int16Array,
  sampleRateHz: number,
  fromMs: number,
): { readonly atMs: number; readonly sound: Int16Array }[] {
  const length = (sampleRateHz * FRAME_MS) / 1000;
  const frames: { atMs: number; sound: Int16Array }[] = [];
  for (
    let at = Math.ceil((fromMs * sampleRateHz) / 1000 / length) * length;
    at < heard.length;
    at += length
  ) {
    const sound = heard.slice(at, at + length).map((sample, i) => sample - (said[at + i] ?? 0));
    const isStrange = sound.some((rest, i) => heard[at + i] !== 0 && Math.abs(rest) > 2);
    if (isStrange) frames.push({ atMs: (at * 1000) / sampleRateHz, sound });
  }
  return frames;
}

/** Whether what sounds in a frame is, sample by sample, somewhere in a loop. */
function isPartOf(frame: Int16Array, loop: Int16Array): boolean {
  const first = frame.findIndex((sample) => Math.abs(sample) > 2);
  const last = frame.findLastIndex((sample) => Math.abs(sample) > 2);
  const sound = frame.subarray(first, last + 1);
  for (let at = 0; at < loop.length; at++) {
    let i = 0;
    while (i < sound.length && Math.abs((loop[(at + i) % loop.length] as number) - (sound[i] as number)) <= 3)
      i++;
    if (i === sound.length) return true;
  }
  return false;
}

function agentLeft(evidence: Evidence, expected: Expectation): Check {
  const left = providerEvent(evidence, "agent.left");
  if (!expected.talk) {
    return check("agentLeft", left === undefined, left ? "left a call that it had to end" : "not asked for");
  }
  if (!left) return check("agentLeft", false, "still in the call");
  const { heard, said, sampleRateHz } = evidence;
  const afterMs = left.atMs + 100;
  const after = heard.agent.subarray(Math.ceil((afterMs * sampleRateHz) / 1000));
  const hears = after.some((sample) => sample !== 0);
  const heardStill = strangeFrames(heard.caller, said.specialist, sampleRateHz, afterMs).length * FRAME_MS;
  const problems = [
    ...(hears ? ["still hears the call"] : []),
    ...(heardStill > 0 ? [`the caller hears ${heardStill} ms that are not the specialist's`] : []),
  ];
  return check("agentLeft", problems.length === 0, [`at ${seconds(left.atMs)}`, ...problems].join(", "));
}

/** After the agent left, each heard all that the other said. */
async function partiesTalked(evidence: Evidence, expected: Expectation, speak: Speak): Promise<Check> {
  const name = "callerSpecialistTalked";
  if (!expected.talk) {
    const picked = providerEvent(evidence, "ring.picked_up");
    return check(name, picked === undefined, picked ? "picked up, which nobody expected" : "not asked for");
  }
  const left = providerEvent(evidence, "agent.left");
  if (!left) return check(name, false, "the agent never left");
  const missing: string[] = [];
  const look = async (texts: readonly string[], voice: string, recording: Int16Array, who: string) => {
    let fromMs = left.atMs;
    for (const text of texts) {
      const match = await locate(text, voice, recording, evidence, speak, { fromMs });
      if (isWhole(match) && match) fromMs = match.endMs;
      else missing.push(`${who} heard ${Math.floor((match?.share ?? 0) * 100)} % of “${text}”`);
    }
  };
  await look(expected.talk.specialist, VOICES.specialist, evidence.heard.caller, "the caller");
  await look(expected.talk.caller, VOICES.caller, evidence.heard.specialist, "the specialist");
  return check(name, missing.length === 0, missing.length === 0 ? "both ways" : missing.join("; "));
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
