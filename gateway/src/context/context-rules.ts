import { CallError, invalidField } from "../call/call-error.js";
import type { CallSnapshot } from "../call/call-state.js";
import { canonicalNumber } from "../util/numbers.js";
import type { Redactor } from "../util/redact.js";
import { isObject } from "../util/tagged-json.js";
import type { CallContext, ContextInput, MaskField, Turn } from "./context-types.js";

/** Bounds of a context that the contract does not name. */
export interface ContextLimits {
  /** Turns of one context. */
  readonly maxTurns: number;
  /** UTF-8 bytes of the words of all turns. */
  readonly maxTurnBytes: number;
  /** Notes of one context. */
  readonly maxNotes: number;
}

/** Stands for the words of a turn while the talk is paused. */
export const PAUSED_MARK = "[paused]";
const MAX_DATA_BYTES = 65_536;
const MAX_DATA_DEPTH = 32;
const LOCALE = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$/;

/** A text within its bounds, counted in UTF-16 units. Throws INVALID_FIELD. */
export function bounded(field: string, value: string, min: number, max: number): string {
  if (value.length < min || value.length > max)
    throw invalidField(field, `${min} to ${max} characters`, `${value.length} characters`);
  return value;
}

/** A call id. Throws INVALID_FIELD. */
export function requireCallId(callId: string): string {
  return bounded("call_id", callId, 1, 200);
}

/** A number in the writing that is stored and looked up. Throws INVALID_FIELD for what is none. */
export function requireNumber(field: string, raw: string, countryCode: string): string {
  const number = canonicalNumber(raw, countryCode);
  if (number === undefined) throw invalidField(field, "a phone number, or empty when withheld");
  return number;
}

/** Checks all of an input and brings it into the form that is stored: numbers in one writing, words redacted. */
export function cleanInput(input: ContextInput, countryCode: string, redactor: Redactor): ContextInput {
  requireCallId(input.callId);
  const { sessionId, caller, callee, locale, routingHint, summary, turns, data, outcome } = input;
  if (locale) requireLocale("locale", locale);
  return {
    ...input,
    ...(sessionId !== undefined && { sessionId: bounded("session_id", sessionId, 0, 200) }),
    ...(caller !== undefined && { caller: requireNumber("caller", caller, countryCode) }),
    ...(callee !== undefined && { callee: requireNumber("callee", callee, countryCode) }),
    ...(routingHint !== undefined && {
      routingHint: redactor.text(bounded("routing_hint", routingHint, 0, 100)),
    }),
    ...(summary !== undefined && { summary: redactor.text(bounded("summary", summary, 0, 2000)) }),
    ...(outcome !== undefined && { outcome: redactor.text(bounded("outcome", outcome, 0, 500)) }),
    ...(turns !== undefined && { turns: turns.map((turn) => cleanTurn(turn, redactor)) }),
    ...(data !== undefined && { data: cleanData(data, redactor) }),
  };
}

/** Checks a turn and redacts its words. Throws INVALID_FIELD. */
export function cleanTurn(turn: Turn, redactor: Redactor): Turn {
  if (Number.isNaN(turn.time.getTime())) throw invalidField("turns.time", "a time");
  if (turn.locale !== "") requireLocale("turns.locale", turn.locale);
  return {
    id: bounded("turns.id", turn.id, 1, 100),
    role: turn.role,
    text: redactor.text(bounded("turns.text", turn.text, 0, 10_000)),
    locale: turn.locale,
    time: turn.time,
    heard: redactor.text(bounded("turns.heard", turn.heard, 0, 10_000)),
    interrupted: turn.interrupted,
  };
}

/** A note's text, checked and redacted. Throws INVALID_FIELD. */
export function cleanNote(text: string, redactor: Redactor): string {
  return redactor.text(bounded("add_note", text, 1, 2000));
}

