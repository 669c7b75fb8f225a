import { callNotFound } from "../call/call.js";
import { CallError } from "../call/call-error.js";
import type { Grant, Principal, Scope } from "./principal.js";
import { ruleOf } from "./rules.js";

/** What an operation is about. */
export interface Resource {
  readonly tenant: string;
  /** The call, for the error of somebody else's. */
  readonly callId?: string;
  /** Unknown ones are outside of every narrowed scope. */
  readonly pool?: string;
  readonly connector?: string;
}

/**
 * Decides by the table of rules; `operation` is "CallService/GetCall", "Serve/audio" or "Serve/command/answer". Throws
 * CALL_NOT_FOUND for what another tenant has, whether or not it is there, and PERMISSION_DENIED naming the scope that is
 * missing. What has no rule is refused.
 */
export function authorize(principal: Principal, operation: string, resource: Resource): void {
  if (resource.tenant !== principal.tenant) throw callNotFound(resource.callId ?? "");
  const missing = missingScope(principal, operation, resource);
  if (missing !== undefined) throw permissionDenied(operation, missing);
}

/** The same as an answer, for filters. */
export function allows(principal: Principal, operation: string, resource: Resource): boolean {
  return resource.tenant === principal.tenant && missingScope(principal, operation, resource) === undefined;
}

/** Has the scopes for some pools and connectors at least; throws PERMISSION_DENIED otherwise. */
export function authorizeSomewhere(principal: Principal, operation: string): void {
  const rule = ruleOf(operation);
  if (!rule) throw permissionDenied(operation, "none");
  const missing = rule.scopes.find((group) => !group.some((scope) => principal.grants.has(scope)));
  if (missing) throw permissionDenied(operation, missing.join(" or "));
}

/** True when the decision depends on pool or connector: only then they have to be known. */
export function isNarrowed(principal: Principal, operation: string): boolean {
  const rule = ruleOf(operation);
  if (!rule) return true;
  return rule.scopes.some((group) => !group.some((scope) => principal.grants.get(scope)?.some(isWide)));
}

/** The error of a right that is not there. */
export function permissionDenied(operation: string, scope: string): CallError {
  return new CallError("PERMISSION_DENIED", `${operation} needs the scope ${scope}`, { operation, scope });
}

function missingScope(principal: Principal, operation: string, resource: Resource): string | undefined {
  const rule = ruleOf(operation);
  if (!rule) return "none";
  const missing = rule.scopes.find((group) => !group.some((scope) => has(principal, scope, resource)));
  return missing?.join(" or ");
}

function has(principal: Principal, scope: Scope, { pool, connector }: Resource): boolean {
  const grants = principal.grants.get(scope);
  return (
    grants?.some((grant) => contains(grant.pools, pool) && contains(grant.connectors, connector)) ?? false
  );
}

function contains(list: readonly string[], name: string | undefined): boolean {
  return list.length === 0 || (name !== undefined && list.includes(name));
}

function isWide(grant: Grant): boolean {
  return grant.pools.length === 0 && grant.connectors.length === 0;
}
