import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TelcoflowOptions } from "../../gateway/src/telephony/telcoflow/index.js";
import { Simulator } from "../../simulator/src/index.js";
import { TestGateway, until } from "./telcoflow-harness.js";

const uuid = "00000000-0000-4000-8000-0000000000aa";
const renewed = {
  before: "00000000-0000-4000-8000-0000000000cc",
  after: "00000000-0000-4000-8000-0000000000dd",
};
let directory: string;
let simulator: Simulator;
let ca: string;

interface Pair {
  readonly cert: string;
  readonly key: string;
}

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
}

function makeCa(name: string): string {
  openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.pem`],
  );
  return readFileSync(join(directory, `${name}.pem`), "utf8");
}

function issue(name: string, authority: string): Pair {
  writeFileSync(join(directory, "san.ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  openssl(
    ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`],
  );
  openssl(
    ...["x509", "-req", "-in", `${name}.csr`, "-CA", `${authority}.pem`, "-CAkey", `${authority}.key`],
    ...["-CAcreateserial", "-days", "2", "-extfile", "san.ext", "-out", `${name}.pem`],
  );
  return {
    cert: readFileSync(join(directory, `${name}.pem`), "utf8"),
    key: readFileSync(join(directory, `${name}.key`), "utf8"),
  };
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "telcoflow-tls-"));
  ca = makeCa("authority");
  makeCa("stranger");
  const server = issue("server", "authority");
  simulator = await Simulator.start({
    tls: { ...server, clientCa: ca },
    connectors: [
      { uuid, certificateName: "connector-a" },
      { uuid: "00000000-0000-4000-8000-0000000000bb", apiKey: "key-b" },
      { uuid: renewed.before, certificateName: "connector-c" },
      { uuid: renewed.after, certificateName: "connector-d" },
    ],
  });
});

afterAll(async () => {
  await simulator?.stop();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

function gateway(options: Partial<TelcoflowOptions>): TestGateway {
  return new TestGateway(simulator.url, options);
}

describe("Telcoflow over TLS", () => {
  it("signs in with a client certificate, takes a call and asks REST with it", async () => {
    const gw = gateway({ ca, auth: issue("connector-a", "authority") });
    await gw.connector.start(gw);
    const placed = simulator.placeCall({ connector: uuid });
    const ours = await gw.call();
    await ours.leg.answer();
    expect(placed.state).toBe("ANSWERED");
    expect(await ours.leg.isAlive()).toBe(true);
    await gw.connector.stop();
  });

  it("signs in with a key, trusting the authority", async () => {
    const gw = gateway({
      ca,
      auth: { apiKey: "key-b", connectorUuid: "00000000-0000-4000-8000-0000000000bb" },
    });
    await gw.connector.start(gw);
    expect(gw.connector.ready).toBe(true);
    await gw.connector.stop();
  });

  it.each([
    ["a certificate of another authority", () => issue("connector-a", "stranger")],
    ["a certificate of no connector", () => issue("connector-z", "authority")],
  ])("does not get in with %s", async (_name, auth) => {
    const gw = gateway({ ca, auth: auth() });
    gw.connector.start(gw).catch(() => {});
    await until(() => gw.counters.connectFailures >= 1, "the refusal");
    expect(gw.connector.ready).toBe(false);
    await gw.connector.stop();
    expect(gw.log.join()).not.toContain("PRIVATE KEY");
  });

  it("takes up another certificate: what is open goes on, control and REST show the new one next (fault 51)", async () => {
    const gw = gateway({ ca, auth: issue("connector-c", "authority") });
    await gw.connector.start(gw);
    simulator.placeCall({ connector: renewed.before });
    const ours = await gw.call();
    await ours.leg.answer();
    // REST has a connection now that shows the old one, and keeps it.
    expect(await ours.leg.isAlive()).toBe(true);
    const fresh = { ca, auth: issue("connector-d", "authority") };
    expect(() => gw.connector.prepareCredentials({ ca, auth: { apiKey: "k", connectorUuid: "u" } })).toThrow(
      "from a key to a certificate",
    );
    gw.connector.prepareCredentials(fresh)();
    expect(gw.connector.ready).toBe(true);
    await ours.leg.interrupt();
    // The open sessions of connector-d are others.
    expect(await ours.leg.isAlive()).toBe(false);
    expect(gw.counters.signIns).toBe(1);
    simulator.faults.dropControl({ code: 1011 });
    await simulator.waitForConnections({ connectorUuid: renewed.after });
    const next = simulator.placeCall({ connector: renewed.after });
    await (await gw.call(1)).leg.answer();
    expect(next.state).toBe("ANSWERED");
    await gw.connector.stop();
    expect(gw.log.join()).not.toContain("PRIVATE KEY");
  });

  it("sends no key to a server that it does not trust (fault 43, fault 51)", async () => {
    const gw = gateway({ auth: { apiKey: "key-b", connectorUuid: uuid } });
    gw.connector.start(gw).catch(() => {});
    await until(() => gw.counters.connectFailures >= 1, "the failure");
    expect(simulator.connections).toHaveLength(0);
    await gw.connector.stop();
  });
});
