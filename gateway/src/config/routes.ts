import { canonicalNumber } from "../util/numbers.js";
import type { ConnectorConfig, GatewayConfig, RouteConfig, UnservedChoice } from "./config-types.js";
import { describeTime, isOpen } from "./hours.js";

/** A call as it is announced, before anything is done about it. */
export interface RouteQuestion {
  /** Name of the connector. */
  readonly connector: string;
  /** As the provider wrote it; empty when withheld. */
  readonly from: string;
  readonly to: string;
  readonly at: Date;
}

/** Where a call goes. */
export interface RoutedCall {
  /** False: the connector takes no such call at all; the rest says where it would have gone. */
  readonly taken: boolean;
  /** Place in the list of routes, from 0; -1 for the default route. */
  readonly index: number;
  /** Undefined for the default route. */
  readonly route?: RouteConfig;
  readonly pool: string;
  readonly tenant: string;
  readonly locale: string;
  readonly unserved: UnservedChoice;
  readonly ringTimeSeconds: number;
  /** With "announce": a WAV file. */
  readonly announcement?: string;
  /** Each step of the decision in words, with the numbers in full: for people, not for logs. */
  readonly why: readonly string[];
}

/** Decides where a call goes. Looks at nothing but its arguments. */
export function routeCall(config: GatewayConfig, call: RouteQuestion): RoutedCall {
  const why: string[] = [];
  const connector = config.connectors.find((c) => c.name === call.connector);
  const country = config.contexts.defaultCountryCode;
  const from = canonicalNumber(call.from, country) ?? call.from;
  const to = canonicalNumber(call.to, country) ?? call.to;
  const taken = isTaken(connector, call.connector, from, why);

  for (const [index, route] of config.routes.entries()) {
    const against = mismatch(route, call.connector, from, to, call.at);
    if (against !== undefined) {
      why.push(`route ${index + 1}: no, ${against}`);
      continue;
    }
    const tenant = route.tenant ?? connector?.tenant ?? "default";
    why.push(`route ${index + 1}: yes, pool ${route.pool} of tenant ${tenant}`);
    const { pool, locale, unserved, ringTimeSeconds, announcement } = route;
    const common = { taken, index, route, pool, tenant, locale, unserved, ringTimeSeconds, why };
    return announcement === undefined ? common : { ...common, announcement };
  }
  const tenant = connector?.tenant ?? "default";
  why.push(`default route: pool default of tenant ${tenant}`);
  return {
    taken,
    index: -1,
    pool: "default",
    tenant,
    locale: "",
    unserved: "connect",
    ringTimeSeconds: 60,
    why,
  };
}

function isTaken(connector: ConnectorConfig | undefined, name: string, from: string, why: string[]): boolean {
  if (!connector) why.push(`connector ${name}: not configured`);
  else if (!connector.inbound) why.push(`connector ${name}: takes no inbound calls`);
  else if (connector.onlyCallers.length > 0 && !connector.onlyCallers.includes(from))
    why.push(`connector ${name}: ${from || "a withheld number"} is not among only_callers`);
  else {
    why.push(`connector ${name}: takes the call`);
    return true;
  }
  return false;
}

/** Why a route is not for a call; undefined when it is. */
function mismatch(
  route: RouteConfig,
  connector: string,
  from: string,
  to: string,
  at: Date,
): string | undefined {
  if (route.connector !== undefined && route.connector !== connector)
    return `only for connector ${route.connector}`;
  if (!matches(route.callee, to)) return `callee ${to || "withheld"} is not ${route.callee.join(" or ")}`;
  if (!matches(route.caller, from)) return `caller ${from || "withheld"} is not ${route.caller.join(" or ")}`;
  if (route.hours && !isOpen(route.hours, at)) {
    const { timezone, open } = route.hours;
    return `closed at ${describeTime(at, timezone)} ${timezone}, open ${open.join(", ")}`;
  }
  return undefined;
}

function matches(patterns: readonly string[], number: string): boolean {
  if (patterns.length === 0) return true;
  return patterns.some((pattern) => {
    if (pattern === "withheld") return number === "";
    if (pattern.endsWith("*")) return number.startsWith(pattern.slice(0, -1));
    return number === pattern;
  });
}

/** What `config check --call FROM TO` prints. Without a connector: for each one that is configured. */
export function explainRoute(
  config: GatewayConfig,
  call: Omit<RouteQuestion, "connector"> & { readonly connector?: string },
): string {
  const names = call.connector === undefined ? config.connectors.map((c) => c.name) : [call.connector];
  if (names.length === 0) return "no connector is configured: no calls come";
  return names.map((connector) => explainOne(config, { ...call, connector })).join("\n\n");
}

function explainOne(config: GatewayConfig, call: RouteQuestion): string {
  const routed = routeCall(config, call);
  const lines = [
    `call from ${call.from || "a withheld number"} to ${call.to} by connector ${call.connector}:`,
    ...routed.why.map((step) => `  ${step}`),
  ];
  if (!routed.taken) return [...lines, "result: left to the provider"].join("\n");
  const locale = routed.locale === "" ? "" : `, locale ${routed.locale}`;
  return [
    ...lines,
    `result: offered to pool ${routed.pool} of tenant ${routed.tenant}${locale}`,
    `        nobody free: ${describeUnserved(routed)}`,
  ].join("\n");
}

/** What happens to an unserved call, in words. */
export function describeUnserved(
  routed: Pick<RoutedCall, "unserved" | "ringTimeSeconds" | "announcement">,
): string {
  switch (routed.unserved) {
    case "connect":
      return `the original callee rings for ${routed.ringTimeSeconds} s`;
    case "queue":
      return "it waits, ringing, until somebody is free";
    case "answer_and_hold":
      return "it is answered and hears hold audio until somebody is free";
    case "announce":
      return `it hears ${routed.announcement ?? "the announcement"} and is ended`;
    case "leave":
      return "it is left to the provider";
  }
}
