import { createHash } from "node:crypto";
import { invalidField } from "../call/call-error.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { CallFilter } from "../gateway-api.js";

/** Where a page of calls ended, and the cursor of the first page. */
interface Position {
  /** Creation time of the last call of the page, ms. */
  readonly t: number;
  readonly id: string;
  readonly cursor: string;
}

/** A page of calls, newest first. */
export interface CallPage {
  readonly calls: CallSnapshot[];
  readonly nextPageToken: string;
  /** The one of the first page, so that watching from it misses nothing of any page. */
  readonly cursor: string;
}

/**
 * One page out of all calls that match. The token is opaque and bound to tenant and filter; calls that came or ended
 * between two pages shift nothing. Throws INVALID_FIELD for a token of another list.
 */
export function pageOfCalls(
  calls: readonly CallSnapshot[],
  tenant: string,
  filter: CallFilter,
  pageSize: number,
  pageToken: string,
  head: string,
): CallPage {
  const binding = bindingOf(tenant, filter);
  const from = pageToken === "" ? undefined : readToken(pageToken, binding);
  const sorted = [...calls].sort((a, b) => compare(positionOf(a), positionOf(b)));
  const rest = from ? sorted.filter((call) => compare(positionOf(call), from) > 0) : sorted;
  const page = rest.slice(0, pageSize);
  const last = page.at(-1);
  const cursor = from?.cursor ?? head;
  const more = last !== undefined && rest.length > page.length;
  const nextPageToken = more ? writeToken({ ...positionOf(last), cursor }, binding) : "";
  return { calls: page, nextPageToken, cursor };
}

function positionOf(call: CallSnapshot): { t: number; id: string } {
  return { t: call.createTime.getTime(), id: call.callId };
}

/** Newest first; calls of the same moment by id. */
function compare(a: { t: number; id: string }, b: { t: number; id: string }): number {
  return b.t - a.t || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function bindingOf(tenant: string, filter: CallFilter): string {
  const parts = [tenant, [...filter.callIds].sort(), [...filter.pools].sort(), [...filter.states].sort()];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 16);
}

function writeToken(position: Position, binding: string): string {
  return Buffer.from(JSON.stringify({ ...position, binding })).toString("base64url");
}

function readToken(token: string, binding: string): Position {
  try {
    const value = JSON.parse(Buffer.from(token, "base64url").toString());
    const { t, id, cursor } = value;
    if (
      value.binding === binding &&
      Number.isFinite(t) &&
      typeof id === "string" &&
      typeof cursor === "string"
    ) {
      return { t, id, cursor };
    }
  } catch {
    // Falls through: anything unreadable is refused in the same words.
  }
  throw invalidField("page_token", "next_page_token of a list with the same filter");
}
