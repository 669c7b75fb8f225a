import { randomBytes } from "node:crypto";
import type { EventRecord, EventStorage } from "./event-storage.js";
import { type EventLogOptions, StoredEventLog } from "./stored-event-log.js";

/** Keeps records in memory, by the same rules as the one on disk. For tests. */
export class MemoryEventStorage implements EventStorage {
  readonly storeId = randomBytes(8).toString("hex");
  private records: EventRecord[] = [];
  lastSequence = 0;
  prunedTo = 0;
  /** When set, writing fails with it. */
  failure: Error | undefined;
  /** When set, writing waits for it. */
  hang: Promise<void> | undefined;

  async write(records: readonly EventRecord[]): Promise<void> {
    await this.hang;
    if (this.failure) throw this.failure;
    this.records.push(...records);
    this.lastSequence = records.at(-1)?.sequence ?? this.lastSequence;
  }

  read(after: number, upTo: number, limit: number): EventRecord[] {
    return this.records.filter((r) => r.sequence > after && r.sequence <= upTo).slice(0, limit);
  }

  ofCall(tenant: string, callId: string, afterCallSequence: number): EventRecord[] {
    return this.records.filter(
      (r) => r.tenant === tenant && r.callId === callId && r.callSequence > afterCallSequence,
    );
  }

  async prune(beforeMs: number, maxBytes: number): Promise<number> {
    let bytes = this.records.reduce((sum, r) => sum + Buffer.byteLength(r.text), 0);
    let count = 0;
    for (const record of this.records) {
      if (record.timeMs >= beforeMs && bytes <= maxBytes) break;
      bytes -= Buffer.byteLength(record.text);
      this.prunedTo = record.sequence;
      count++;
    }
    this.records = this.records.slice(count);
    return count;
  }

  async remove(tenant: string, callId: string): Promise<number> {
    const before = this.records.length;
    this.records = this.records.filter((r) => r.tenant !== tenant || r.callId !== callId);
    return before - this.records.length;
  }

  async close(): Promise<void> {}
}

/** An event log in memory. For tests. */
export class MemoryEventLog extends StoredEventLog {
  constructor(options: EventLogOptions = {}, storage = new MemoryEventStorage()) {
    super(storage, options);
  }
}
