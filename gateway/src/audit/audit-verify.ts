import { auditKeys, GENESIS, linkHash, readHead, splitLine } from "./audit-chain.js";
import { auditSecret, headText, linesOf, segmentsOf } from "./audit-files.js";

/** What is wrong, and where. */
export interface AuditProblem {
  readonly file: string;
  /** From 1; 0: the file as a whole. */
  readonly line: number;
  readonly what: string;
}

/** What a look at the whole chain showed. */
export interface AuditVerdict {
  readonly ok: boolean;
  readonly entries: number;
  /** Sequences of the oldest and the newest entry; 0 without any. */
  readonly first: number;
  readonly last: number;
  readonly problems: readonly AuditProblem[];
}

const MAX_PROBLEMS = 100;

/**
 * Follows the chain from its beginning to its head: an entry that was changed, taken out, added, or put elsewhere, and an
 * end or a beginning that was cut off, are problems. Entries beyond the head, which a gateway that runs has just written, are
 * not. Rejects when the key cannot be read.
 */
export async function verifyAudit(folder: string, keyFile?: string): Promise<AuditVerdict> {
  const keys = auditKeys(await auditSecret(folder, keyFile, false));
  const problems: AuditProblem[] = [];
  const fail = (file: string, line: number, what: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push({ file, line, what });
  };
  // The head first: what is written meanwhile is beyond it.
  const text = await headText(folder);
  const head = text === undefined ? undefined : readHead(keys, text);
  const segments = await segmentsOf(folder);
  if (!head && (text !== undefined || segments.length > 0))
    fail("head.json", 0, text === undefined ? "is missing" : "is changed, or of another key");
  let wanted = head?.oldestSequence ?? 1;
  let previous = head?.oldestPrevious ?? GENESIS;
  let entries = 0;
  let first = 0;
  let last = 0;
  let atHead = head?.sequence === 0 ? head.hash : undefined;
  for (const { file, first: begin } of segments) {
    // Left behind by a removal that was not finished.
    if (begin < wanted && entries === 0) continue;
    for (const [i, line] of (await linesOf(file)).entries()) {
      const parts = splitLine(line);
      const sequence = parts && sequenceOf(parts.body);
      if (!parts || sequence === undefined) {
        fail(file, i + 1, "is no entry: changed or cut off");
        continue;
      }
      if (sequence !== wanted)
        fail(file, i + 1, `is entry ${sequence} where ${wanted} belongs: removed, added or moved`);
      if (linkHash(keys, previous, parts.body) !== parts.hash)
        fail(file, i + 1, "does not follow from the entry before it: changed, or something before it was");
      previous = parts.hash;
      wanted = sequence + 1;
      if (first === 0) first = sequence;
      last = sequence;
      entries++;
      if (sequence === head?.sequence) atHead = parts.hash;
    }
  }
  if (head && head.sequence > 0) {
    if (last < head.sequence)
      fail("head.json", 0, `the end is missing: ${last} is last where ${head.sequence} was`);
    else if (atHead !== head.hash)
      fail("head.json", 0, `entry ${head.sequence} is not the one that was written`);
  }
  return { ok: problems.length === 0, entries, first, last, problems };
}

function sequenceOf(body: string): number | undefined {
  try {
    const { seq } = JSON.parse(body) as { seq?: unknown };
    return typeof seq === "number" && Number.isSafeInteger(seq) ? seq : undefined;
  } catch {
    return undefined;
  }
}
