/** An event as a storage keeps it. */
export interface EventRecord {
  /** Order in the store, from 1; grows, may have holes. */
  readonly sequence: number;
  readonly tenant: string;
  readonly callId: string;
  /** The event's number in its call. */
  readonly callSequence: number;
  readonly timeMs: number;
  /** The encoded event. */
  readonly text: string;
}

/** What an event log needs of a database on this machine. Reads are synchronous and see every write that resolved. */
export interface EventStorage {
  /** 16 hexadecimal digits, made with the store. */
  readonly storeId: string;
  /** The highest sequence written so far; 0 for none. Also right after retention removed that event. */
  readonly lastSequence: number;
  /** Everything up to here was removed by retention; 0 for nothing. */
  readonly prunedTo: number;
  /** Writes all or nothing; resolves when it is safe on disk. */
  write(records: readonly EventRecord[]): Promise<void>;
  /** The next records after a sequence and not above `upTo`, in order. */
  read(after: number, upTo: number, limit: number): EventRecord[];
  /** The records of a call above a number in the call, in order. */
  ofCall(tenant: string, callId: string, afterCallSequence: number): EventRecord[];
  /** Removes the oldest records: those before `beforeMs`, and as many as are too much for `maxBytes` of encoded events. */
  prune(beforeMs: number, maxBytes: number): Promise<number>;
  /** Removes all records of a call; answers how many. */
  remove(tenant: string, callId: string): Promise<number>;
  close(): Promise<void>;
}
