import { execFileSync } from "node:child_process";
import dns from "node:dns";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Simulator } from "@callweave/simulator";
import { describe, expect, it, vi } from "vitest";
import type { Logger } from "../../gateway/src/util/logger.js";
import { type StackOptions, until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";
import { TestGateway } from "../integration/telcoflow-harness.js";

const rig = useRig();

/** What a gateway logged. */
class Lines implements Logger {
  readonly warnings: string[] = [];
  readonly errors: string[] = [];
  debug(): void {}
  info(): void {}
  warn(_fields: object, message: string): void {
    this.warnings.push(message);
  }
  error(_fields: object, message: string): void {
    this.errors.push(message);
  }
}

async function start(connector: object, options: StackOptions = {}) {
  const log = new Lines();
  const stack = await rig.stack({ ...options, config: { ...WITNESS_CONFIG, connector }, logger: log });
  const witness = await startWitness(rig, stack);
  const agent = await rig.agent(stack);
  const { simulator } = stack;
  const signIns = () => simulator.stats.controlConnections;
  /** Signed in again for good: a new call is taken and answered. */
  const takesCalls = async () => {
    const phone = simulator.placeCall({ from: "+15550123" });
    await phone.waitFor("ANSWERED", 20_000);
    await agent.call();
  };
  return { stack, simulator, witness, log, signIns, takesCalls };
}

describe("the provider is away", () => {
  it("a control connection that flaps: the waits grow, one warning, the talk goes on (fault 8)", async () => {
    const reconnect = { min_ms: 100, max_ms: 10_000, factor: 2, jitter: 0, stable_ms: 30_000 };
    const { simulator, witness, log, signIns, takesCalls } = await start({ options: { reconnect } });
    const waitsMs: number[] = [];
    for (let i = 0; i < 5; i++) {
      const before = signIns();
      const droppedMs = performance.now();
      expect(simulator.faults.dropControl()).toBe(1);
      await until(() => signIns() > before, "the next connection");
      waitsMs.push(performance.now() - droppedMs);
      await simulator.waitForConnections();
    }
    // 0.1, 0.2, 0.4, 0.8 and 1.6 s: a connection that opens and drops at once does not start them over.
    expect(waitsMs[4]).toBeGreaterThan(1_500);
    expect(waitsMs[3]).toBeGreaterThan(750);
    expect(log.warnings.filter((message) => message === "no control connection")).toHaveLength(1);
    expect(log.errors).toEqual([]);
    await takesCalls();
    expect(await witness.missing()).toEqual([]);
    expect(witness.phone.stats.mediaConnections).toBe(1);
  });

  it("told to come back later (1013, then 429): it waits as asked, and the talk goes on (fault 52)", async () => {
    const reconnect = { min_ms: 100, max_ms: 200, factor: 1.5, jitter: 0, stable_ms: 30_000 };
    const { simulator, witness, log, signIns, takesCalls } = await start({ options: { reconnect } });
    const before = signIns();
    simulator.faults.rateLimit({ count: 1, retryAfterSeconds: 2 });
    const droppedMs = performance.now();
    expect(simulator.faults.dropControl({ code: 1013 })).toBe(1);
    await until(() => signIns() > before, "the next connection");
    // 0.1 s of its own after the close, then 2 s because it was asked to.
    expect(performance.now() - droppedMs).toBeGreaterThan(2_000);
    await takesCalls();
    expect(await witness.missing()).toEqual([]);
    expect(witness.phone.stats.mediaConnections).toBe(1);
    expect(log.errors).toEqual([]);
  });

  it("a name that does not resolve: the talk goes on, and it signs in when the name is back (fault 51)", async () => {
    const name = "provider.test";
    const { lookup } = dns;
    const asked: string[] = [];
    let resolves = true;
    // The resolver of this process: the gateway asks it for every new connection.
    const planted = vi.spyOn(dns, "lookup").mockImplementation(((host: string, ...rest: unknown[]) => {
      if (host !== name) return (lookup as (...all: unknown[]) => void)(host, ...rest);
      asked.push(host);
      const [options, done] = rest as [{ all?: boolean }, (error: Error | null, ...found: unknown[]) => void];
      if (!resolves) {
        const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: "ENOTFOUND" });
        queueMicrotask(() => done(error));
      } else if (options.all) queueMicrotask(() => done(null, [{ address: "127.0.0.1", family: 4 }]));
      else queueMicrotask(() => done(null, "127.0.0.1", 4));
    }) as never);
    rig.defer(() => planted.mockRestore());
    const simulator = await Simulator.start();
    rig.defer(() => simulator.stop());
    const reconnect = { min_ms: 100, max_ms: 300, factor: 1.5, jitter: 0, stable_ms: 30_000 };
    const url = new URL(simulator.url);
    url.hostname = name;
    const { port } = url;
    const stack = await rig.stack({
      config: {
        ...WITNESS_CONFIG,
        connector: {
          base_url: url.href.replace(/\/$/, ""),
          options: { reconnect, media_hosts: [`127.0.0.1:${port}`] },
        },
      },
      at: simulator,
    });
    const witness = await startWitness(rig, stack);
    const agent = await rig.agent(stack);
    expect(asked.length).toBeGreaterThan(0);
    resolves = false;
    const before = simulator.stats.controlConnections;
    expect(simulator.faults.dropControl()).toBe(1);
    const askedBefore = asked.length;
    await until(() => asked.length >= askedBefore + 3, "three attempts");
    expect(simulator.stats.controlConnections).toBe(before);
    expect(stack.gateway.ops.readiness().status).toBe("not_ready");
    expect(await witness.missing()).toEqual([]);
    resolves = true;
    await until(() => simulator.stats.controlConnections > before, "the sign-in");
    const phone = simulator.placeCall({ from: "+15550123" });
    await phone.waitFor("ANSWERED");
    await agent.call();
    expect(await witness.missing()).toEqual([]);
    expect(witness.phone.stats.mediaConnections).toBe(1);
  });

  it("a certificate that has expired: no sign-in, no key sent, and the reason is in the log (fault 51)", async () => {
    const folder = await rig.folder("callweave-expired-");
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const pem = (name: string) => readFileSync(join(folder, name), "utf8");
    writeFileSync(join(folder, "san"), "subjectAltName=IP:127.0.0.1\n");
    openssl("req", "-x509", ...key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem");
    openssl("req", ...key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr");
    const sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"];
    // Good until the very second in which it was made.
    openssl(...sign, "-CAcreateserial", "-extfile", "san", "-days", "0", "-out", "server.pem");
    const expiredMs = Date.parse(
      String(openssl("x509", "-in", "server.pem", "-noout", "-enddate"))
        .trim()
        .replace("notAfter=", ""),
    );
    await until(() => Date.now() > expiredMs + 1_000, "its end");
    const simulator = await Simulator.start({ tls: { cert: pem("server.pem"), key: pem("server.key") } });
    rig.defer(() => simulator.stop());
    const gateway = new TestGateway(simulator.url, { ca: pem("ca.pem") });
    rig.defer(() => gateway.connector.stop());
    gateway.connector.start(gateway).catch(() => {});
    await until(() => gateway.counters.connectFailures >= 2, "two attempts");
    expect(gateway.connector.ready).toBe(false);
    expect(simulator.connections).toHaveLength(0);
    expect(simulator.stats.controlConnections).toBe(0);
    expect(gateway.log.join("\n")).toContain("CERT_HAS_EXPIRED");
  });
});
