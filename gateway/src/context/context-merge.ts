import { canonical, contextHash } from "./context-hash.js";
import { withConsent } from "./context-rules.js";
import type { CallContext, ContextConflict, ContextNote, Turn } from "./context-types.js";

/** Hashes that a context keeps of states that waited in a spool; older ones are dropped. */
const MAX_LINEAGE = 48;
/** Conflicts of one context; beyond it the oldest are dropped. */
const MAX_CONFLICTS = 1000;

/** From what a waiting state was made. */
export type MergeBase =
  /** There was nothing. */
  | { readonly kind: "none" }
  /** Nobody could say; `header` is what the first write began with. */
  | { readonly kind: "unknown"; readonly header: CallContext }
  /** This was in the store: its hash, and it without turns and notes. */
  | { readonly kind: "known"; readonly hash: string; readonly header: CallContext };

const FIELDS = {
  sessionId: "session_id",
  caller: "caller",
  callee: "callee",
  locale: "locale",
  status: "status",
  escalationReason: "escalation_reason",
  routingHint: "routing_hint",
  summary: "summary",
  outcome: "outcome",
  escalationOutcome: "escalation_outcome",
} as const satisfies Partial<Record<keyof CallContext, string>>;

type Field = keyof typeof FIELDS;

/** The base of a write on a context of the store. */
export function knownBase(context: CallContext): MergeBase {
  return { kind: "known", hash: contextHash(context), header: baseHeader(context) };
}

/** The base of a write while nobody could say what there is. */
export function unknownBase(context: CallContext): MergeBase {
  return { kind: "unknown", header: baseHeader(context) };
}

/**
 * From what two waiting states may be merged: what both were made from. When that differs, what one of them does not have
 * may be what it never knew, and is no deletion.
 */
export function commonBase(mine: MergeBase, theirs: MergeBase): MergeBase {
  if (mine.kind !== "known") return mine;
  const same = theirs.kind === "known" && theirs.hash === mine.hash;
  return same ? mine : { kind: "unknown", header: mine.header };
}

function baseHeader(context: CallContext): CallContext {
  const { lineage: _lineage, conflicts: _conflicts, ...rest } = context;
  return { ...rest, turns: [], notes: [] };
}

/** A waiting state after another one that waited too: the hash of that is added to its lineage. */
export function descended(context: CallContext, ...from: readonly CallContext[]): CallContext {
  const hashes = [
    ...from.flatMap((one) => one.lineage ?? []),
    ...(context.lineage ?? []),
    ...from.map(contextHash),
  ];
  return { ...context, lineage: [...new Set(hashes)].slice(-MAX_LINEAGE) };
}

/** What to do with a waiting state, given what the store has. */
export type ReplayStep =
  | { readonly do: "nothing" }
  | { readonly do: "write"; readonly context: CallContext }
  /** `conflicts`: how many were added. */
  | { readonly do: "merge"; readonly context: CallContext; readonly conflicts: number };

/**
 * What has to be written so that the store has the waiting state: nothing when it has it already (or what was made of
 * it), the state itself when the store still has what it was made from, else both merged.
 */
export function replayStep(
  waiting: CallContext,
  base: MergeBase,
  stored: CallContext | undefined,
  now: Date,
): ReplayStep {
  if (!stored) return { do: "write", context: descended(waiting, waiting) };
  const mine = contextHash(waiting);
  const theirs = contextHash(stored);
  if (mine === theirs || stored.lineage?.includes(mine)) return { do: "nothing" };
  const replaces = (base.kind === "known" && base.hash === theirs) || waiting.lineage?.includes(theirs);
  if (replaces) {
    const lineage = [...(stored.lineage ?? []), ...(waiting.lineage ?? [])];
    return { do: "write", context: descended({ ...waiting, lineage }, waiting) };
  }
  const context = mergeContexts(waiting, base, stored, now);
  const before = (stored.conflicts?.length ?? 0) + (waiting.conflicts?.length ?? 0);
  return { do: "merge", context, conflicts: Math.max(0, (context.conflicts?.length ?? 0) - before) };
}

/**
 * Both states in one: turns and notes of both, fields and keys of data by whoever changed them since `base`. Where both
 * did, the one written later stays and the other becomes a conflict. A refused transcript stays refused.
 */
export function mergeContexts(
  mine: CallContext,
  base: MergeBase,
  theirs: CallContext,
  now: Date,
): CallContext {
  const merge = new Merge(mine, base, theirs, now);
  const fields: Record<string, unknown> = {};
  for (const field of Object.keys(FIELDS) as Field[])
    fields[field] = merge.value(FIELDS[field], (context) => context?.[field], true);
  const data = merge.data();
  const { turns, notes } = merge.turnsAndNotes();
  const known = merge.conflicts;
  const consent = mergedConsent(mine, theirs);
  const of = (summary: unknown) => (mine.summary === summary ? mine : theirs).summarySource;
  const summarySource = fields.summary ? of(fields.summary) : undefined;
  const { summarySource: _source, consent: _consent, ...rest } = theirs;
  const set = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  for (const field of ["escalationReason", "escalationOutcome"] as const)
    if (fields[field] === undefined) delete rest[field];
  const merged: CallContext = {
    ...rest,
    ...set,
    ...(summarySource && { summarySource }),
    ...(consent && { consent }),
    turns,
    turnCount: turns.length,
    truncated: false,
    data,
    notes,
    revision: Math.max(mine.revision, theirs.revision) + 1,
    createTime: earlier(mine.createTime, theirs.createTime),
    updateTime: later(mine.updateTime, theirs.updateTime),
    expireTime: later(mine.expireTime, theirs.expireTime),
    conflicts: [...union(theirs.conflicts ?? [], mine.conflicts ?? []), ...known].slice(-MAX_CONFLICTS),
  };
  return descended(withoutRefusedWords(withConsent(merged)), mine, theirs);
}

