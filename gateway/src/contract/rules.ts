import type {
  AgentItem,
  AgentServiceDefinition,
  AuditServiceDefinition,
  CallServiceDefinition,
  Command,
  ContextServiceDefinition,
  FleetServiceDefinition,
} from "@callweave/proto";
import type { Scope } from "./principal.js";

/** What a rule needs and what it is about. */
export interface Rule {
  /** One scope of each group is needed. None: any good credential. */
  readonly scopes: readonly (readonly Scope[])[];
  /**
   * What pools and connectors narrow. `call`: the call that is named. `context`: the call of the context that is named.
   * `list`: the answer is filtered. `pool`: the pool that is registered for. `none`: nothing, a narrowed scope is enough.
   * `tenant`: all of the tenant, a narrowed scope is never enough.
   */
  readonly about: "call" | "context" | "list" | "pool" | "none" | "tenant";
}

type Methods<D, Service extends string> = `${Service}/${Capitalize<Extract<keyof D, string>>}`;

/** The RPCs of the contract, as "Service/Method". */
export type RpcName =
  | Methods<typeof AgentServiceDefinition, "AgentService">
  | Methods<typeof AuditServiceDefinition, "AuditService">
  | Methods<typeof CallServiceDefinition, "CallService">
  | Methods<typeof ContextServiceDefinition, "ContextService">
  | Methods<typeof FleetServiceDefinition, "FleetService">;

type ItemCase = NonNullable<AgentItem["item"]>["$case"];
type VerbCase = NonNullable<Command["verb"]>["$case"];

/** The items of Serve, and the verbs inside of its commands. */
export type ItemName = `Serve/${Exclude<ItemCase, "command">}` | `Serve/command/${VerbCase}`;

/** Everything that is decided on. */
export type OperationName = RpcName | ItemName;

function needs(about: Rule["about"], ...scopes: (Scope | readonly Scope[])[]): Rule {
  return { about, scopes: scopes.map((scope) => (typeof scope === "string" ? [scope] : scope)) };
}

/** A verb from outside of the seat. */
function outside(scope: Scope): Rule {
  return needs("call", "supervise", scope);
}

/** A verb of the seat's holder: the seat is proven by its handle. */
function inSeat(scope: Scope): Rule {
  return needs("call", "speak", scope);
}

/** Something about the stream or the seat itself. */
const SPEAK = needs("pool", "speak");

/**
 * The one table: who may do what, for every RPC on every wire and every item of Serve. The compiler wants a rule for
 * each of them; what has none at run time is refused.
 */
export const RULES: { readonly [name in OperationName]: Rule } = {
  // The pool is known with the first item.
  "AgentService/Serve": needs("none", "speak"),

  "CallService/AnswerCall": outside("answer"),
  "CallService/ConnectCall": outside("connect"),
  "CallService/SetAgentMode": outside("mode"),
  "CallService/EscalateCall": outside("escalate"),
  // By the human who picked up the phone, who needs no seat.
  "CallService/ConfirmEscalation": needs("call", "confirm"),
  "CallService/TransferCall": outside("transfer"),
  "CallService/ReleaseCall": outside("release"),
  "CallService/CloseCall": outside("close"),
  "CallService/DisconnectCall": outside("disconnect"),
  "CallService/CancelCommand": outside("cancel"),
  // Heard by nobody but the holder.
  "CallService/SendNote": needs("call", "note"),
  "CallService/ListCalls": needs("list", "events"),
  // An agent asks for its call when an outcome is unknown; it has to know the id.
  "CallService/GetCall": needs("call", ["events", "speak"]),
  "CallService/WatchCalls": needs("list", "events"),
  "CallService/ListenCall": needs("call", "listen"),

  "ContextService/SaveContext": needs("context", "context:write"),
  "ContextService/UpdateContext": needs("context", "context:write"),
  "ContextService/AppendTurns": needs("context", "context:write"),
  "ContextService/GetContext": needs("context", "context:read"),
  "ContextService/FindContexts": needs("list", "context:read"),
  "ContextService/ListContexts": needs("list", "context:read"),
  "ContextService/WatchContexts": needs("list", "context:read"),
  "ContextService/DeleteContexts": needs("context", "context:erase"),

  "FleetService/ListPools": needs("list", "fleet"),
  "FleetService/ListAgents": needs("list", "fleet"),
  "FleetService/ListGateways": needs("none", "fleet"),

  "AuditService/ListAudit": needs("tenant", "audit"),

  "Serve/register": SPEAK,
  "Serve/join": SPEAK,
  "Serve/reattach": SPEAK,
  "Serve/accept": SPEAK,
  "Serve/decline": SPEAK,
  "Serve/audio": SPEAK,
  "Serve/mark": SPEAK,
  "Serve/clearPlayback": SPEAK,
  "Serve/heartbeat": SPEAK,
  "Serve/drain": SPEAK,
  "Serve/bye": SPEAK,
  // Its token is judged, not the one that it replaces.
  "Serve/reauthenticate": needs("none"),

  "Serve/command/answer": inSeat("answer"),
  "Serve/command/connect": inSeat("connect"),
  "Serve/command/setAgentMode": inSeat("mode"),
  "Serve/command/escalate": inSeat("escalate"),
  "Serve/command/confirmEscalation": inSeat("confirm"),
  "Serve/command/transfer": inSeat("transfer"),
  "Serve/command/release": inSeat("release"),
  "Serve/command/close": inSeat("close"),
  "Serve/command/disconnect": inSeat("disconnect"),
  "Serve/command/cancel": inSeat("cancel"),
};

/** The rule of an operation; undefined when there is none. */
export function ruleOf(operation: string): Rule | undefined {
  return Object.hasOwn(RULES, operation) ? RULES[operation as OperationName] : undefined;
}

/** "/callweave.v1.CallService/GetCall" as the table calls it: "CallService/GetCall". */
export function rpcName(path: string): string {
  return path.replace(/^\/callweave\.v1\./, "");
}
