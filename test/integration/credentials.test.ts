import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AgentServiceClient,
  CallServiceClient,
  FleetServiceClient,
  type GatewayItem,
  ServeRequest,
} from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { agent as callweaveAgent } from "callweave";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { makeKeyFile, signToken } from "../../gateway/src/auth/auth-commands.js";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type RunningGateway, startGateway } from "../../gateway/src/serve.js";
import { MemoryTelephony } from "../../gateway/src/telephony/memory/memory-telephony.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import { startProgram } from "../harness/process.js";
import { until } from "../harness/until.js";

let folder: string;
const at = (name: string) => join(folder, name);
const stops: (() => unknown)[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "callweave-credentials-"));
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEY = "static-key-0123456789";
let count = 0;

function configFile(changes: { grpc?: object; auth?: object } = {}): string {
  const file = at(`callweave-${++count}.yaml`);
  writeFileSync(file, stringify(configOf(changes)));
  return file;
}

function configOf({ grpc: edge = {}, auth = {} }: { grpc?: object; auth?: object }): object {
  return {
    gateway: { id: "g-1", grpc: { port: 0, ...edge }, state_dir: at(`state-${count}`) },
    ops: { enabled: false },
    auth,
    connectors: [{ name: "memory", kind: "telcoflow", auth: { api_key: "k", connector_uuid: "u" } }],
    routes: [{ callee: "*", pool: "default", unserved: "queue" }],
    pools: [{ name: "default", reattach_grace_ms: 100 }],
  };
}

async function start(file: string): Promise<{ gateway: RunningGateway; telephony: MemoryTelephony }> {
  const telephony = new MemoryTelephony();
  const config = loadConfig({ file, env: {} });
  const gateway = await startGateway(config, silentLogger, { connectors: [telephony], claimJitterMs: 0 });
  stops.push(() => gateway.stop());
  return { gateway, telephony };
}

const LOCAL = { "grpc.enable_http_proxy": 0, "grpc.use_local_subchannel_pool": 1 };