/** Data that JSON can carry, without keys that could change objects of programs, redacted. */
export function cleanData(
  data: Readonly<Record<string, unknown>>,
  redactor: Redactor,
): Record<string, unknown> {
  requireJson(data, 0);
  return requireDataSize(redactor.value(data) as Record<string, unknown>);
}

function requireDataSize(data: Record<string, unknown>): Record<string, unknown> {
  const bytes = Buffer.byteLength(JSON.stringify(data));
  if (bytes > MAX_DATA_BYTES)
    throw invalidField("data", `at most ${MAX_DATA_BYTES} bytes as JSON`, `${bytes} bytes`);
  return data;
}

function requireJson(value: unknown, depth: number): void {
  if (depth > MAX_DATA_DEPTH) throw invalidField("data", `at most ${MAX_DATA_DEPTH} levels deep`);
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (const item of value) requireJson(item, depth + 1);
    return;
  }
  const plain = isObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (!plain) throw invalidField("data", "a JSON object", typeof value);
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") throw invalidField("data", "without the key __proto__");
    requireJson(item, depth + 1);
  }
}

function requireLocale(field: string, locale: string): void {
  if (locale.length > 35 || !LOCALE.test(locale)) throw invalidField(field, "a BCP 47 tag", locale);
}

/** A context before its first write: revision 0, ACTIVE, with what is known of a live call. */
export function emptyContext(
  tenant: string,
  callId: string,
  now: Date,
  countryCode: string,
  call?: CallSnapshot,
): CallContext {
  return {
    tenant,
    callId,
    sessionId: call?.sessionId ?? "",
    caller: call ? (canonicalNumber(call.caller, countryCode) ?? call.caller) : "",
    callee: call ? (canonicalNumber(call.callee, countryCode) ?? call.callee) : "",
    locale: call?.locale ?? "",
    status: "ACTIVE",
    routingHint: "",
    summary: "",
    turns: [],
    turnCount: 0,
    truncated: false,
    data: {},
    notes: [],
    outcome: "",
    revision: 0,
    createTime: now,
    updateTime: now,
    expireTime: now,
  };
}

/**
 * Writes what a save or a step of the call sets: fields that are set (and not empty) replace, turns are added by id, data
 * is merged by key.
 */
export function applySave(context: CallContext, input: ContextInput, limits: ContextLimits): CallContext {
  const { callId: _callId, turns, data, summary, summarySource: _source, ...fields } = input;
  const isGiven = (value: unknown) => value !== undefined && value !== "";
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => isGiven(value)));
  let next: CallContext = { ...context, ...given };
  if (summary) next = { ...next, summary, summarySource: input.summarySource ?? "MODEL" };
  if (data) next = { ...next, data: requireDataSize({ ...context.data, ...data }) };
  next = addTurns(next, turns ?? [], limits);
  return withConsent(next);
}

/** Writes the fields of the mask; a field that is named but not set is cleared. */
export function applyMask(
  context: CallContext,
  input: ContextInput,
  mask: readonly MaskField[],
): CallContext {
  const next: { -readonly [k in keyof CallContext]: CallContext[k] } = { ...context };
  for (const field of mask) {
    switch (field) {
      case "status":
        if (!input.status) throw invalidField("status", "set when the mask names it");
        next.status = input.status;
        break;
      case "escalation_reason":
        set(next, "escalationReason", input.escalationReason);
        break;
      case "routing_hint":
        next.routingHint = input.routingHint ?? "";
        break;
      case "summary":
        next.summary = input.summary ?? "";
        if (!mask.includes("summary_source"))
          set(next, "summarySource", next.summary ? (input.summarySource ?? "MODEL") : undefined);
        break;
      case "summary_source":
        set(next, "summarySource", input.summarySource);
        break;
      case "locale":
        next.locale = input.locale ?? "";
        break;
      case "data":
        next.data = input.data ?? {};
        break;
      case "consent":
        set(next, "consent", input.consent);
        break;
      case "outcome":
        next.outcome = input.outcome ?? "";
        break;
    }
  }
  return withConsent(next);
}

