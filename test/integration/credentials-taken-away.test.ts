import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import {
  AgentServiceClient,
  CallServiceClient,
  decodeStatusDetails,
  ErrorReason,
  encodeMessage,
  ListenCallRequest,
  ServeRequest,
  STATUS_DETAILS_KEY,
  WatchCallsRequest,
} from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { connect } from "nats";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../gateway/src/config/index.js";
import { startGateway } from "../../gateway/src/serve.js";
import { MemoryTelephony } from "../../gateway/src/telephony/memory/memory-telephony.js";
import { silentLogger } from "../../gateway/src/util/logger.js";
import { visit } from "../desk/wire-client.js";
import { issueCertificate, makeAuthority } from "../harness/certificates.js";
import { natsAvailable, startNats } from "../harness/nats.js";
import { NatsAgent } from "../harness/nats-agent.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";

const rig = useRig();
const available = await natsAvailable();
const OLD = "leaving-key-0123456789";
const STAYS = "staying-key-0123456789";
const LESS = "fading-key-0123456789";
const LOCAL = { "grpc.enable_http_proxy": 0, "grpc.use_local_subchannel_pool": 1 };
const REGISTER = { $case: "register" as const, value: { agentId: "a", instanceId: "" } };
/** A few turns of the event loop, on a machine of any speed; it is less than 100 ms here. */
const SOON_MS = 5_000;

async function start(changes: object) {
  const folder = await rig.folder("callweave-taken-");
  const file = join(folder, "callweave.yaml");
  const write = (more: object) =>
    writeFile(
      file,
      stringify({
        ops: { enabled: false },
        connectors: [{ name: "memory", kind: "telcoflow", auth: { api_key: "k", connector_uuid: "u" } }],
        pools: ["default", "other"].map((name) => ({ name, heartbeat_misses: 20 })),
        ...changes,
        ...more,
      }),
    );
  await write({});
  const telephony = new MemoryTelephony();
  const load = () => loadConfig({ file, env: {}, cwd: folder });
  const gateway = await startGateway(load(), silentLogger, { connectors: [telephony], claimJitterMs: 0 });
  rig.defer(() => gateway.stop());
  const reload = async (more: object) => {
    await write(more);
    await gateway.reload(load());
  };
  return { gateway, telephony, reload, folder };
}

function bearer(key: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  return metadata;
}

/** How a stream ended: its code with the reason and its `why`; undefined while it goes on. */
function endOf(stream: NodeJS.EventEmitter): () => string | undefined {
  let end: string | undefined;
  stream.on("error", () => {});
  stream.on("data", () => {});
  stream.once("status", ({ code, metadata }: grpc.StatusObject) => {
    const [bytes] = metadata.get(STATUS_DETAILS_KEY);
    const info = bytes ? decodeStatusDetails(bytes as Buffer).errorInfo : undefined;
    end = `${code} ${info?.reason} ${info?.metadata.why}`;
  });
  return () => end;
}

/** Everything that lasts, for one key: what each has ended with. */
async function everythingOf(
  key: string,
  port: number,
  deskPort: number,
  nats: Parameters<typeof NatsAgent.start>[0],
) {
  const address = `127.0.0.1:${port}`;
  const agents = new AgentServiceClient(address, grpc.credentials.createInsecure(), LOCAL);
  const calls = new CallServiceClient(address, grpc.credentials.createInsecure(), LOCAL);
  rig.defer(() => agents.close());
  rig.defer(() => calls.close());
  const serve = agents.serve(bearer(key));
  let said = 0;
  serve.on("data", () => said++);
  const serveEnd = endOf(serve);
  serve.write(ServeRequest.fromPartial({ items: [{ item: REGISTER }] }));
  const watch = calls.watchCalls(WatchCallsRequest.fromPartial({}), bearer(key));
  let watched = 0;
  watch.on("data", () => watched++);
  const watchEnd = endOf(watch);
  const listen = calls.listenCall(ListenCallRequest.fromPartial({ callId: "c-1" }), bearer(key));
  let heard = 0;
  listen.on("data", () => heard++);
  const listenEnd = endOf(listen);

  const browser = await visit(deskPort, { key });
  rig.defer(() => browser.close());
  let closed: string | undefined;
  void browser.closed.then(({ code }) => {
    closed = String(code);
  });
  const ends: Record<string, string> = {};
  const open = (name: string, method: string, request?: Uint8Array) => {
    const stream = browser.open(method, request);
    void stream.end.then(({ error }) => {
      ends[name] = `${error?.code} ${error && ErrorReason[error.reason]} ${error?.metadata.why}`;
    });
    return stream;
  };
  const desk = open(
    "watch",
    "CallService/WatchCalls",
    encodeMessage(WatchCallsRequest, WatchCallsRequest.fromPartial({})),
  );
  const seat = open("serve", "AgentService/Serve");
  seat.send({
    $case: "message",
    value: encodeMessage(ServeRequest, ServeRequest.fromPartial({ items: [{ item: REGISTER }] })),
  });
  const onNats = await NatsAgent.start(nats, { key });
  rig.defer(() => onNats.freeze());
  await until(() => said > 0 && watched > 0 && heard > 0, "the streams of gRPC");
  await until(() => desk.messages.length > 0 && seat.messages.length > 0, "the streams of the browser");
  return () => ({
    serve: serveEnd(),
    watch: watchEnd(),
    listen: listenEnd(),
    deskWatch: ends.watch,
    deskServe: ends.serve,
    socket: closed,
    nats: onNats.end && `${onNats.end.status} ${onNats.end.reason} ${onNats.end.error?.metadata.why}`,
  });
}

