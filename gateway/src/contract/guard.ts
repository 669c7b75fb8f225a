import type { AuditEvent, AuditSink } from "../audit/audit-sink.js";
import { CallError } from "../call/call-error.js";
import type { GatewayApi } from "../gateway-api.js";
import { authorize, authorizeSomewhere, isNarrowed, permissionDenied } from "./authorization.js";
import { clientActor } from "./client-actor.js";
import { narrowedApi } from "./narrowed-api.js";
import type { Operation, Operations } from "./operations.js";
import type { Principal } from "./principal.js";
import { type Rule, rpcName, ruleOf } from "./rules.js";

/** What a request may name; the fields of all requests that rules look at. */
interface Named {
  readonly callId?: unknown;
  readonly context?: { readonly callId?: unknown };
  readonly key?: { readonly $case: string; readonly value: unknown };
  readonly target?: { readonly $case: string; readonly value: unknown };
}

/** The operations of `make`, each behind its rule and told to `audit` where it has to be. */
export function guarded(
  api: GatewayApi,
  make: (api: GatewayApi) => Operations,
  definitions: { readonly [service in keyof Operations]: object },
  audit: AuditSink,
): Operations {
  const wide = make(api);
  const narrow = new WeakMap<Principal, Operations>();
  const of = (principal: Principal): Operations => {
    let made = narrow.get(principal);
    if (!made) {
      made = make(narrowedApi(api, principal));
      narrow.set(principal, made);
    }
    return made;
  };
  const services = Object.entries(wide).map(([service, methods]) => {
    const entries = Object.keys(methods as object).map((method) => {
      const name = rpcName(definitionOf(definitions[service as keyof Operations], method).path);
      const run: Operation<unknown, unknown> = async (request, principal) => {
        await admit(api, name, principal, request as Named, audit);
        const table = isNarrowed(principal, name) ? of(principal) : wide;
        const operation = (table[service as keyof Operations] as Record<string, Operation<unknown, unknown>>)[
          method
        ];
        if (!operation) throw permissionDenied(name, "none");
        const response = await Promise.resolve(operation(request, principal)).catch((error: unknown) => {
          recordDenied(audit, name, principal, namedCall(request as Named), error);
          throw error;
        });
        recordEffect(audit, name, principal, request as Named, response);
        return response;
      };
      return [method, run] as const;
    });
    return [service, Object.fromEntries(entries)] as const;
  });
  return Object.fromEntries(services) as unknown as Operations;
}

function definitionOf(definitions: object, method: string): { readonly path: string } {
  return (definitions as Readonly<Record<string, { readonly path: string }>>)[method] ?? { path: "" };
}

/**
 * Lets somebody through to an operation or throws: CALL_NOT_FOUND, PERMISSION_DENIED. The call is looked up only when the
 * right is narrowed to pools or connectors.
 */
export async function admit(
  api: GatewayApi,
  name: string,
  principal: Principal,
  request: Named,
  audit: AuditSink,
): Promise<void> {
  try {
    await decide(api, name, principal, request, ruleOf(name));
  } catch (error) {
    recordDenied(audit, name, principal, namedCall(request), error);
    throw error;
  }
}

async function decide(
  api: GatewayApi,
  name: string,
  principal: Principal,
  request: Named,
  rule: Rule | undefined,
): Promise<void> {
  const { tenant } = principal;
  if (!rule || !isNarrowed(principal, name)) {
    authorize(principal, name, { tenant });
    return;
  }
  authorizeSomewhere(principal, name);
  if (rule.about === "list" || rule.about === "none") return;
  const callId = namedCall(request);
  // By session, by caller: GetContext is judged again by what it finds, everything else is too wide for a narrow right.
  if (callId === "" && name === "ContextService/GetContext") return;
  authorize(principal, name, { tenant, callId, ...(await placeOf(api, tenant, callId, rule.about)) });
}

/** Pool and connector of a call. A context outlives its call; then nobody knows them and a narrow right is not enough. */
async function placeOf(api: GatewayApi, tenant: string, callId: string, about: Rule["about"]) {
  try {
    const { pool, connector } = await api.calls.get(tenant, callId);
    return { pool, connector };
  } catch (error) {
    if (about === "context" && error instanceof CallError && error.reason === "CALL_NOT_FOUND") return {};
    throw error;
  }
}

function namedCall(request: Named): string {
  const { callId, context, key, target } = request;
  for (const one of [callId, context?.callId, ofCase(key), ofCase(target)])
    if (typeof one === "string" && one !== "") return one;
  return "";
}

function ofCase(choice: Named["key"]): unknown {
  return choice?.$case === "callId" ? choice.value : undefined;
}

/**
 * Writes down that somebody was refused by the rules, or asked for a call that the tenant does not have: it may be
 * somebody else's, and whether it is makes no difference here, so that time tells nothing.
 */
export function recordDenied(
  audit: AuditSink,
  operation: string,
  principal: Principal,
  callId: string,
  error: unknown,
): void {
  if (!(error instanceof CallError)) return;
  const { reason, metadata } = error;
  if (reason !== "PERMISSION_DENIED" && reason !== "CALL_NOT_FOUND") return;
  audit.record({
    tenant: principal.tenant,
    kind: "PERMISSION_DENIED",
    actor: clientActor(principal).name,
    operation,
    ...(callId !== "" && { callId: callId.slice(0, 200) }),
    details: { reason, role: principal.role, ...(metadata.scope !== undefined && { scope: metadata.scope }) },
  });
}

/** What was read or erased. */
function recordEffect(
  audit: AuditSink,
  operation: string,
  principal: Principal,
  request: Named,
  response: unknown,
): void {
  const kind = AUDITED[operation];
  if (!kind) return;
  const callId = namedCall(request);
  // Whoever was just erased gets no new hash; that of old is in an entry of the log itself.
  const number = kind === "CONTEXT_ERASED" ? "" : numberOf(request) || callerOf(response);
  const count = (response as { deletedCount?: number; contexts?: readonly unknown[] } | undefined) ?? {};
  const found = count.deletedCount ?? count.contexts?.length;
  audit.record({
    tenant: principal.tenant,
    kind,
    actor: clientActor(principal).name,
    operation,
    ...(callId !== "" && { callId }),
    ...(number !== "" && { number }),
    ...(found !== undefined && { details: { count: String(found) } }),
  });
}

const AUDITED: Readonly<Record<string, AuditEvent["kind"]>> = {
  "ContextService/GetContext": "CONTEXT_READ",
  "ContextService/FindContexts": "CONTEXT_READ",
  "ContextService/ListContexts": "CONTEXT_READ",
  "ContextService/DeleteContexts": "CONTEXT_ERASED",
  "AuditService/ListAudit": "AUDIT_READ",
};

function callerOf(response: unknown): string {
  const { context } = (response ?? {}) as { readonly context?: { readonly caller?: unknown } };
  return typeof context?.caller === "string" ? context.caller : "";
}

function numberOf(request: Named & { readonly number?: unknown; readonly caller?: unknown }): string {
  const { number, caller, target } = request;
  if (typeof number === "string") return number;
  if (typeof number === "object" && number !== null && "value" in number) return String(number.value);
  if (target?.$case === "caller") return String(target.value);
  return typeof caller === "string" ? caller : "";
}
