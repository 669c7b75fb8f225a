import type { FileHandle } from "node:fs/promises";
import { CallError } from "../call/call-error.js";
import type { Logger } from "../util/logger.js";
import { canonicalNumber } from "../util/numbers.js";
import {
  type AuditHead,
  type AuditKeys,
  auditKeys,
  chainedLine,
  entryOf,
  GENESIS,
  readHead,
  type UnchainedEntry,
  writeHead,
} from "./audit-chain.js";
import {
  auditSecret,
  cutPartialLine,
  headText,
  linesOf,
  openSegment,
  removeFile,
  replaceHead,
  segmentFile,
  segmentsOf,
  sizeOf,
} from "./audit-files.js";
import {
  type AuditEntry,
  type AuditEvent,
  type AuditFilter,
  type AuditReader,
  type AuditSink,
  NUMBER_UNKNOWN,
} from "./audit-sink.js";
import type { CallerNumbers, TenantNumber } from "./caller-numbers.js";
import { RefusalLimit } from "./refusal-limit.js";

/** Options of the audit log. */
export interface AuditLogOptions {
  readonly folder: string;
  readonly gatewayId: string;
  /** Files whose last entry is older are removed. */
  readonly retentionDays: number;
  /** Of all files; beyond it the oldest are removed. */
  readonly maxBytes: number;
  readonly fsync: "always" | "interval" | "never";
  /** With "interval". */
  readonly fsyncIntervalMs: number;
  /** Entries that wait for the disk; further ones are lost and counted. */
  readonly maxQueued: number;
  /** Refusals that get an entry each in a minute; further ones are counted in one. */
  readonly maxRefusedPerMinute: number;
  /** Default: a key is made in the folder. */
  readonly keyFile?: string | undefined;
  /** Country of numbers that are written without one. */
  readonly defaultCountryCode: string;
  /** What stands for numbers; closed with the log. */
  readonly numbers: CallerNumbers;
  /** After the keys of callers could not be asked, entries are written without them for so long, in ms. Default 1,000. */
  readonly numbersRetryMs?: number;
  readonly logger: Logger;
  /** Default 8 MiB, or an eighth of maxBytes if that is less. */
  readonly segmentBytes?: number;
  /** How often files that are too old are looked for, in ms. Default an hour. */
  readonly sweepIntervalMs?: number;
  /** How long to wait before what could not be written is tried again, in ms. Default 1,000. */
  readonly retryMs?: number;
}

const DAY_MS = 86_400_000;
const BATCH = 1_000;
/** How much one page of a list looks through. */
const SCAN_BYTES = 16 * 2 ** 20;
/** Keys of callers that one sweep step removes. */
const SWEEP_KEYS = 500;

/** An entry that waits; its number stands in memory alone. */
type WaitingEntry = UnchainedEntry & { readonly number?: string };

/**
 * The audit log of a gateway: lines that are only ever added, each linked to the one before it by a keyed hash, in files
 * that go away as a whole when they are too old. Writing is behind; `flush` waits for it.
 */
