import { CallError } from "../call/call-error.js";
import type { CallContext, ContextService, FoundContexts } from "../context/context-types.js";
import type { Link } from "./link.js";
import type { OwnedCall } from "./ownership.js";
import type { Roster } from "./roster.js";

/** What the contexts of a cluster are made of. */
export interface ClusterContextParts {
  readonly own: ContextService;
  readonly link: Link;
  readonly roster: Roster;
  /** The owner of a live call when that is another gateway that lives. */
  readonly otherOwner: (tenant: string, callId: string) => OwnedCall | undefined;
  /** True: all gateways have one store. False: each has its own, in its folder. */
  readonly shared: boolean;
  readonly timeoutMs: number;
}

type Named = "save" | "update" | "appendTurns" | "get";
const MAX_LINK_CONTEXTS = 100;

/**
 * Contexts for the wires of one gateway among others. A live call's context is written and read by its owner, which knows
 * the call's facts and writes one change after the other; all others come from the store that the gateways share, or,
 * where each has its own, from all of them.
 */
export class ClusterContexts implements ContextService {
  constructor(private readonly parts: ClusterContextParts) {
    const { own, link } = parts;
    // The other side.
    link.handle("context", async (body) => {
      const [method, ...args] = body as [Named, ...unknown[]];
      return (own[method] as (...args: unknown[]) => Promise<unknown>)(...args);
    });
    link.handle("context-find", async (body) => own.find(...(body as Parameters<ContextService["find"]>)));
    link.handle("context-list", async (body) => own.list(...(body as Parameters<ContextService["list"]>)));
    link.handle("context-delete", async (body) =>
      own.delete(...(body as Parameters<ContextService["delete"]>)),
    );
  }

  save: ContextService["save"] = (tenant, input) =>
    this.atOwner(tenant, input.callId, "save", [tenant, input], () => this.parts.own.save(tenant, input));

  update: ContextService["update"] = (...args) => {
    const [tenant, input] = args;
    return this.atOwner(tenant, input.callId, "update", args, () => this.parts.own.update(...args));
  };

  appendTurns: ContextService["appendTurns"] = (...args) => {
    const [tenant, callId] = args;
    return this.atOwner(tenant, callId, "appendTurns", args, () => this.parts.own.appendTurns(...args));
  };

  async get(tenant: string, key: { callId: string } | { sessionId: string }): Promise<CallContext> {
    try {
      return await this.parts.own.get(tenant, key);
    } catch (error) {
      const reason = error instanceof CallError ? error.reason : undefined;
      if (reason !== "CONTEXT_NOT_FOUND" && reason !== "CONTEXT_STORE_AWAY") throw error;
      const owner = "callId" in key ? this.parts.otherOwner(tenant, key.callId) : undefined;
      const peers = owner ? [owner] : this.parts.shared ? [] : this.parts.roster.peers();
      const asked = peers.map(({ gatewayId }) => this.ask(gatewayId, "context", ["get", tenant, key]));
      const answers = await Promise.allSettled(asked);
      const found = answers.find((one) => one.status === "fulfilled");
      if (found) return found.value as CallContext;
      const [first] = answers;
      // The owner of a live call does not answer: that the store has nothing yet says nothing.
      const away = first?.status === "rejected" && first.reason instanceof CallError && first.reason;
      throw owner && away && away.reason === "CALL_OWNER_AWAY" ? away : error;
    }
  }

  head: ContextService["head"] = (...args) => this.parts.own.head(...args);

  watch: ContextService["watch"] = (...args) => this.parts.own.watch(...args);

  async find(...args: Parameters<ContextService["find"]>): Promise<FoundContexts> {
    const own = await this.parts.own.find(...args);
    if (this.parts.shared) return own;
    const others = await this.askAll("context-find", args);
    const [, , , pageSize] = args;
    return merged([own, ...(others.answers as FoundContexts[])], pageSize || 10, others.missing);
  }

  /** Where each gateway has its own store, a page holds the newest of all; its token goes on with this gateway's alone. */
  async list(...args: Parameters<ContextService["list"]>) {
    const own = await this.parts.own.list(...args);
    const [, , pageSize, pageToken] = args;
    if (this.parts.shared || pageToken !== "") return own;
    const [tenant, filter] = args;
    const others = await this.askAll("context-list", [
      tenant,
      filter,
      Math.min(pageSize || 100, MAX_LINK_CONTEXTS),
      "",
    ]);
    const pages = others.answers as (FoundContexts & { nextPageToken: string })[];
    const all = merged([own, ...pages], Number.POSITIVE_INFINITY, others.missing);
    const cut = pages.some(({ nextPageToken }) => nextPageToken !== "");
    return { ...all, partial: all.partial || cut, nextPageToken: own.nextPageToken };
  }

  async delete(...args: Parameters<ContextService["delete"]>): Promise<number> {
    const own = await this.parts.own.delete(...args);
    if (this.parts.shared) return own;
    const { answers, missing } = await this.askAll("context-delete", args);
    if (missing.length > 0) {
      throw new CallError("CALL_OWNER_AWAY", "a gateway that may have contexts of its own does not answer", {
        gateway_id: missing.join(","),
      });
    }
    return (answers as number[]).reduce((sum, count) => sum + count, own);
  }

  /** By the owner of the call if that is another gateway; here if it cannot be asked and the store is everybody's. */
  private async atOwner<T>(
    tenant: string,
    callId: string,
    method: Named,
    args: readonly unknown[],
    here: () => Promise<T>,
  ): Promise<T> {
    const owner = this.parts.otherOwner(tenant, callId);
    if (!owner) return here();
    try {
      return (await this.ask(owner.gatewayId, "context", [method, ...args])) as T;
    } catch (error) {
      const away = error instanceof CallError && error.reason === "CALL_OWNER_AWAY";
      if (!away || !this.parts.shared) throw error;
      return here().catch((local: unknown) => {
        // Its owner may know it without having stored it yet: not there, or not yet, only the owner can say.
        throw local instanceof CallError && local.reason === "CONTEXT_NOT_FOUND" ? error : local;
      });
    }
  }

  private ask(gatewayId: string, method: string, body: unknown): Promise<unknown> {
    return this.parts.link.request(gatewayId, method, body, this.parts.timeoutMs);
  }

  private async askAll(method: string, body: unknown) {
    const answers: unknown[] = [];
    const missing: string[] = [];
    await Promise.all(
      this.parts.roster.peers().map(async ({ gatewayId }) => {
        try {
          answers.push(await this.ask(gatewayId, method, body));
        } catch {
          missing.push(gatewayId);
        }
      }),
    );
    return { answers, missing: missing.sort() };
  }
}

/** Newest first, each call once: the state that was written last. */
function merged(found: readonly FoundContexts[], limit: number, missing: readonly string[]): FoundContexts {
  const byId = new Map<string, CallContext>();
  for (const context of found.flatMap(({ contexts }) => contexts)) {
    const known = byId.get(context.callId);
    if (!known || known.updateTime < context.updateTime) byId.set(context.callId, context);
  }
  const contexts = [...byId.values()]
    .sort((a, b) => b.createTime.getTime() - a.createTime.getTime() || (a.callId < b.callId ? 1 : -1))
    .slice(0, limit);
  return { contexts, partial: missing.length > 0 || found.some(({ partial }) => partial) };
}