describe.skipIf(!available)("a key that is taken out of the configuration", () => {
  it("ends what is open with it, on gRPC, in the browser and on NATS, and nothing else", async () => {
    const nats = await startNats();
    rig.defer(() => nats.stop());
    const keys = (fading: string, ...list: object[]) => ({
      gateway: {
        id: "g-1",
        grpc: {
          port: 0,
          keys: [
            { name: "stays", key: STAYS, role: "desk" },
            { name: "fading", key: LESS, role: fading },
            ...list,
          ],
        },
      },
    });
    const both = keys("desk", { name: "leaves", key: OLD, role: "desk" });
    const { gateway, telephony, reload } = await start({
      ...both,
      desk: { port: 0, page_dir: "." },
      nats: { urls: [nats.url] },
      routes: [{ callee: "*", pool: "other", unserved: "queue" }],
    });
    const nc = await connect({ servers: nats.url, noAsyncTraces: true });
    rig.defer(() => nc.close());
    telephony.arrive({ callId: "c-1" });
    await until(
      () => gateway.gateway.calls.list("default", { callIds: [], pools: [], states: [] }).length === 1,
      "the call",
    );
    const deskPort = gateway.deskPort as number;
    const [leaving, staying, fading] = await Promise.all(
      [OLD, STAYS, LESS].map((key) => everythingOf(key, gateway.port, deskPort, nc)),
    );
    const open = {
      serve: undefined,
      watch: undefined,
      listen: undefined,
      deskWatch: undefined,
      deskServe: undefined,
      socket: undefined,
      nats: undefined,
    };
    // The same keys once more, in another order: nobody notices.
    await reload(both);
    expect([leaving?.(), staying?.()]).toEqual([open, open]);

    // One key goes, another one may do less.
    await reload(keys("observer"));
    const revoked = "16 UNAUTHENTICATED revoked";
    const ended = {
      serve: revoked,
      watch: revoked,
      listen: revoked,
      deskWatch: revoked,
      deskServe: revoked,
      socket: "4001",
      nats: revoked,
    };
    const at = performance.now();
    await until(
      () => Object.values(leaving?.() ?? {}).every((end) => end !== undefined),
      "the ends",
      SOON_MS,
    );
    await until(() => Object.values(fading?.() ?? {}).every((end) => end !== undefined), "the ends", SOON_MS);
    expect(performance.now() - at).toBeLessThan(SOON_MS);
    expect(leaving?.()).toEqual(ended);
    expect(fading?.()).toEqual(ended);
    expect(staying?.()).toEqual(open);
  });
});

describe("the certificate of the desk", () => {
  it("is replaced under open connections, and its end is told (fault 51)", async () => {
    const folder = await rig.folder("callweave-desk-tls-");
    const at = (name: string) => join(folder, name);
    for (const name of ["ca", "new-ca"]) await makeAuthority(folder, name);
    await issueCertificate(folder, "ca", "live", { extension: "subjectAltName=IP:127.0.0.1" });
    await issueCertificate(folder, "new-ca", "next", { extension: "subjectAltName=IP:127.0.0.1" });
    const tls = { cert_file: at("live.pem"), key_file: at("live.key") };
    const { gateway, reload } = await start({
      gateway: { id: "g-1", grpc: { port: 0, tls: { ...tls, client_ca_file: at("ca.pem") } } },
      desk: { port: 0, page_dir: ".", tls },
      ops: { port: 0 },
    });
    const port = gateway.deskPort as number;
    const issuerSeen = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().issuer.CN));
          socket.destroy();
        });
        socket.once("error", reject);
      });
    const open = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    rig.defer(() => open.destroy());
    await new Promise((resolve) => open.once("secureConnect", resolve));
    expect(await issuerSeen()).toBe("test authority ca");
    // Half of a change is none, and what is wrong is named.
    await copyFile(at("next.pem"), at("live.pem"));
    await expect(reload({})).rejects.toThrow(/tls: .*mismatch/i);
    expect(await issuerSeen()).toBe("test authority ca");
    await copyFile(at("next.key"), at("live.key"));
    await reload({});
    expect(await issuerSeen()).toBe("test authority new-ca");
    const answered = new Promise((resolve) => open.once("data", resolve));
    open.write(`GET /api/nothing HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    expect(String(await answered)).toMatch(/^HTTP\/1.1 404/);
    await expect(reload({ desk: { port: 0, page_dir: "." } })).rejects.toThrow("desk.tls cannot be added");

    const text = await (await fetch(`http://127.0.0.1:${gateway.ops.port}/metrics`)).text();
    for (const use of ["grpc", "grpc_client_ca", "desk"]) {
      const [, seconds] =
        new RegExp(`^callweave_certificate_expire_time_seconds\\{use="${use}"\\} (\\S+)$`, "m").exec(text) ??
        [];
      const days = (Number(seconds) * 1000 - Date.now()) / 86_400_000;
      expect(days, use).toBeGreaterThan(1.9);
      expect(days, use).toBeLessThanOrEqual(2);
    }
  });
});