export class AuditLog implements AuditSink, AuditReader {
  private readonly queue: WaitingEntry[] = [];
  private readonly limit: RefusalLimit;
  private lost = 0;
  private running: Promise<void> | undefined;
  private file: { readonly handle: FileHandle; readonly day: number; bytes: number } | undefined;
  private syncTimer: NodeJS.Timeout | undefined;
  private sweepTimer: NodeJS.Timeout | undefined;
  private numbersAwayUntilMs = 0;
  private closed = false;
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly options: AuditLogOptions,
    private readonly keys: AuditKeys,
    private head: AuditHead,
  ) {
    this.limit = new RefusalLimit(options.maxRefusedPerMinute, (event) => this.push(event));
    this.sweepTimer = setInterval(() => this.wake(true), options.sweepIntervalMs ?? 3_600_000);
    this.sweepTimer.unref();
  }

  /** Opens the log, or begins one. Rejects when the folder or the key cannot be used. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { folder, logger } = options;
    const keys = auditKeys(await auditSecret(folder, options.keyFile));
    const head = await stateOf(folder, keys, logger);
    const log = new AuditLog(options, keys, head);
    await log.sweep();
    return log;
  }

  /** Entries that wait for the disk. */
  get waiting(): number {
    return this.queue.length;
  }

  record(event: AuditEvent): void {
    if (this.closed) return;
    if (this.limit.takes(event)) this.push(event);
  }

  /** Resolves when everything that was recorded until now is written, as far as the disk lets it. */
  async flush(): Promise<void> {
    this.wake();
    await this.running;
  }

  async list(tenant: string, filter: AuditFilter, before: number, limit: number) {
    await this.flush();
    const { kinds, callId, actor } = filter;
    const wanted = this.numberOf({ tenant, number: filter.number });
    const hash = wanted && (await this.options.numbers.find(wanted).catch(keysAway));
    const entries: AuditEntry[] = [];
    let scanned = 0;
    let last = 0;
    const segments = (await segmentsOf(this.options.folder)).filter(
      (one) => before === 0 || one.first < before,
    );
    for (const segment of segments.reverse()) {
      if (entries.length >= limit || scanned > SCAN_BYTES) return { entries, next: last };
      for (const line of (await linesOf(segment.file)).reverse()) {
        const entry = entryOf(line);
        scanned += line.length;
        if (!entry || (before !== 0 && entry.sequence >= before)) continue;
        if (entries.length >= limit) return { entries, next: last };
        last = entry.sequence;
        if (entry.tenant !== tenant) continue;
        if (kinds.length > 0 && !kinds.includes(entry.kind)) continue;
        if (callId !== "" && entry.callId !== callId) continue;
        if (actor !== "" && entry.actor !== actor) continue;
        // Rather one too many than one that is not shown.
        if (wanted && entry.numberHash !== NUMBER_UNKNOWN && entry.numberHash !== hash) continue;
        if (wanted && entry.numberHash === "") continue;
        entries.push(entry);
      }
    }
    return { entries, next: 0 };
  }

  /**
   * Destroys the key of a caller, so that nobody can tell any more which entries are about it; the entries and their chain
   * stay. Rejects when the keys cannot be asked: nothing is destroyed then.
   */
  async eraseCaller(tenant: string, number: string): Promise<void> {
    const wanted = this.numberOf({ tenant, number });
    if (!wanted) return;
    // What waits would get a new key afterwards.
    await this.flush();
    const numberHash = await this.options.numbers.erase(wanted);
    if (numberHash === undefined) return;
    const details = { key: "destroyed" };
    this.enqueue({ tenant, kind: "CONTEXT_ERASED", actor: "gateway", operation: "", numberHash, details });
  }

  /** Writes what waits and closes, also the keys of callers. May be called more than once. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.limit.stop();
    this.closed = true;
    clearInterval(this.sweepTimer);
    this.wake();
    await this.running;
    clearTimeout(this.syncTimer);
    const { file } = this;
    this.file = undefined;
    if (this.options.fsync !== "never") await file?.handle.sync().catch(() => {});
    await file?.handle.close();
    await this.options.numbers.close();
  }

  /** A number in its one writing; undefined without one. */
  private numberOf({ tenant, number = "" }: { tenant: string; number?: string }): TenantNumber | undefined {
    const canonical = number && (canonicalNumber(number, this.options.defaultCountryCode) ?? number);
    return canonical ? { tenant, number: canonical } : undefined;
  }

  private push(event: AuditEvent): void {
    this.enqueue({ ...event, numberHash: "" });
  }

  private enqueue(event: AuditEvent & { readonly numberHash: string }): void {
    if (this.queue.length >= this.options.maxQueued) {
      this.lost++;
      this.wake();
      return;
    }
    const { gatewayId } = this.options;
    this.queue.push({ ...event, time: new Date(), gatewayId });
    this.wake();
  }

  private wake(sweep = false): void {
    if (this.running) return;
    if (this.queue.length === 0 && !sweep) return;
    this.running = this.work(sweep).then((done) => {
      this.running = undefined;
      if (!done) return;
      // What came while files or keys were swept.
      this.wake();
      return this.running;
    });
  }

  /** False: it failed, and is tried again later. */
  private async work(sweep: boolean): Promise<boolean> {
    try {
      while (this.queue.length > 0) {
        const batch = this.queue.slice(0, BATCH);
        await this.write(await this.withHashes(batch));
        this.queue.splice(0, batch.length);
        if (this.lost > 0) this.tellLost();
      }
      if (sweep) await this.sweep();
      return true;
    } catch (error) {
      this.options.logger.error(
        { err: String(error), waiting: this.queue.length },
        "the audit log cannot be written",
      );
      // A half-written line is cut off when the file is opened again.
      await this.file?.handle.close().catch(() => {});
      this.file = undefined;
      if (!this.closed) setTimeout(() => this.wake(), this.options.retryMs ?? 1_000).unref();
      return false;
    }
  }

  /** While the keys cannot be asked, an entry is written without the hash rather than not at all. */
  private async withHashes(batch: readonly WaitingEntry[]): Promise<UnchainedEntry[]> {
    const { numbers, logger, numbersRetryMs = 1_000 } = this.options;
    const wanted = batch.map((entry) => this.numberOf(entry));
    const known = wanted.filter((one) => one !== undefined);
    let hashes: string[] | undefined;
    if (known.length === 0 || performance.now() >= this.numbersAwayUntilMs) {
      hashes = await numbers.hashes(known).catch((error: unknown) => {
        this.numbersAwayUntilMs = performance.now() + numbersRetryMs;
        logger.error(
          { err: String(error) },
          "the keys of callers cannot be asked: no hashes in the audit log",
        );
        return undefined;
      });
    }
    return batch.map(({ number: _number, ...entry }, i) =>
      wanted[i] ? { ...entry, numberHash: hashes ? (hashes.shift() ?? "") : NUMBER_UNKNOWN } : entry,
    );
  }

  private tellLost(): void {
    const { gatewayId, logger } = this.options;
    const count = String(this.lost);
    this.lost = 0;
    logger.error({ count }, "entries of the audit log were lost: too many came at once");
    const entry = { tenant: "", kind: "ENTRIES_LOST", actor: "gateway", operation: "" } as const;
    this.queue.push({ ...entry, details: { count }, time: new Date(), gatewayId, numberHash: "" });
  }

  private async write(batch: readonly UnchainedEntry[]): Promise<void> {
    const { folder, fsync } = this.options;
    const file = await this.fileForNow();
    let { sequence, hash } = this.head;
    let text = "";
    for (const entry of batch) {
      const chained = chainedLine(this.keys, hash, ++sequence, entry);
      text += `${chained.line}\n`;
      hash = chained.hash;
    }
    await file.handle.appendFile(text);
    file.bytes += Buffer.byteLength(text);
    if (fsync === "always") await file.handle.sync();
    else if (fsync === "interval") this.syncLater();
    this.head = { ...this.head, sequence, hash };
    await replaceHead(folder, writeHead(this.keys, this.head), fsync === "always");
  }

  /** The file of today, with room; a new one otherwise. */
  private async fileForNow() {
    const { folder, maxBytes } = this.options;
    const segmentBytes = this.options.segmentBytes ?? Math.min(8 * 2 ** 20, Math.floor(maxBytes / 8));
    const day = Math.floor(Date.now() / DAY_MS);
    const { file } = this;
    if (file && file.day === day && file.bytes < segmentBytes) return file;
    this.file = undefined;
    await file?.handle.close();
    const newest = file ? undefined : (await segmentsOf(folder)).at(-1);
    if (newest) {
      await cutPartialLine(newest.file);
      const last = entryOf((await linesOf(newest.file)).at(-1) ?? "");
      const { bytes, changedMs } = await sizeOf(newest.file);
      const sameDay = Math.floor(changedMs / DAY_MS) === day;
      // What was written before a failure, but is not in the head, is taken as it stands.
      if (last && last.sequence > this.head.sequence)
        this.head = { ...this.head, sequence: last.sequence, hash: last.hash };
      if (sameDay && bytes < segmentBytes && last?.sequence === this.head.sequence) {
        this.file = { handle: await openSegment(newest.file), day, bytes };
        return this.file;
      }
    }
    const handle = await openSegment(segmentFile(folder, this.head.sequence + 1));
    this.file = { handle, day, bytes: 0 };
    await this.sweep();
    return this.file;
  }

  private syncLater(): void {
    this.syncTimer ??= setTimeout(() => {
      this.syncTimer = undefined;
      this.file?.handle.sync().catch(() => {});
    }, this.options.fsyncIntervalMs);
    this.syncTimer.unref();
  }

  /** Removes the keys of callers about whom there is no entry any more. */
  private async sweepKeys(): Promise<void> {
    const { numbers, retentionDays, logger } = this.options;
    try {
      // The file of a day goes when its last entry is too old: one day more.
      const sinceMs = Date.now() - (retentionDays + 1) * DAY_MS;
      while ((await numbers.removeUnused(sinceMs, SWEEP_KEYS)) === SWEEP_KEYS);
    } catch (error) {
      logger.warn({ err: String(error) }, "keys of callers that are not used any more could not be removed");
    }
  }

  /** Removes what is too old or too much, file by file; the newest stays. The head says first where the log begins. */
  private async sweep(): Promise<void> {
    await this.sweepKeys();
    const { folder, retentionDays, maxBytes, fsync } = this.options;
    const segments = await segmentsOf(folder);
    const sizes = await Promise.all(segments.map((one) => sizeOf(one.file)));
    let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    const oldestMs = Date.now() - retentionDays * DAY_MS;
    for (const [i, segment] of segments.entries()) {
      const { bytes = 0, changedMs = 0 } = sizes[i] ?? {};
      const next = segments[i + 1];
      if (!next || (changedMs >= oldestMs && total <= maxBytes)) return;
      const last = entryOf((await linesOf(segment.file)).at(-1) ?? "");
      if (next.first > this.head.oldestSequence) {
        const oldestPrevious = last?.hash ?? this.head.oldestPrevious;
        this.head = { ...this.head, oldestSequence: next.first, oldestPrevious };
        await replaceHead(folder, writeHead(this.keys, this.head), fsync === "always");
      }
      await removeFile(segment.file);
      total -= bytes;
    }
  }
}

