import { CallError, invalidField } from "../call/call-error.js";
import type { AuditEntry, AuditFilter, AuditReader } from "./audit-sink.js";

/** What a gateway answers of its own log. */
export type AuditPage = Awaited<ReturnType<AuditReader["list"]>>;

/** Arguments of a question for a gateway's own log. */
export type AuditQuestion = Parameters<AuditReader["list"]>;

/** The other gateways, as far as the audit log is concerned. */
export interface AuditPeers {
  /** Those that live, without this one. */
  ids(): readonly string[];
  /** Rejects when it does not answer. */
  ask(gatewayId: string, question: AuditQuestion): Promise<AuditPage>;
}

/** A page of all gateways' entries. */
export interface AuditListing {
  /** Newest first; of one gateway in its order. */
  readonly entries: readonly AuditEntry[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
  /** Gateways that live and did not answer, or that were asked for and are not there; theirs are missing. */
  readonly unreachableGateways: readonly string[];
}

/** Entries of one page among gateways: a message holds more than so many. */
const SHARED_PAGE = 500;
/** The place of a gateway that has no more. */
const DONE = 1;
const MAX_TOKEN_CHARS = 16_384;

/** Lists of the audit logs of all gateways: each keeps its own, and is asked for it. */
export class AuditLists {
  constructor(
    private readonly own: AuditReader,
    private readonly gatewayId: string,
    private readonly peers?: AuditPeers,
  ) {}

  /**
   * `gatewayId`: of that one alone; empty: of all. Rejects with INVALID_FIELD on a foreign page token, and as the logs do.
   */
  async list(
    tenant: string,
    filter: AuditFilter & { readonly gatewayId: string },
    pageToken: string,
    limit: number,
  ): Promise<AuditListing> {
    const places = placesOf(pageToken);
    const { gatewayId, ...narrow } = filter;
    const all = [this.gatewayId, ...(this.peers?.ids() ?? [])];
    const ids = gatewayId === "" ? all : all.filter((id) => id === gatewayId);
    const unreachable = ids.length === 0 ? [gatewayId] : [];
    const count = ids.length > 1 || ids[0] !== this.gatewayId ? Math.min(limit, SHARED_PAGE) : limit;
    const pages = await Promise.all(
      ids.map(async (id) => {
        const before = places.get(id) ?? 0;
        if (before === DONE) return { id, before, entries: [], next: 0 };
        const page = await this.ask(id, [tenant, narrow, before, count]);
        if (!page) unreachable.push(id);
        return page && { id, before, ...page };
      }),
    );
    const answered = pages.filter((page) => page !== undefined);
    const { entries, taken } = merged(answered, count);
    let more = false;
    for (const [i, page] of answered.entries()) {
      const shown = taken[i] ?? 0;
      const last = page.entries[shown - 1]?.sequence ?? page.before;
      const next = shown < page.entries.length ? last : page.next || DONE;
      if (next !== DONE) more = true;
      if (next > 0) places.set(page.id, next);
    }
    return {
      entries,
      nextPageToken: more ? tokenOf(places) : "",
      unreachableGateways: unreachable.sort(),
    };
  }

  /** Undefined when it does not answer. */
  private async ask(id: string, question: AuditQuestion): Promise<AuditPage | undefined> {
    if (id === this.gatewayId || !this.peers) return this.own.list(...question);
    return this.peers.ask(id, question).catch((error: unknown) => {
      // It cannot search by number now, and neither can this one. All else: it does not answer, or keeps no log.
      if (error instanceof CallError && error.reason === "CONTEXT_STORE_AWAY") throw error;
      return undefined;
    });
  }
}

/** The newest of several lists, each kept in its order although clocks differ; and how many of each were taken. */
function merged(pages: readonly AuditPage[], count: number) {
  const taken = pages.map(() => 0);
  const entries: AuditEntry[] = [];
  while (entries.length < count) {
    let newest = -1;
    for (const [i, page] of pages.entries()) {
      const head = page.entries[taken[i] ?? 0];
      const best = pages[newest]?.entries[taken[newest] ?? 0];
      if (head && (!best || head.time > best.time)) newest = i;
    }
    const found = pages[newest]?.entries[taken[newest] ?? 0];
    if (!found) break;
    entries.push(found);
    taken[newest] = (taken[newest] ?? 0) + 1;
  }
  return { entries, taken };
}

function tokenOf(places: ReadonlyMap<string, number>): string {
  return Buffer.from(JSON.stringify([...places])).toString("base64url");
}

function placesOf(token: string): Map<string, number> {
  if (token === "") return new Map();
  try {
    const value: unknown = JSON.parse(Buffer.from(token.slice(0, MAX_TOKEN_CHARS), "base64url").toString());
    const places = new Map(value as [string, number][]);
    for (const [id, place] of places)
      if (typeof id !== "string" || !Number.isSafeInteger(place) || place < 1) throw new Error("no place");
    return places;
  } catch {
    throw invalidField("page_token", "from next_page_token");
  }
}
