/** What a credential may allow. Each may be narrowed to pools and connectors. */
export const SCOPES = [
  "answer",
  "connect",
  "mode",
  "escalate",
  "confirm",
  "transfer",
  "release",
  "close",
  "disconnect",
  "cancel",
  "note",
  "start",
  "listen",
  "speak",
  "context:read",
  "context:write",
  "context:erase",
  "events",
  "supervise",
  "fleet",
  "audit",
] as const;

/** One thing that a credential may allow; `docs/security.md` says what each means. */
export type Scope = (typeof SCOPES)[number];

const VERBS = [
  "answer",
  "connect",
  "mode",
  "escalate",
  "confirm",
  "transfer",
  "release",
  "close",
  "disconnect",
  "cancel",
] as const satisfies readonly Scope[];

/** The predefined roles and their scopes. */
export const ROLES = {
  /** Takes calls of a pool and commands those whose seat it holds. */
  agent: ["speak", ...VERBS, "context:read", "context:write"],
  /** Sees, hears and reads; changes nothing. */
  observer: ["listen", "events", "context:read", "fleet"],
  /** An observer who may command any call and send notes. */
  supervisor: ["listen", "events", "context:read", "fleet", "supervise", ...VERBS, "note", "start"],
  /** A person at the desk: sees calls, reads and writes contexts, takes seats. */
  desk: [
    "speak",
    "listen",
    "events",
    "context:read",
    "context:write",
    "fleet",
    "supervise",
    ...VERBS,
    "note",
    "start",
  ],
  /** Everything in the tenant. */
  admin: SCOPES,
  /** Looks after the gateways: who is there, no calls and no words. */
  operator: ["fleet"],
} as const satisfies Record<string, readonly Scope[]>;

/** The name of a predefined role. */
export type Role = keyof typeof ROLES;

/** The names of the predefined roles. */
export const ROLE_NAMES = Object.keys(ROLES) as Role[];

/** Where a scope holds. Empty lists do not narrow. */
export interface Grant {
  readonly pools: readonly string[];
  readonly connectors: readonly string[];
}

/** How somebody proved who they are; "local" is a process of this machine where there are no keys. */
export type Proof = "local" | "key" | "token" | "certificate";

/** Who asks, and what they may. */
export interface Principal {
  /** Everything the request sees belongs to it. From the credential, never from the request. */
  readonly tenant: string;
  /** The name of the key, the subject of the token or the certificate; unique within the tenant. */
  readonly name: string;
  readonly proof: Proof;
  /** For people and the log: the role, or "" when scopes alone were given. */
  readonly role: string;
  readonly grants: ReadonlyMap<Scope, readonly Grant[]>;
  /** When the credential expires, wall clock in ms. Undefined: never. */
  readonly expireTimeMs?: number;
  /** When a stream that uses it ends: `expireTimeMs` and the leeway. */
  readonly endTimeMs?: number;
}

/** Rights as they are written in a configuration, a token or on the command line. */
export interface Rights {
  /** One of ROLES; empty for none. */
  readonly role?: string | undefined;
  /** "disconnect", or narrowed "disconnect@pool=sales|support@connector=main". */
  readonly scopes?: readonly string[] | undefined;
  /** Narrow everything that role and scopes give. Empty does not. */
  readonly pools?: readonly string[] | undefined;
  readonly connectors?: readonly string[] | undefined;
}

/** Names of tenants, pools, connectors and keys. */
export const PLAIN_NAME = /^[A-Za-z0-9._-]{1,64}$/;

const SCOPE_LIMIT = 100;
const NAMES_LIMIT = 100;

/** Rights as grants. Throws an Error that names what is wrong with them. */
export function grantsOf(rights: Rights): ReadonlyMap<Scope, readonly Grant[]> {
  const { role = "", scopes = [], pools = [], connectors = [] } = rights;
  for (const [what, names] of [
    ["pools", pools],
    ["connectors", connectors],
  ] as const) {
    if (names.length > NAMES_LIMIT) throw new Error(`at most ${NAMES_LIMIT} ${what}`);
    for (const one of names)
      if (!PLAIN_NAME.test(one)) throw new Error(`${what} must match ${PLAIN_NAME.source}`);
  }
  if (scopes.length > SCOPE_LIMIT) throw new Error(`at most ${SCOPE_LIMIT} scopes`);
  const grants = new Map<Scope, Grant[]>();
  const add = (scope: Scope, own: Grant) => {
    const grant = narrowed(own, { pools, connectors });
    if (grant) grants.set(scope, [...(grants.get(scope) ?? []), grant]);
  };
  if (role !== "") {
    if (!Object.hasOwn(ROLES, role)) throw new Error(`role must be one of ${ROLE_NAMES.join(", ")}`);
    for (const scope of ROLES[role as Role]) add(scope, { pools: [], connectors: [] });
  }
  for (const text of scopes) {
    const { scope, grant } = parseScope(text);
    add(scope, grant);
  }
  return grants;
}

/** One scope as it is written. Throws an Error that names the rule. */
export function parseScope(text: string): { readonly scope: Scope; readonly grant: Grant } {
  const [name = "", ...limits] = text.split("@");
  if (!(SCOPES as readonly string[]).includes(name))
    throw new Error(`scope must be one of ${SCOPES.join(", ")}`);
  const lists: Record<string, readonly string[]> = {};
  for (const limit of limits) {
    const [, key = "", values = ""] = /^(pool|connector)=(.+)$/.exec(limit) ?? [];
    const names = values.split("|");
    if (key === "" || key in lists || names.length > NAMES_LIMIT || !names.every((n) => PLAIN_NAME.test(n)))
      throw new Error("a scope is narrowed as scope@pool=NAME|NAME@connector=NAME, each at most once");
    lists[key] = names;
  }
  return { scope: name as Scope, grant: { pools: lists.pool ?? [], connectors: lists.connector ?? [] } };
}

/** What both allow; undefined when nothing is left. */
function narrowed(a: Grant, b: Grant): Grant | undefined {
  const pools = both(a.pools, b.pools);
  const connectors = both(a.connectors, b.connectors);
  return pools && connectors && { pools, connectors };
}

function both(a: readonly string[], b: readonly string[]): readonly string[] | undefined {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const common = a.filter((one) => b.includes(one));
  return common.length > 0 ? common : undefined;
}

/** Whether both are the same somebody with the same rights, however long their credentials last. */
export function sameRights(a: Principal, b: Principal): boolean {
  const textOf = ({ tenant, name, role, grants }: Principal) =>
    JSON.stringify([tenant, name, role, [...grants].sort(([x], [y]) => (x < y ? -1 : 1))]);
  return textOf(a) === textOf(b);
}

/** Somebody with a predefined role; for tests and for this machine without keys. */
export function principalOf(tenant: string, name: string, role: Role = "admin"): Principal {
  return { tenant, name, proof: "local", role, grants: grantsOf({ role }) };
}
