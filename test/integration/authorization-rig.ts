import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  decodeStatusDetails,
  ErrorReason,
  type Error as PbError,
  STATUS_DETAILS_KEY,
} from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { connect, headers, type NatsConnection } from "nats";
import { expect } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { MemoryTelephony } from "../../gateway/src/telephony/memory/memory-telephony.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import { type NatsTestServer, natsAvailable, startNats } from "../harness/nats.js";
import { until } from "../harness/until.js";

/** The predefined roles. */
export const ROLES = ["agent", "observer", "supervisor", "desk", "admin", "operator"] as const;
/** One of them. */
export type RoleName = (typeof ROLES)[number];

/** Who sees calls and hears them. */
export const READS: readonly RoleName[] = ["observer", "supervisor", "desk", "admin"];
/** Who gives verbs from outside of the seat. */
export const COMMANDS: readonly RoleName[] = ["supervisor", "desk", "admin"];
/** Who takes calls. */
export const SPEAKS: readonly RoleName[] = ["agent", "desk", "admin"];

interface Field {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly typeName: string;
}
/** An RPC as its .proto text describes it. */
export interface Rpc {
  readonly name: string;
  readonly path: string;
  readonly fields: readonly Field[];
  readonly responseStream: boolean;
  readonly requestStream: boolean;
  readonly serialize: (value: object) => Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
  readonly deserialize: (bytes: Buffer) => any;
}

const root = fileURLToPath(new URL("../../proto/", import.meta.url));
const files = readdirSync(join(root, "callweave/v1")).map((name) => `callweave/v1/${name}`);
const definition = loadSync(files, {
  includeDirs: [root],
  keepCase: true,
  longs: Number,
  enums: String,
  arrays: true,
  oneofs: true,
});
/** All of the contract. */
export const RPCS: readonly Rpc[] = Object.entries(definition).flatMap(([service, methods]) =>
  "format" in methods
    ? []
    : Object.values(methods).map((method) => ({
        name: method.path.replace(/^\/callweave\.v1\./, ""),
        path: method.path,
        fields: (method.requestType.type as unknown as { field: Field[] }).field,
        responseStream: method.responseStream,
        requestStream: method.requestStream,
        serialize: method.requestSerialize as (value: object) => Buffer,
        deserialize: method.responseDeserialize,
        service,
      })),
);
const fieldsOf = (message: string) =>
  (definition[`callweave.v1.${message}`] as unknown as { type: { field: Field[] } }).type.field;
/** What an agent may send in Serve. */
export const ITEMS = fieldsOf("AgentItem").map((field) => field.name);
/** The verbs inside of its commands. */
export const VERBS = fieldsOf("Command")
  .filter((field) => field.typeName.endsWith("Request"))
  .map((field) => field.name);
/** What a browser may send on its WebSocket. */
export const BROWSER_FRAMES = fieldsOf("BrowserRequest")
  .map((field) => field.name)
  .filter((name) => name !== "stream");
/** The scope of each verb of Serve. */
export const VERB_SCOPE: Readonly<Record<string, string>> = {
  answer: "answer",
  connect: "connect",
  set_agent_mode: "mode",
  escalate: "escalate",
  confirm_escalation: "confirm",
  transfer: "transfer",
  release: "release",
  close: "close",
  disconnect: "disconnect",
  cancel: "cancel",
};

const UUID = "2f1e1f7a-6a5c-4d5e-9a51-0c6d1d3c9a10";
/** A call of each tenant. */
export const CALLS = { acme: "call-acme", globex: "call-globex" } as const;

/** A request about a call, made from the fields of its message. Whole, or with a mistake that is found after the rules. */
export function requestOf(rpc: Rpc, callId: string, whole: boolean): Record<string, unknown> {
  const has = (name: string) => rpc.fields.some((field) => field.name === name);
  const request: Record<string, unknown> = {};
  for (const { name, type, label } of rpc.fields) {
    if (name === "call_id") request[name] = callId;
    else if (name === "request_id") request[name] = whole ? UUID : "no id";
    else if (name === "context") request[name] = { call_id: callId, summary: "by a test" };
    else if (name === "update_mask") request[name] = { paths: ["summary"] };
    else if (name === "caller" && !has("call_id")) request[name] = "+15550100";
    else if (name === "text") request[name] = "a note";
    else if (name === "pool" && has("instance_id")) request[name] = "sales";
    else if (name === "turns") request[name] = [{ id: "t-1", role: 1, text: "Hello" }];
    else if (type === "TYPE_ENUM" && label !== "LABEL_REPEATED") request[name] = 1;
  }
  return request;
}

/** How a request went; code 0 is OK. */
export interface Outcome {
  readonly code: number;
  readonly reason: string;
  readonly scope: string;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly body?: any;
}

/** The key of somebody. */
export const key = (name: string, tenant: string) => `key-of-${tenant}-${name}-0123456789`;