class Merge {
  readonly conflicts: ContextConflict[] = [];
  private readonly header: CallContext | undefined;
  private readonly mineIsNewer: boolean;

  constructor(
    private readonly mine: CallContext,
    private readonly base: MergeBase,
    private readonly theirs: CallContext,
    private readonly now: Date,
  ) {
    this.header = base.kind === "none" ? undefined : base.header;
    this.mineIsNewer = mine.updateTime.getTime() > theirs.updateTime.getTime();
  }

  /** The value of a field after the merge. */
  value(field: string, read: (context: CallContext | undefined) => unknown, isText: boolean): unknown {
    const mine = read(this.mine);
    const theirs = read(this.theirs);
    const base = read(this.header);
    if (same(mine, theirs)) return theirs;
    const unchangedByMe = this.base.kind === "none" ? isUnset(mine) : same(mine, base);
    // What the first write began with is a guess where the base is unknown: better than nothing, worse than the store.
    if (unchangedByMe) return this.base.kind === "unknown" && isUnset(theirs) ? mine : theirs;
    const unchangedByThem = this.base.kind === "known" ? same(theirs, base) : isUnset(theirs);
    if (unchangedByThem) return mine;
    const [kept, lost, writer] = this.mineIsNewer ? [mine, theirs, this.theirs] : [theirs, mine, this.mine];
    if (!isUnset(lost)) this.lose(field, isText ? String(lost) : JSON.stringify(lost), writer.updateTime);
    return kept;
  }

  data(): Record<string, unknown> {
    const keys = new Set([...Object.keys(this.theirs.data), ...Object.keys(this.mine.data)]);
    const merged: [string, unknown][] = [];
    for (const key of keys) {
      const read = (context: CallContext | undefined) =>
        context && Object.hasOwn(context.data, key) ? context.data[key] : undefined;
      const value = this.value(`data.${key}`, read, false);
      if (value !== undefined) merged.push([key, value]);
    }
    return Object.fromEntries(merged);
  }

  turnsAndNotes(): { turns: Turn[]; notes: ContextNote[] } {
    const turns = new Map(this.theirs.turns.map((turn) => [turn.id, turn]));
    let both = false;
    for (const turn of this.mine.turns) {
      const other = turns.get(turn.id);
      if (!other) {
        turns.set(turn.id, turn);
        both = true;
        continue;
      }
      if (other.text !== turn.text) this.lose(`turns.${turn.id}`, turn.text, this.mine.updateTime);
      const heard = other.heard || turn.heard;
      if (turn.heard && other.heard && other.heard !== turn.heard)
        this.lose(`turns.${turn.id}.heard`, turn.heard, this.mine.updateTime);
      turns.set(turn.id, { ...other, heard, interrupted: other.interrupted || turn.interrupted });
    }
    const all = [...turns.values()];
    if (both) all.sort((a, b) => a.time.getTime() - b.time.getTime());
    const notes = union(this.theirs.notes, this.mine.notes).sort(
      (a, b) => a.time.getTime() - b.time.getTime(),
    );
    return { turns: all, notes };
  }

  private lose(field: string, value: string, writeTime: Date): void {
    this.conflicts.push({ time: this.now, field, value, writeTime });
  }
}

function mergedConsent(mine: CallContext, theirs: CallContext): CallContext["consent"] {
  if (!mine.consent || !theirs.consent) return mine.consent ?? theirs.consent;
  const newer = mine.updateTime.getTime() > theirs.updateTime.getTime() ? mine.consent : theirs.consent;
  const transcript = mine.consent.transcript && theirs.consent.transcript;
  const paused = mine.consent.paused === true || theirs.consent.paused === true;
  const { paused: _paused, ...rest } = newer;
  return { ...rest, transcript, ...(paused && { paused }) };
}

/** After a refusal conflicts hold no words either. */
function withoutRefusedWords(context: CallContext): CallContext {
  if (context.consent?.transcript !== false || !context.conflicts) return context;
  const isWords = (field: string) => field === "summary" || field.startsWith("turns.");
  return { ...context, conflicts: context.conflicts.filter(({ field }) => !isWords(field)) };
}

function union<T>(first: readonly T[], second: readonly T[]): T[] {
  const seen = new Map<string, T>();
  for (const item of [...first, ...second]) {
    const key = canonical(item);
    if (!seen.has(key)) seen.set(key, item);
  }
  return [...seen.values()];
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === "";
}

function same(a: unknown, b: unknown): boolean {
  if (isUnset(a) || isUnset(b)) return isUnset(a) && isUnset(b);
  return canonical(a) === canonical(b);
}

function earlier(a: Date, b: Date): Date {
  return a.getTime() < b.getTime() ? a : b;
}

function later(a: Date, b: Date): Date {
  return a.getTime() > b.getTime() ? a : b;
}
