/**
 * Whether an error is that of a commit of the embedded store that failed (its disk is full, say). Whoever wrote is told by
 * the promise of the write; lmdb rejects promises of its own besides, which nobody can listen to. That of the cause, too,
 * is taken for handled here.
 */
export function isFailedCommit(error: unknown): boolean {
  if (!(error instanceof Error) || !("commitError" in error)) return false;
  const { commitError } = error;
  if (commitError instanceof Promise) commitError.catch(() => {});
  return true;
}
