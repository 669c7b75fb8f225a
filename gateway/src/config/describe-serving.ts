import { maskNumber } from "../util/numbers.js";
import type {
  ConnectorConfig,
  DeskConfig,
  GatewayConfig,
  RouteConfig,
  WebhookConfig,
} from "./config-types.js";
import { DEFAULT_PORTS, memberPort } from "./member-config.js";
import { describeUnserved } from "./routes.js";

/** The lines that are printed at start: which calls are taken, who may come, how long things are kept. Numbers are masked. */
export function describeServing(config: GatewayConfig): string[] {
  const { grpc } = config.gateway;
  return [
    ...(config.connectors.length === 0
      ? ["no connector is configured: no calls come"]
      : config.connectors.map(describeConnector)),
    ...config.routes.map((route, i) => `route ${i + 1}: ${describeRoute(route)}`),
    `${config.routes.length > 0 ? "all other" : "all"} calls: pool default; nobody free: ${describeUnserved({
      unserved: "connect",
      ringTimeSeconds: 60,
    })}`,
    `gRPC on ${grpc.host}:${grpc.port}, ${whoMayCome(config)}${grpc.tls ? ", TLS" : ""}`,
    ...(config.serve.gateways > 1 ? [describeGateways(config)] : []),
    ...(config.desk ? [describeDesk(config.desk, hasCredentials(config))] : []),
    ...config.webhooks.map(
      (hook) => `webhook ${hook.tenant}/${hook.name} to ${new URL(hook.url).host}: ${describeEvents(hook)}`,
    ),
    `events are kept ${days(config.events.retentionDays)}, contexts ${days(config.contexts.retentionDays)} after the last write, ${whereKept(config)}`,
    config.audit.enabled
      ? `who listened, read or was refused is kept ${days(config.audit.retentionDays)} in ${config.gateway.stateDir}`
      : "no audit log is kept",
  ];
}

/** What several gateways of one file have of their own. */
export function describeGateways({ gateway, serve }: GatewayConfig): string {
  const { gateways, portStep } = serve;
  const { host, port } = gateway.grpc;
  const ports =
    port === 0
      ? "any free ports"
      : Array.from({ length: gateways }, (_, i) => `${host}:${memberPort(port, i + 1, portStep)}`).join(", ");
  return `${gateways} gateways, each a process of its own with a folder in ${gateway.stateDir}: gRPC on ${ports}`;
}

function describeEvents({ events, pools, includeContext }: WebhookConfig): string {
  const what = events.length === 0 ? "all events" : events.join(", ");
  const context =
    includeContext === "none"
      ? ""
      : `, with the context${includeContext === "header" ? "" : " and its turns"}`;
  return `${what}${pools.length > 0 ? ` of ${pools.join(", ")}` : ""}${context}`;
}

function describeDesk({ host, port = DEFAULT_PORTS.desk, tls, origins }: DeskConfig, keys: boolean): string {
  const pages = origins.length > 0 ? `, pages of ${origins.join(", ")}` : "";
  return `desk on ${tls ? "https" : "http"}://${host}:${port}, ${keys ? "for holders of keys" : "for this machine only, without keys"}${pages}`;
}

function hasCredentials({ gateway, auth }: GatewayConfig): boolean {
  return gateway.grpc.keys.length + auth.issuers.length + auth.certificates.length > 0;
}

function whoMayCome({ gateway, auth }: GatewayConfig): string {
  const keys = [...new Set(gateway.grpc.keys.map((key) => key.name))].join(", ");
  const ways = [
    keys && `for the keys ${keys}`,
    auth.issuers.length > 0 && `for tokens of ${auth.issuers.map((one) => one.issuer).join(", ")}`,
    auth.certificates.length > 0 &&
      `for certificates of ${auth.certificates.map((one) => one.san).join(", ")}`,
  ].filter((way) => typeof way === "string" && way !== "");
  if (ways.length > 0) return ways.join(", ");
  return auth.withoutKeys === undefined
    ? "for this machine only, without keys"
    : "FOR EVERYBODY WHO REACHES IT, without keys";
}

function whereKept({ nats, contexts, gateway }: GatewayConfig): string {
  if (!nats && !contexts.mongodb) return `in ${gateway.stateDir}`;
  const events = nats ? "NATS" : gateway.stateDir;
  const kept = contexts.mongodb
    ? `MongoDB (while it is away: ${nats ? "NATS, " : ""}${gateway.stateDir})`
    : gateway.stateDir;
  return `events in ${events}, contexts in ${kept}`;
}

function describeConnector(connector: ConnectorConfig): string {
  const { name, kind, tenant, sampleRateHz, audioMode, callFlow, onlyCallers } = connector;
  const callers =
    onlyCallers.length === 0
      ? "inbound calls of everybody"
      : `inbound calls of ${onlyCallers.length === 1 ? "1 number" : `${onlyCallers.length} numbers`} only (${onlyCallers.map(maskNumber).join(", ")})`;
  const flow = callFlow
    ? `sets the call flow to ${callFlow.inboundCall}`
    : "leaves the call flow as it is at the provider";
  return `connector ${name} (${kind}, tenant ${tenant}): ${
    connector.inbound ? `takes ${callers}` : "takes no inbound calls"
  }; ${sampleRateHz} Hz ${audioMode}; ${flow}`;
}

function describeRoute(route: RouteConfig): string {
  const conditions = [
    route.connector && `connector ${route.connector}`,
    route.callee.length > 0 && `to ${route.callee.map(maskPattern).join(" or ")}`,
    route.caller.length > 0 && `from ${route.caller.map(maskPattern).join(" or ")}`,
    route.hours && `${route.hours.open.join(", ")} ${route.hours.timezone}`,
  ].filter((text) => typeof text === "string");
  const tenant = route.tenant === undefined ? "" : ` of tenant ${route.tenant}`;
  return `${conditions.join(", ") || "all calls"}: pool ${route.pool}${tenant}; nobody free: ${describeUnserved(route)}`;
}

/** A prefix tells nobody's number; a whole number is masked. */
function maskPattern(pattern: string): string {
  return pattern === "withheld" || pattern.endsWith("*") ? pattern : maskNumber(pattern);
}

function days(count: number): string {
  return count === 1 ? "1 day" : `${count} days`;
}
