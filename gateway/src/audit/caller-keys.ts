/** What those who share the keys have in common; made once. */
export interface SharedSalt {
  readonly salt: Buffer;
  /** Tells whether somebody else makes the same ids of it. */
  readonly check: string;
}

/** A key of 256 random bits for each caller. Ids say nothing to whoever does not have the salt and the key of the installation. */
export interface CallerKeyStore {
  /** The salt that is there, or `made` from now on when there was none. Rejects when the store cannot be asked. */
  shared(made: SharedSalt): Promise<SharedSalt>;
  /** The key of an id; undefined without one. Rejects when the store cannot be asked. */
  find(id: string): Promise<Buffer | undefined>;
  /**
   * The keys of these ids, made where there are none, the same for all who ask at the same time; used at `nowMs`. Rejects
   * when the store cannot be asked.
   */
  ensure(ids: readonly string[], nowMs: number): Promise<ReadonlyMap<string, Buffer>>;
  /** Removes a key for good, and answers it for the last time; undefined when there was none. */
  destroy(id: string): Promise<Buffer | undefined>;
  /** Removes the keys that were last used before the day of `sinceMs`; at most so many. Answers how many. */
  removeUnused(sinceMs: number, limit: number): Promise<number>;
  close(): Promise<void>;
}

/** How long a key is, in bytes. */
export const CALLER_KEY_BYTES = 32;

/** Days since 1970: how exactly it is known when a key was used. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / 86_400_000);
}
