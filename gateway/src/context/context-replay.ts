import { commonBase, descended, replayStep } from "./context-merge.js";
import { type ContextSpool, SpoolAway, type SpoolEntry } from "./context-spool.js";
import { type ContextStore, ContextStoreAway } from "./context-store.js";
import type { CallContext } from "./context-types.js";

/** What a replay did. */
export interface Replayed {
  /** expired: its time was over. gone: somebody else had it. left: stays in the spool for now. */
  readonly did: "written" | "merged" | "nothing" | "expired" | "gone" | "left";
  /** The state that the database has now, when it was written or merged. */
  readonly context?: CallContext;
  /** Fields that lost. */
  readonly conflicts: number;
}

const MAX_ATTEMPTS = 8;

/**
 * Brings one waiting context to the database and takes it out of the spool. May be done by several gateways at once and
 * may break off anywhere: each step is a compare-and-set, and what was written already is recognised. Rejects with
 * ContextStoreAway or ContextStoreRefused.
 */
export async function replayEntry(
  entry: SpoolEntry,
  spool: ContextSpool,
  database: ContextStore,
  now: Date,
): Promise<Replayed> {
  const { context: waiting, base } = entry.record;
  const { tenant, callId } = waiting;
  if (waiting.expireTime.getTime() <= now.getTime()) return leave(spool, entry, "expired");
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const stored = await database.get(tenant, callId);
    const step = replayStep(waiting, base, stored?.context, now);
    if (step.do === "nothing") return leave(spool, entry, "nothing");
    // What is known of a replicated spool may be old: another gateway may have replayed, and others written since.
    if ((step.do === "merge" || !stored) && !(await isStillThere(spool, entry)))
      return { did: "gone", conflicts: 0 };
    if (!(await database.put(step.context, stored))) continue;
    const { context } = step;
    if (step.do === "write") return { ...(await leave(spool, entry, "written")), context };
    return { ...(await leave(spool, entry, "merged")), context, conflicts: step.conflicts };
  }
  throw new ContextStoreAway("somebody else writes this context all the time");
}

/**
 * Moves a waiting context to another spool, merged with what waits there. Answers the result of a merge. May break off
 * anywhere, as above. Rejects with SpoolAway or ContextSpoolFull.
 */
export async function promoteEntry(
  entry: SpoolEntry,
  from: ContextSpool,
  to: ContextSpool,
  now: Date,
): Promise<CallContext | undefined> {
  const { record } = entry;
  const other = await to.fetch(record.context.tenant, record.context.callId);
  const base = other ? commonBase(record.base, other.record.base) : record.base;
  const step = replayStep(record.context, base, other?.record.context, now);
  if (step.do !== "nothing") {
    const context = step.do === "merge" ? step.context : record.context;
    const next = other ? { ...other.record, context: descended(context, other.record.context) } : record;
    // Somebody else was faster: the next round sees what he wrote.
    if (!(await to.put(next, other))) return undefined;
  }
  await from.remove(entry);
  return step.do === "merge" ? step.context : undefined;
}

async function isStillThere(spool: ContextSpool, entry: SpoolEntry): Promise<boolean> {
  const { tenant, callId } = entry.record.context;
  try {
    return (await spool.fetch(tenant, callId))?.revision === entry.revision;
  } catch (error) {
    if (error instanceof SpoolAway) return false;
    throw error;
  }
}

async function leave(spool: ContextSpool, entry: SpoolEntry, did: Replayed["did"]): Promise<Replayed> {
  try {
    await spool.remove(entry);
  } catch (error) {
    // It is in the database; the next round sees that and removes it.
    if (!(error instanceof SpoolAway)) throw error;
  }
  return { did, conflicts: 0 };
}