let nats: NatsTestServer;
/** Connection of an outsider. */
export let nc: NatsConnection;
/** The gateway. */
export let gateway: RunningGateway;
/** A client without generated code. */
export let client: grpc.Client;
/** Its files. */
export let folder: string;
/** Whether there is a nats-server. */
export const available = await natsAvailable();

/** Starts one gateway with both tenants, a call and a context each. */
export async function startMatrix(): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), "callweave-matrix-"));
  nats = await startNats();
  const tenants = ["acme", "globex"];
  const own = (name: string, tenant: string, rights: object) => ({
    name,
    tenant,
    key: key(name, tenant),
    ...rights,
  });
  const keys = tenants.flatMap((tenant) => [
    ...ROLES.map((role) => own(role, tenant, { role })),
    own("nothing", tenant, { scopes: ["start"] }),
    own("speaker", tenant, { scopes: ["speak"] }),
    ...VERBS.map((verb) => own(`only-${verb}`, tenant, { scopes: ["speak", VERB_SCOPE[verb] ?? "none"] })),
    own("sales", tenant, { role: "admin", pools: ["sales"] }),
    own("support", tenant, { role: "admin", pools: ["support"] }),
    own("elsewhere", tenant, { role: "admin", connectors: ["other"] }),
  ]);
  const config = {
    gateway: { id: "matrix", grpc: { port: 0, keys }, state_dir: join(folder, "state") },
    ops: { enabled: false },
    audit: { max_refused_per_minute: 100_000 },
    // No page is asked for, so none is built.
    desk: { port: 0, page_dir: folder },
    nats: { urls: [nats.url] },
    connectors: tenants.map((tenant) => ({
      name: tenant,
      tenant,
      kind: "telcoflow",
      auth: { api_key: "k", connector_uuid: "u" },
    })),
    routes: [{ callee: "*", pool: "sales", unserved: "queue" }],
    // Heartbeats, which NATS always has, are refused of somebody who may not speak any more: not so soon found frozen.
    pools: tenants.flatMap((tenant) =>
      ["sales", "support"].map((name) => ({
        name,
        tenant,
        heartbeat_interval_ms: 2_000,
        heartbeat_misses: 10,
      })),
    ),
  };
  const file = join(folder, "callweave.yaml");
  writeFileSync(file, stringify(config));
  const connectors = tenants.map((name) => new MemoryTelephony({ name }));
  gateway = await startGateway(loadConfig({ file, env: {} }), silentLogger, { connectors, claimJitterMs: 0 });
  connectors.forEach((connector, i) => {
    connector.arrive({
      callId: i === 0 ? CALLS.acme : CALLS.globex,
      sessionId: `s-${i}`,
      from: `+1555010${i}`,
    });
  });
  await until(
    () => gateway.gateway.calls.list("globex", { callIds: [], pools: [], states: [] }).length === 1,
    "what was asked for",
  );
  client = new grpc.Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
  });
  nc = await connect({ servers: nats.url, noAsyncTraces: true });
  // Both have a context, so that whoever reads the other's would find one.
  for (const tenant of ["acme", "globex"] as const) {
    const saved = await byGrpc(rpc("ContextService/SaveContext"), who("admin", tenant), {
      context: { call_id: CALLS[tenant], summary: `secret of ${tenant}` },
    });
    expect(saved.code).toBe(0);
  }
}

