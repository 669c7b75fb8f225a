import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { connectBus } from "../../gateway/src/bus/nats-bus.js";
import { loadConfig } from "../../gateway/src/config/index.js";
import { FakeLogger } from "../../gateway/src/contract/testing.js";
import { startGateway } from "../../gateway/src/serve.js";
import { MemoryTelephony } from "../../gateway/src/telephony/memory/memory-telephony.js";
import { callee, Simulator } from "../../simulator/src/index.js";
import { issueCertificate, makeAuthority } from "../harness/certificates.js";
import { natsAvailable, startNats } from "../harness/nats.js";
import { startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";

const rig = useRig();
const available = await natsAvailable();
const extension = "subjectAltName=IP:127.0.0.1,DNS:localhost";
const BY_CERTIFICATE = { before: "connector-a", after: "connector-b" };
const uuids = {
  a: "00000000-0000-4000-8000-0000000000aa",
  b: "00000000-0000-4000-8000-0000000000bb",
  keyed: "00000000-0000-4000-8000-0000000000cc",
};

/** Two authorities, `old` and `new`, each with a server and a client; `live` is what the gateway reads: all old. */
async function certificates() {
  const folder = await rig.folder("callweave-own-");
  const at = (name: string) => join(folder, name);
  for (const [name, client] of [
    ["old", BY_CERTIFICATE.before],
    ["new", BY_CERTIFICATE.after],
  ] as const) {
    await makeAuthority(folder, name);
    await issueCertificate(folder, name, `${name}-server`, { extension });
    await issueCertificate(folder, name, `${name}-client`, { subject: client, extension });
  }
  const put = (from: string, to: string) => copyFile(at(from), at(to));
  await put("old-client.pem", "live.pem");
  await put("old-client.key", "live.key");
  await put("old.pem", "live-ca.pem");
  const tls = { cert_file: at("live.pem"), key_file: at("live.key"), ca_file: at("live-ca.pem") };
  const text = (name: string) => readFile(at(name), "utf8");
  /** Lines of the private keys; nothing that is written may hold one. */
  const secrets = (await Promise.all(["old-client.key", "new-client.key"].map(text)))
    .flatMap((pem) => pem.split("\n"))
    .filter((line) => line.length > 20 && !line.startsWith("-"));
  return { folder, at, put, tls, text, secrets };
}

describe.skipIf(!available)("what the gateway shows to NATS", () => {
  it("is read anew without a restart: the connection stays, the next one shows the new certificate (fault 51)", async () => {
    const { folder, at, put, tls, text, secrets } = await certificates();
    const serverFiles = async (name: string) => {
      await put(`${name}-server.pem`, "nats.pem");
      await put(`${name}-server.key`, "nats.key");
      await put(`${name}.pem`, "nats-clients.pem");
    };
    await serverFiles("old");
    const quoted = (name: string) => JSON.stringify(at(name));
    const nats = await startNats({
      config: `tls { cert_file: ${quoted("nats.pem")}, key_file: ${quoted("nats.key")}, ca_file: ${quoted("nats-clients.pem")}, verify: true }`,
    });
    rig.defer(() => nats.stop());
    // By name: the library does not check a certificate against an address.
    const url = `tls://localhost:${nats.port}`;
    const file = at("callweave.yaml");
    await writeFile(
      file,
      stringify({
        gateway: { id: "g-1", grpc: { port: 0 }, state_dir: at("state") },
        ops: { port: 0 },
        nats: { urls: [url], tls },
        connectors: [{ name: "memory", kind: "telcoflow", auth: { api_key: "k", connector_uuid: "u" } }],
        pools: [{ name: "default" }],
      }),
    );
    const load = () => loadConfig({ file, env: {}, cwd: folder });
    const logger = new FakeLogger();
    const gateway = await startGateway(load(), logger, { connectors: [new MemoryTelephony()] });
    rig.defer(() => gateway.stop());
    const told = (message: string) => logger.lines.filter((line) => line.message === message).length;
    const there = (times: number) =>
      until(() => told("NATS is there") === times, `connection ${times}`, 20_000);
    await there(1);

    // A certificate without its key changes nothing: the next connection is made with the old pair.
    await put("new-client.pem", "live.pem");
    await put("new.pem", "live-ca.pem");
    await expect(gateway.reload(load())).rejects.toThrow(/^nats\.tls: .*mismatch/i);
    await nats.restart();
    await there(2);

    await put("new-client.key", "live.key");
    await gateway.reload(load());
    await until(async () => (await natsReady(gateway.ops.port)) === 1, "the connection that is up to stay");
    expect(told("NATS is away")).toBe(1);

    await serverFiles("new");
    await nats.restart();
    await there(3);
    // With the old pair nobody gets in any more.
    const refusals: Error[] = [];
    const stale = await connectBus({
      urls: [url],
      name: "stale",
      tls: {
        ca: await text("new.pem"),
        cert: await text("old-client.pem"),
        key: await text("old-client.key"),
      },
      onError: (error) => refusals.push(error),
    });
    rig.defer(() => stale.close());
    await until(() => refusals.length > 0, "the refusal");
    expect(stale.connected).toBe(false);
    expect(nats.output).toContain("certificate signed by unknown authority");

    const days =
      (await metric(gateway.ops.port, 'callweave_certificate_expire_time_seconds{use="nats"}')) ?? 0;
    expect(days * 1000 - Date.now()).toBeGreaterThan(1.9 * 86_400_000);
    const log = JSON.stringify(logger.lines);
    expect(secrets.filter((line) => log.includes(line))).toEqual([]);
  });
});

describe("what the gateway shows to its providers", () => {
  it("is read anew when files change: sign-ins stay, the next ones show it; half a change is none (fault 51)", async () => {
    const { at, put, tls, text, secrets } = await certificates();
    const provider = async (name: "old" | "new", uuid: string, certificateName: string, port = 0) => {
      const clientCa = await text(`${name}.pem`);
      const server = { cert: await text(`${name}-server.pem`), key: await text(`${name}-server.key`) };
      const simulator = await Simulator.start({
        port,
        tls: { ...server, clientCa },
        connectors: [
          { uuid, certificateName },
          { uuid: uuids.keyed, apiKey: `${name}-api-key` },
        ],
      });
      rig.defer(() => simulator.stop());
      return simulator;
    };
    const first = await provider("old", uuids.a, BY_CERTIFICATE.before);
    await writeFile(at("api-key"), "old-api-key\n");
    const file = at("callweave.yaml");
    const common = { kind: "telcoflow", base_url: first.url };
    await writeFile(
      file,
      stringify({
        gateway: { id: "g-1", grpc: { port: 0 }, state_dir: at("state") },
        auth: { watch_interval_ms: 50 },
        ops: { port: 0 },
        connectors: [
          { name: "main", ...common, auth: tls },
          {
            name: "keyed",
            ...common,
            auth: { api_key_file: at("api-key"), connector_uuid: uuids.keyed, ca_file: tls.ca_file },
          },
        ],
        pools: [{ name: "default" }],
      }),
    );
    const child = startProgram("gateway/src/main.ts", ["serve", "--config", file]);
    rig.defer(() => child.end());
    const serving = await child.line((line) => line.msg === "serving", "serving", 60_000);
    await first.waitForConnections({ count: 2 });
    const told = (msg: RegExp) => child.lines.filter((line) => msg.test(String(line.msg)));

    await put("new-client.pem", "live.pem");
    const refused = () => told(/the old ones stay/).map((line) => String(line.err));
    const named = /^connectors: auth of main: .*mismatch/i;
    await until(() => refused().some((err) => named.test(err)), "the refusal");
    first.faults.dropControl({ code: 1011 });
    await until(() => first.stats.controlConnections === 4, "sign-ins with the old ones", 20_000);

    await put("new.pem", "live-ca.pem");
    await writeFile(at("api-key"), "new-api-key\n");
    await put("new-client.key", "live.key");
    await until(() => told(/loaded anew$/).length > 0, "the reload");
    expect(first.connections).toHaveLength(2);
    expect(first.stats.controlConnections).toBe(4);
    const name = 'callweave_certificate_expire_time_seconds{use="connector"}';
    expect(await metric(Number(serving.ops_port), name)).toBeGreaterThan(Date.now() / 1000);

    await first.stop();
    const second = await provider("new", uuids.b, BY_CERTIFICATE.after, first.port);
    for (const connectorUuid of [uuids.b, uuids.keyed])
      await second.waitForConnections({ connectorUuid, timeoutMs: 30_000 });
    // Nobody is free: the callee is rung over a media connection, which trusts the new authority.
    const phone = second.placeCall({ connector: uuids.b, callee: callee.picksUp({ afterSeconds: 0.1 }) });
    await phone.waitFor("CONNECTED", 20_000);
    const log = `${child.stdout}${child.stderr}`;
    for (const line of [...secrets, "old-api-key", "new-api-key"]) expect(log).not.toContain(line);
  });
});

/** The figure of a line of the metrics. */
async function metric(port: number | undefined, name: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

const natsReady = (port: number | undefined) => metric(port, "callweave_bus_connected");