function bearer(token: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  if (token !== "") metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

function agent(port: number, token: string, credentials = grpc.credentials.createInsecure()) {
  const client = new AgentServiceClient(`127.0.0.1:${port}`, credentials, LOCAL);
  stops.push(() => client.close());
  const stream = client.serve(bearer(token));
  const items: NonNullable<GatewayItem["item"]>[] = [];
  let status: grpc.StatusObject | undefined;
  stream.on("error", () => {});
  stream.on("data", (message) => {
    for (const { item } of message.items) if (item) items.push(item);
  });
  stream.on("status", (ended) => {
    status = ended;
  });
  const send = (item: object) => stream.write(ServeRequest.fromPartial({ items: [{ item: item as never }] }));
  const has = (kind: string) => items.some((item) => item.$case === kind);
  return { stream, items, send, has, code: () => status?.code };
}
const register = (agentId: string) => ({ $case: "register", value: { agentId } });

/** The code that a small request ends with. */
function pools(
  port: number,
  token: string,
  credentials = grpc.credentials.createInsecure(),
): Promise<number> {
  const client = new FleetServiceClient(`127.0.0.1:${port}`, credentials, LOCAL);
  stops.push(() => client.close());
  return ask(client, token);
}

function ask(client: FleetServiceClient, token: string): Promise<number> {
  return new Promise((resolve) => {
    const options = { deadline: Date.now() + 10_000 };
    client.listPools({}, bearer(token), options, (error) => resolve(error?.code ?? 0));
  });
}

describe("credentials that expire", () => {
  let keyFile: string;
  let jwksFile: string;
  beforeAll(async () => {
    keyFile = at("issuer.key");
    jwksFile = await makeKeyFile(keyFile);
  });
  const ISSUER = { issuer: "https://issuer.example", audience: "callweave" };
  const token = (ttl: number, role = "agent", tenant = "default") =>
    signToken({
      keyFile,
      ...ISSUER,
      subject: "robot",
      tenant,
      role,
      scope: [],
      pool: [],
      connector: [],
      ttl,
    });
  const rig = () =>
    start(
      configFile({
        grpc: { keys: [{ name: "standby", key: KEY, role: "agent" }] },
        auth: {
          issuers: [{ ...ISSUER, jwks_file: jwksFile, tenants: ["default", "acme"] }],
          leeway_seconds: 1,
        },
      }),
    );

  it("end the stream after a warning, and its call is offered to somebody else (fault 39)", async () => {
    const { gateway, telephony } = await rig();
    const robot = agent(gateway.port, await token(1));
    robot.send(register("robot"));
    await until(() => robot.has("registered"), "the robot to be registered");
    telephony.arrive({ callId: "c-1" });
    await until(() => robot.has("offer"), "an offer");
    robot.send({ $case: "accept", value: {} });
    await until(() => robot.has("assigned"), "the seat");
    const standby = agent(gateway.port, KEY);
    standby.send(register("standby"));
    const watch = new CallServiceClient(
      `127.0.0.1:${gateway.port}`,
      grpc.credentials.createInsecure(),
      LOCAL,
    );
    stops.push(() => watch.close());
    const watching = watch.watchCalls(
      { cursor: "", filter: undefined, fromBeginning: false },
      bearer(await token(1, "observer")),
    );
    let watchCode: number | undefined;
    watching.on("error", () => {});
    watching.on("data", () => {});
    watching.on("status", ({ code }) => {
      watchCode = code;
    });
    await until(() => robot.has("credentialExpiring"), "the warning");
    await until(() => robot.code() === grpc.status.UNAUTHENTICATED, "the end of the stream");
    await until(() => standby.has("offer"), "the call to be offered again");
    await until(() => watchCode === grpc.status.UNAUTHENTICATED, "the end of the watch");
  });

  it("are replaced in the stream by Reauthenticate, which takes none of another tenant (fault 39)", async () => {
    const { gateway } = await rig();
    const robot = agent(gateway.port, await token(1));
    robot.send(register("robot"));
    await until(() => robot.has("credentialExpiring"), "the warning");
    robot.send({ $case: "reauthenticate", value: { token: await token(600, "agent", "acme") } });
    await until(() => robot.has("itemRefused"), "the refusal");
    robot.send({ $case: "reauthenticate", value: { token: await token(600) } });
    const other = agent(gateway.port, await token(1));
    other.send(register("other"));
    // The one that did not ends, long after the first token of the one that did.
    await until(() => other.code() === grpc.status.UNAUTHENTICATED, "the end of the other");
    robot.send({ $case: "mark", value: { handle: 9, name: "m" } });
    await until(() => robot.items.filter((item) => item.$case === "itemRefused").length === 2, "an answer");
    expect(robot.code()).toBeUndefined();
  });
});

describe("the TypeScript client", () => {
  it("asks for a fresh token before the old one ends, and its session goes on (fault 39)", async () => {
    const keyFile = at("client.key");
    const jwksFile = await makeKeyFile(keyFile);
    const issuer = { issuer: "https://issuer.example", audience: "callweave" };
    const { gateway } = await start(
      configFile({ auth: { issuers: [{ ...issuer, jwks_file: jwksFile }], leeway_seconds: 0 } }),
    );
    let asked = 0;
    const statuses: string[] = [];
    const worker = callweaveAgent(
      {
        agentId: "fresh",
        endpoint: `127.0.0.1:${gateway.port}`,
        token: () => {
          asked++;
          const rights = { tenant: "default", role: "agent", scope: [], pool: [], connector: [] };
          return signToken({ keyFile, ...issuer, ...rights, subject: "fresh", ttl: 2 });
        },
        onStatus: ({ type }) => statuses.push(type),
      },
      async () => {},
    );
    const running = worker.run();
    stops.push(async () => {
      await worker.close();
      await running;
    });
    await until(() => asked >= 5, "five tokens", 20_000);
    expect(statuses.filter((type) => type === "disconnected")).toEqual([]);
    expect(gateway.gateway.fleet.agents("default", "")).toHaveLength(1);
  });
});

describe("credentials that are loaded anew", () => {
  it("on SIGHUP: a new key is good, the old one and its streams are not; what is broken changes nothing", async () => {
    const file = configFile({ grpc: { keys: [{ name: "a", key: KEY }] }, auth: { watch_interval_ms: 0 } });
    const write = (config: object) => writeFileSync(file, stringify(config));
    const child = startProgram("gateway/src/main.ts", ["serve", "--config", file]);
    stops.push(() => child.end());
    const serving = await child.line((line) => line.msg === "serving", "serving");
    const port = Number(serving.port);
    const open = agent(port, KEY);
    open.send(register("old"));
    await until(() => open.has("registered"), "the agent to be registered");

    const fresh = "another-key-0123456789";
    const told = (msg: RegExp) => child.lines.filter((line) => msg.test(String(line.msg))).length;
    // Two at a time, then the new one alone.
    write(
      configOf({
        grpc: {
          keys: [
            { name: "a", key: KEY },
            { name: "a", key: fresh },
          ],
        },
      }),
    );
    expect(await pools(port, fresh)).toBe(grpc.status.UNAUTHENTICATED);
    child.signal("SIGHUP");
    await until(() => told(/loaded anew$/) === 1, "the reload");
    expect([await pools(port, KEY), await pools(port, fresh)]).toEqual([0, 0]);
    open.send({ $case: "mark", value: { handle: 9, name: "m" } });
    await until(() => open.has("itemRefused"), "the open stream to go on");
    const next = agent(port, fresh);
    next.send(register("next"));
    await until(() => next.has("registered"), "the next agent to be registered");
    write(configOf({ grpc: { keys: [{ name: "a", key: fresh }] } }));
    child.signal("SIGHUP");
    await until(() => told(/loaded anew$/) === 2, "the reload");
    expect([await pools(port, KEY), await pools(port, fresh)]).toEqual([grpc.status.UNAUTHENTICATED, 0]);

    for (const broken of [{ gateway: { grpc: { keys: [{ name: "a", key: "short" }] } } }, {}]) {
      const before = told(/the old ones stay/);
      write(broken);
      child.signal("SIGHUP");
      await until(() => told(/the old ones stay/) === before + 1, "the refusal");
      expect(await pools(port, fresh)).toBe(0);
    }
    await until(() => open.code() === grpc.status.UNAUTHENTICATED, "the end of the old key's stream");
    next.send({ $case: "mark", value: { handle: 9, name: "m" } });
    await until(() => next.has("itemRefused"), "the stream of the new key to go on");
    expect(`${child.stdout}${child.stderr}`).not.toMatch(/static-key|another-key/);
  });
});

describe("certificates", () => {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const ca = (name: string) =>
    openssl(
      "req",
      "-x509",
      ...newKey,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
    );
  const issue = (name: string, by: string, san: string) => {
    writeFileSync(at(`${name}.san`), `subjectAltName=${san}\n`);
    openssl("req", ...newKey, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signer = ["-CA", `${by}.pem`, "-CAkey", `${by}.key`, "-CAcreateserial", "-extfile", `${name}.san`];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signer, "-days", "2", "-out", `${name}.pem`);
  };
  const pem = (name: string) => readFileSync(at(name));
  const tls = (by: string, name?: string) =>
    name === undefined
      ? grpc.credentials.createSsl(pem(`${by}.pem`))
      : grpc.credentials.createSsl(pem(`${by}.pem`), pem(`${name}.key`), pem(`${name}.pem`));
  beforeAll(() => {
    for (const name of ["ca", "new-ca"]) ca(name);
    issue("server", "ca", "IP:127.0.0.1");
    issue("new-server", "new-ca", "IP:127.0.0.1");
    issue("robot", "ca", "URI:spiffe://example.org/agent/robot");
    issue("desk", "ca", "DNS:desk.example.org");
    issue("tricky", "ca", "DNS:desk.example.org.evil.example,URI:spiffe://example.org/agent/robot/more");
  });

  it("stand for tenant and role by a subject alternative name", async () => {
    const { gateway } = await start(
      configFile({
        grpc: {
          keys: [
            { name: "ops", key: KEY, role: "operator" },
            { name: "foreign", key: "foreign-key-0123456789", tenant: "acme" },
          ],
          tls: { cert_file: at("server.pem"), key_file: at("server.key"), client_ca_file: at("ca.pem") },
        },
        auth: {
          certificates: [
            { san: "URI:spiffe://example.org/agent/*", role: "agent" },
            { san: "DNS:desk.example.org", role: "desk", name: "front-desk" },
          ],
        },
      }),
    );
    const { port } = gateway;
    expect(await pools(port, "", tls("ca", "desk"))).toBe(0);
    expect(await pools(port, "", tls("ca", "robot"))).toBe(grpc.status.PERMISSION_DENIED);
    expect(await pools(port, "", tls("ca", "tricky"))).toBe(grpc.status.UNAUTHENTICATED);
    // A key that is shown counts; one of another tenant than the certificate's does not.
    expect(await pools(port, KEY, tls("ca", "robot"))).toBe(0);
    expect(await pools(port, KEY, tls("ca", "tricky"))).toBe(0);
    expect(await pools(port, "foreign-key-0123456789", tls("ca", "robot"))).toBe(grpc.status.UNAUTHENTICATED);
    expect(await pools(port, "", tls("ca"))).toBe(grpc.status.UNAVAILABLE);
    const robot = agent(port, "", tls("ca", "robot"));
    robot.send(register("robot"));
    await until(() => robot.has("registered"), "the agent to be registered");
  });

  it("of the server are replaced under open connections (fault 51)", async () => {
    copyFileSync(at("server.pem"), at("live.pem"));
    copyFileSync(at("server.key"), at("live.key"));
    const file = configFile({ grpc: { tls: { cert_file: at("live.pem"), key_file: at("live.key") } } });
    const { gateway } = await start(file);
    const { port } = gateway;
    const old = new FleetServiceClient(`127.0.0.1:${port}`, tls("ca"), LOCAL);
    stops.push(() => old.close());
    expect(await ask(old, "")).toBe(0);
    const robot = agent(port, "", tls("ca"));
    robot.send(register("robot"));
    await until(() => robot.has("registered"), "the agent to be registered");
    expect(await pools(port, "", tls("new-ca"))).toBe(grpc.status.UNAVAILABLE);

    // Half of a change is none.
    copyFileSync(at("new-server.pem"), at("live.pem"));
    await expect(gateway.reload(loadConfig({ file, env: {} }))).rejects.toThrow(
      /key values mismatch|mismatch/i,
    );
    copyFileSync(at("new-server.key"), at("live.key"));
    await gateway.reload(loadConfig({ file, env: {} }));
    expect(await pools(port, "", tls("new-ca"))).toBe(0);
    expect(await pools(port, "", tls("ca"))).toBe(grpc.status.UNAVAILABLE);
    expect(await ask(old, "")).toBe(0);
    robot.send({ $case: "mark", value: { handle: 9, name: "m" } });
    await until(() => robot.has("itemRefused"), "the open stream to go on");
    expect(gateway.grpc.connections).toBeGreaterThanOrEqual(2);
  });
});
