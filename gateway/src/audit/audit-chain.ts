import { createHmac, timingSafeEqual } from "node:crypto";
import type { AuditEntry, AuditKind } from "./audit-sink.js";

/** What stands before the first entry of all. */
export const GENESIS = "0".repeat(64);

/** The keys of an audit log, made of one secret of the installation. */
export interface AuditKeys {
  /** Links the entries. */
  readonly chain: Buffer;
}

/** Where a log stands, so that an end that was cut off is noticed; signed with the key of the chain. */
export interface AuditHead {
  /** The newest entry; 0: none yet. */
  readonly sequence: number;
  readonly hash: string;
  /** The oldest entry that is kept, and the hash of the one before it. */
  readonly oldestSequence: number;
  readonly oldestPrevious: string;
}

/** A line as it stands in a file. */
interface Body {
  readonly seq: number;
  readonly time: string;
  readonly gateway: string;
  readonly tenant: string;
  readonly kind: AuditKind;
  readonly actor: string;
  readonly operation: string;
  readonly call?: string;
  readonly number?: string;
  readonly details?: Record<string, string>;
}

/** An entry that has no place in the chain yet. */
export type UnchainedEntry = Omit<AuditEntry, "sequence" | "hash">;

/** The keys of a secret. */
export function auditKeys(secret: Buffer): AuditKeys {
  const derived = (purpose: string) =>
    createHmac("sha256", secret).update(`callweave audit ${purpose}`).digest();
  return { chain: derived("chain") };
}

/** The line of an entry, without its end of line. */
export function chainedLine(
  keys: AuditKeys,
  previous: string,
  sequence: number,
  entry: UnchainedEntry,
): { readonly line: string; readonly hash: string } {
  const { gatewayId, tenant, kind, actor, operation, callId, details } = entry;
  const body: Body = {
    seq: sequence,
    time: entry.time.toISOString(),
    gateway: gatewayId,
    tenant,
    kind,
    actor,
    operation,
    ...(callId !== undefined && { call: callId }),
    ...(entry.numberHash !== "" && { number: entry.numberHash }),
    ...(details && { details }),
  };
  const text = JSON.stringify(body);
  const hash = linkHash(keys, previous, text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}`, hash };
}

/** The hash that links a body to what stands before it. */
export function linkHash(keys: AuditKeys, previous: string, body: string): string {
  return createHmac("sha256", keys.chain).update(`${previous}\n${body}`).digest("hex");
}

/** A line as body and hash; undefined when it is none. */
export function splitLine(line: string): { readonly body: string; readonly hash: string } | undefined {
  const [, head, hash] = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/s.exec(line) ?? [];
  return head === undefined || hash === undefined ? undefined : { body: `${head}}`, hash };
}

/** The entry of a line; undefined when it is none. Its place in the chain is not checked. */
export function entryOf(line: string): AuditEntry | undefined {
  const parts = splitLine(line);
  if (!parts) return undefined;
  try {
    const body = JSON.parse(parts.body) as Body;
    if (!Number.isSafeInteger(body.seq)) return undefined;
    return {
      sequence: body.seq,
      time: new Date(body.time),
      gatewayId: body.gateway,
      tenant: body.tenant,
      kind: body.kind,
      actor: body.actor,
      operation: body.operation,
      ...(body.call !== undefined && { callId: body.call }),
      numberHash: body.number ?? "",
      ...(body.details && { details: body.details }),
      hash: parts.hash,
    };
  } catch {
    return undefined;
  }
}

/** The head as text. */
export function writeHead(keys: AuditKeys, head: AuditHead): string {
  const body = JSON.stringify(head);
  return `${JSON.stringify({ ...head, mac: linkHash(keys, "head", body) })}\n`;
}

/** The head of a text; undefined when it is none, or not signed with this key. */
export function readHead(keys: AuditKeys, text: string): AuditHead | undefined {
  try {
    const { mac, ...head } = JSON.parse(text) as AuditHead & { readonly mac: string };
    const wanted = Buffer.from(linkHash(keys, "head", JSON.stringify(head)));
    const found = Buffer.from(String(mac));
    return found.length === wanted.length && timingSafeEqual(found, wanted) ? head : undefined;
  } catch {
    return undefined;
  }
}