/** Adds turns whose id is new; of known ones `heard` and `interrupted` may be added. The same object if nothing changed. */
export function addTurns(context: CallContext, turns: readonly Turn[], limits: ContextLimits): CallContext {
  if (turns.length === 0 || context.consent?.transcript === false) return context;
  const places = new Map(context.turns.map((turn, place) => [turn.id, place]));
  const all = [...context.turns];
  let changed = false;
  for (const turn of turns) {
    const place = places.get(turn.id);
    if (place === undefined) {
      const kept = context.consent?.paused ? { ...turn, text: PAUSED_MARK, heard: "" } : turn;
      places.set(turn.id, all.push(kept) - 1);
      changed = true;
      continue;
    }
    const known = all[place] as Turn;
    const wordless = context.consent?.paused || known.text === PAUSED_MARK;
    const heard = known.heard || (wordless ? "" : turn.heard);
    const interrupted = known.interrupted || turn.interrupted;
    if (heard === known.heard && interrupted === known.interrupted) continue;
    all[place] = { ...known, heard, interrupted };
    changed = true;
  }
  if (!changed) return context;
  if (all.length > limits.maxTurns) throw limitReached("max_turns", limits.maxTurns);
  if (all.reduce((sum, turn) => sum + turnBytes(turn), 0) > limits.maxTurnBytes)
    throw limitReached("max_turn_bytes", limits.maxTurnBytes);
  return { ...context, turns: all, turnCount: all.length };
}

/** After a refusal nothing of what was said stays: no turns and no summary of them. */
export function withConsent(context: CallContext): CallContext {
  if (context.consent?.transcript !== false) return context;
  const { summarySource: _source, ...rest } = context;
  return { ...rest, summary: "", turns: [], turnCount: 0 };
}

/** The error of a bound. */
export function limitReached(limit: string, max: number): CallError {
  return new CallError("LIMIT_REACHED", `at most ${max} (${limit})`, { limit, max: String(max) });
}

/** Without turns. */
export function headerOf(context: CallContext): CallContext {
  if (context.turns.length === 0) return context;
  return { ...context, turns: [], truncated: true };
}

/**
 * The context cut to about `maxBytes` of UTF-8: the header stays, its data and the newest notes if they fit, then the
 * newest turns. `truncated` says that something is left out.
 */
export function cutTo(context: CallContext, maxBytes: number): CallContext {
  let left = maxBytes - Buffer.byteLength(context.summary) - Buffer.byteLength(context.outcome) - 512;
  const dataBytes = Buffer.byteLength(JSON.stringify(context.data));
  const keepData = dataBytes <= left;
  if (keepData) left -= dataBytes;
  const notes = newestWithin(context.notes, left / 4, (note) => Buffer.byteLength(note.text) + 100);
  left -= notes.bytes;
  const turns = newestWithin(context.turns, left, (turn) => turnBytes(turn) + 64);
  const whole =
    keepData && notes.items.length === context.notes.length && turns.items.length === context.turns.length;
  if (whole) return context;
  return {
    ...context,
    data: keepData ? context.data : {},
    notes: notes.items,
    turns: turns.items,
    truncated: true,
  };
}

function newestWithin<T>(
  items: readonly T[],
  maxBytes: number,
  size: (item: T) => number,
): { readonly items: readonly T[]; readonly bytes: number } {
  let bytes = 0;
  let first = items.length;
  while (first > 0) {
    const next = size(items[first - 1] as T);
    if (bytes + next > maxBytes) break;
    bytes += next;
    first--;
  }
  return { items: items.slice(first), bytes };
}

function turnBytes(turn: Turn): number {
  return Buffer.byteLength(turn.text) + Buffer.byteLength(turn.heard) + turn.id.length;
}

function set<K extends "escalationReason" | "summarySource" | "consent">(
  target: { -readonly [k in keyof CallContext]: CallContext[k] },
  key: K,
  value: CallContext[K] | undefined,
): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}