function keysAway(cause: unknown): never {
  const message = "the store with the keys of callers is away: ask without the number, or again later";
  throw new CallError("CONTEXT_STORE_AWAY", message, {}, { cause });
}

/** Where the log stands. What is missing stays missing in the chain, so that `audit verify` finds it. */
async function stateOf(folder: string, keys: AuditKeys, logger: Logger): Promise<AuditHead> {
  const text = await headText(folder);
  const head = text === undefined ? undefined : readHead(keys, text);
  const segments = await segmentsOf(folder);
  const newest = segments.at(-1);
  if (newest) await cutPartialLine(newest.file);
  const last = newest && entryOf((await linesOf(newest.file)).at(-1) ?? "");
  if (!head) {
    if (text !== undefined || segments.length > 0)
      logger.error({ folder }, "the head of the audit log is missing or not ours: run audit verify");
    const [first] = segments;
    return {
      sequence: last?.sequence ?? 0,
      hash: last?.hash ?? GENESIS,
      oldestSequence: first?.first ?? 1,
      oldestPrevious: GENESIS,
    };
  }
  if (last && last.sequence > head.sequence) return { ...head, sequence: last.sequence, hash: last.hash };
  // A file that was begun and never written to has no line yet.
  const end = last?.sequence ?? (newest ? newest.first - 1 : 0);
  if (head.sequence > 0 && (end < head.sequence || (last && last.hash !== head.hash)))
    logger.error(
      { folder, sequence: head.sequence },
      "the end of the audit log is missing: run audit verify",
    );
  return head;
}