/** Ends it. */
export async function stopMatrix(): Promise<void> {
  client?.close();
  await nc?.close();
  await gateway?.stop();
  await nats?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** An RPC by name. */
export function rpc(name: string): Rpc {
  const found = RPCS.find((one) => one.name === name);
  if (!found) throw new Error(`no RPC ${name}`);
  return found;
}

/** Who may, in its own tenant: written here apart from the rules of the gateway. An RPC that is missing fails a test. */
export const EXPECTED: Readonly<Record<string, readonly RoleName[]>> = {
  "AgentService/Serve": SPEAKS,
  "AuditService/ListAudit": ["admin"],
  "CallService/AnswerCall": COMMANDS,
  "CallService/ConnectCall": COMMANDS,
  "CallService/SetAgentMode": COMMANDS,
  "CallService/EscalateCall": COMMANDS,
  "CallService/ConfirmEscalation": ["agent", ...COMMANDS],
  "CallService/TransferCall": COMMANDS,
  "CallService/ReleaseCall": COMMANDS,
  "CallService/CloseCall": COMMANDS,
  "CallService/DisconnectCall": COMMANDS,
  "CallService/CancelCommand": COMMANDS,
  "CallService/SendNote": COMMANDS,
  "CallService/ListCalls": READS,
  "CallService/GetCall": ["agent", ...READS],
  "CallService/WatchCalls": READS,
  "CallService/ListenCall": READS,
  "ContextService/SaveContext": SPEAKS,
  "ContextService/UpdateContext": SPEAKS,
  "ContextService/AppendTurns": SPEAKS,
  "ContextService/GetContext": ["agent", ...READS],
  "ContextService/FindContexts": ["agent", ...READS],
  "ContextService/ListContexts": ["agent", ...READS],
  "ContextService/WatchContexts": ["agent", ...READS],
  "ContextService/DeleteContexts": ["admin"],
  "FleetService/ListPools": [...READS, "operator"],
  "FleetService/ListAgents": [...READS, "operator"],
  "FleetService/ListGateways": [...READS, "operator"],
};

/** What of another tenant's call is answered without NOT_FOUND, because it is only about the own tenant's. */
export const HARMLESS = ["ContextService/SaveContext", "ContextService/DeleteContexts"];

/** Whether a request names a call; of ListAudit it is a filter. */
export function namesCall(method: Rpc, request: object): boolean {
  return method.name !== "AuditService/ListAudit" && ("call_id" in request || "context" in request);
}

/** What one request or stream can be asked for; what writes comes last, so that the others find nothing of it. */
export const SERVED = RPCS.filter(({ requestStream }) => !requestStream).sort(
  (a, b) => HARMLESS.indexOf(a.name) - HARMLESS.indexOf(b.name),
);

/** The credential of somebody, as metadata. */
export function who(name: string, tenant: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${key(name, tenant)}`);
  return metadata;
}

/** How a call ended that did not go well. */
export function refused(error: grpc.ServiceError | grpc.StatusObject): Outcome {
  const [bytes] = error.metadata?.get(STATUS_DETAILS_KEY) ?? [];
  const info = bytes ? decodeStatusDetails(bytes as Buffer).errorInfo : undefined;
  return { code: error.code, reason: info?.reason ?? "", scope: info?.metadata.scope ?? "" };
}

/** How it ended by an error in the contract's own words, as the browser wire and NATS have it. */
export function outcomeOfError({ code, reason, metadata }: PbError): Outcome {
  return { code, reason: ErrorReason[reason], scope: metadata.scope ?? "" };
}

/** A Serve stream that keeps what comes, as an outsider reads it. */
export interface ServeStream {
  // biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
  readonly items: any[];
  readonly end: Promise<Outcome>;
  /** The first thing that is sent begins the stream. */
  send(...items: object[]): void;
  /** Leaves it without a word. */
  cancel(): void;
}

/** One request on gRPC; of a stream the first thing that comes. */
export function byGrpc(method: Rpc, metadata: grpc.Metadata, request: object): Promise<Outcome> {
  const { path, serialize, deserialize } = method;
  if (!method.responseStream) {
    return new Promise((resolve) => {
      client.makeUnaryRequest(path, serialize, deserialize, request, metadata, (error, body) =>
        resolve(error ? refused(error) : { code: 0, reason: "", scope: "", body }),
      );
    });
  }
  // A stream that says something, or whose audio begins, was let through.
  const stream = client.makeServerStreamRequest(path, serialize, deserialize, request, metadata);
  return new Promise((resolve) => {
    stream.on("error", () => {});
    stream.once("data", (body) => {
      resolve({ code: 0, reason: "", scope: "", body });
      stream.cancel();
    });
    stream.once("status", (status) => resolve(refused(status)));
    if (method.name.endsWith("WatchContexts")) {
      const stop = tellContexts();
      for (const event of ["close", "end", "error", "data"]) stream.once(event, stop);
    }
  });
}

/** A watch says nothing until something is written: writes until it is stopped. */
export function tellContexts(): () => void {
  const write = async () => {
    for (const tenant of ["acme", "globex"] as const)
      await byGrpc(rpc("ContextService/UpdateContext"), who("admin", tenant), {
        context: { call_id: CALLS[tenant] },
        add_note: "written",
      });
  };
  const timer = setInterval(() => void write(), 10);
  return () => clearInterval(timer);
}

/** One request on NATS. */
export async function byNats(
  method: Rpc,
  name: string,
  tenant: string,
  subjectTenant: string,
  request: object,
) {
  const short = method.name.split("/")[1] ?? "";
  const made = headers();
  made.set("Callweave-Authorization", `Bearer ${key(name, tenant)}`);
  made.set("Content-Type", "application/protobuf");
  const bytes = method.serialize(request);
  const answer = await nc.request(`callweave.${subjectTenant}.rpc.${short}`, bytes, {
    timeout: 10_000,
    headers: made,
  });
  const code = Number(answer.headers?.get("Nats-Service-Error-Code") || 0);
  const text = Buffer.from(answer.data).toString("latin1");
  return { code, text, denied: code === grpc.status.PERMISSION_DENIED };
}

/** The other tenant. */
export const OTHER = { acme: "globex", globex: "acme" } as const;
/** Both. */
export const TENANTS = ["acme", "globex"] as const;

/** "clear_playback" as the rules write it. */
export function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}
