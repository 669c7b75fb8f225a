/** What lmdb gives as its code when the disk does not take a commit: EIO, EFBIG, ENOSPC, EROFS, EDQUOT, MDB_MAP_FULL. */
const DISK_CODES = new Set<unknown>([5, 27, 28, 30, 122, -30_792]);

/**
 * Whether an error that nobody caught is that of a commit of the embedded store that failed (its disk is full, say). Whoever
 * wrote is told by the promise of the write; lmdb rejects promises of its own besides, which nobody can listen to: one
 * with a `commitError`, and that commit error itself, known by its numeric code (those of Node are words, errors of gRPC
 * have `details`).
 */
export function isFailedCommit(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("commitError" in error) return true;
  return "code" in error && DISK_CODES.has(error.code) && !("details" in error);
}
