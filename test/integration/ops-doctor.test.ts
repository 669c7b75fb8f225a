import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator, type SimulatorOptions, tone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../gateway/src/config/index.js";
import { type DoctorOptions, runDoctor } from "../../gateway/src/doctor/doctor.js";
import type { DoctorStep } from "../../gateway/src/doctor/doctor-report.js";
import { msHeard } from "../harness/audio.js";
import { configOf, until, writeConfig } from "../harness/gateway.js";
import { type Child, startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";
import { makeCertificates } from "../sdk-proof/certificates.js";

const rig = useRig();
const CALLER = "+15550101";
const CONNECTOR = {
  uuid: "00000000-0000-4000-8000-000000000042",
  apiKey: "secret-of-the-connector-5f1c",
  localAddress: "+15550100",
};

async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const made = await Simulator.start({ connectors: [CONNECTOR], ...options });
  rig.defer(() => made.stop());
  return made;
}

async function configFile(at: Simulator, connector: object = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "callweave-doctor-"));
  rig.defer(() => rm(dir, { recursive: true, force: true }));
  const config = { connector: { only_callers: [CALLER], ...connector } };
  return writeConfig(dir, configOf({ simulator: { connectors: [CONNECTOR] }, config }, at, dir));
}

/** A diagnosis in this process; answers its report with its steps. */
async function diagnose(at: Simulator, connector: object = {}, options: Partial<DoctorOptions> = {}) {
  const file = await configFile(at, connector);
  const [first] = loadConfig({ file, env: {} }).connectors;
  if (!first) throw new Error("no connector");
  const steps: DoctorStep[] = [];
  const report = await runDoctor({
    connector: first,
    waitMs: 15_000,
    listenMs: 1_500,
    toneMs: 500,
    onStep: (step) => void steps.push(step),
    ...options,
  });
  return { report, steps, text: steps.map((step) => step.detail).join("\n") };
}

/** Calls as soon as somebody is signed in. */
async function callWhenSignedIn(at: Simulator, from = CALLER) {
  await at.waitForConnections();
  return at.placeCall({ from, caller: [tone(700)] });
}

describe("doctor", () => {
  it("takes one call, measures both ways, hangs up", async () => {
    const at = await simulator();
    const [phone, { report, text }] = await Promise.all([callWhenSignedIn(at), diagnose(at)]);
    expect(report, text).toMatchObject({ end: "ok", exitCode: 0, unknown: [] });
    expect(report.call).toEqual({ caller: "***0101", callee: "***0100", endedBy: "doctor" });
    expect(report.heard?.frames).toBeGreaterThan(20);
    expect(report.heard?.rate).toBeGreaterThan(0.8);
    expect(report.heard?.rate).toBeLessThan(1.2);
    expect(report.heard?.frameMs).toBe(20);
    expect(report.heard?.rmsDb).toBeGreaterThan(-40);
    expect(report.spoken?.takenMs).toBe(500);
    expect(report.spoken?.requests).toBeGreaterThan(0);
    expect(report.frames["control call.in"]).toBe(1);
    await phone.waitUntil(() => phone.state === "DISCONNECTED");
    expect(msHeard(phone, "caller", 440)).toBeGreaterThan(300);
  });

  it("leaves the calls of others alone", async () => {
    const at = await simulator();
    const others = callWhenSignedIn(at, "+15550102");
    const { report, text } = await diagnose(at, {}, { waitMs: 1_000 });
    expect(report).toMatchObject({ end: "noCall", exitCode: 6, callsLeftAlone: 1 });
    expect(text).toContain("no call of these callers within 1 s; 1 of others were left alone");
    expect((await others).events.some(({ type }) => type === "session.open")).toBe(false);
  });

  it("refuses to run without only_callers", async () => {
    const { report, text } = await diagnose(await simulator(), { only_callers: [] });
    expect(report).toMatchObject({ end: "configuration", exitCode: 2 });
    expect(text).toContain("only_callers");
  });

  it("says that the credential is refused, and never shows it", async () => {
    const at = await simulator();
    const key = "a-wrong-key-3c9b";
    const { report, text } = await diagnose(at, {
      auth: { api_key: key, connector_uuid: CONNECTOR.uuid },
    });
    expect(report).toMatchObject({ end: "refused", exitCode: 4 });
    expect(text).toMatch(/sign-in refused \(HTTP 40[13]\)/);
    expect(text + JSON.stringify(report)).not.toContain(key);
  });

  it("says that the sign-in was not confirmed", async () => {
    const at = await simulator();
    at.faults.setupDelayMs = 60_000;
    const { report, text } = await diagnose(at, { options: { setup_timeout_ms: 300 } });
    expect(report, text).toMatchObject({ end: "noSignIn", exitCode: 5 });
    expect(text).toContain("no setup.done");
  });

  it("says that nobody listens there, or that the name does not exist", async () => {
    const at = await simulator();
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
    const { port } = free.address() as { port: number };
    await new Promise((resolve) => free.close(resolve));
    const closed = await diagnose(at, { base_url: `ws://127.0.0.1:${port}` });
    expect(closed.report).toMatchObject({ end: "unreachable", exitCode: 3 });
    expect(closed.text).toContain("ECONNREFUSED: nobody listens there");
    const unknown = await diagnose(at, { base_url: "ws://provider.invalid" });
    expect(unknown.report).toMatchObject({ end: "unreachable", exitCode: 3 });
    expect(unknown.steps.at(-1)?.step).toBe("resolve");
  });

  it("says which authority is not trusted, and trusts it when it is named", async () => {
    const certificates = await makeCertificates("doctor");
    rig.defer(() => certificates.remove());
    const { serverCert: cert, serverKey: key } = certificates;
    const at = await simulator({ tls: { cert, key } });
    const auth = { api_key: CONNECTOR.apiKey, connector_uuid: CONNECTOR.uuid };
    const stranger = await diagnose(at, { auth });
    expect(stranger.report, stranger.text).toMatchObject({ end: "unreachable", exitCode: 3 });
    expect(stranger.steps.at(-1)).toMatchObject({ step: "tls", result: "failed" });
    expect(stranger.text).toContain("auth.ca_file");
    const known = await diagnose(at, { auth: { ...auth, ca_file: certificates.ca } }, { waitMs: 300 });
    expect(known.report, known.text).toMatchObject({ end: "noCall" });
    expect(known.text).toMatch(/TLSv1\.3, certificate valid for \d+ more days/);
  });

  it("names frames and fields that it does not know", async () => {
    const at = await simulator();
    const run = diagnose(at, {}, { waitMs: 2_000 });
    await at.waitForConnections();
    at.faults.sendControlRaw('{"type":"line.moved","number":"+15550199"}');
    at.faults.sendControlRaw('{"type":"session.closed","sessionId":"x","reason":"y","note":"+15550199"}');
    const { report } = await run;
    expect(report.unknown).toEqual(["control line.moved", "control session.closed: note"]);
    expect(JSON.stringify(report)).not.toContain("5550199");
  });

  it("says that the caller hung up, with what was heard until then", async () => {
    const at = await simulator();
    const calling = callWhenSignedIn(at).then(async (phone) => {
      await phone.waitUntil(() => phone.state === "ANSWERED");
      await phone.waitUntil(() => msHeard(phone, "caller", 440) > 200);
      phone.hangUp();
    });
    const [, { report, text }] = await Promise.all([calling, diagnose(at, {}, { listenMs: 30_000 })]);
    expect(report).toMatchObject({ end: "ok" });
    expect(text).toContain("the caller or the provider ended the call");
  });

  it("hangs up and signs out when it is interrupted", async () => {
    const at = await simulator();
    const interrupted = new AbortController();
    const calling = callWhenSignedIn(at).then(async (phone) => {
      await phone.waitUntil(() => phone.state === "ANSWERED");
      interrupted.abort();
      return phone;
    });
    const [phone, { report }] = await Promise.all([
      calling,
      diagnose(at, {}, { listenMs: 30_000, signal: interrupted.signal }),
    ]);
    expect(report).toMatchObject({ end: "interrupted", exitCode: 130 });
    await phone.waitUntil(() => phone.state === "DISCONNECTED");
  });
});

describe("the command doctor", () => {
  function run(...args: string[]): Child {
    const child = startProgram("gateway/src/main.ts", ["doctor", ...args]);
    rig.defer(() => child.end());
    return child;
  }

  it("prints steps and report as JSON and exits with the report's code", async () => {
    const at = await simulator();
    const child = run(
      "--connector",
      await configFile(at),
      "--seconds",
      "20",
      "--listen-seconds",
      "1",
      "--json",
    );
    await callWhenSignedIn(at);
    const { code } = await child.exit;
    expect(code, child.stderr).toBe(0);
    expect(child.lines.at(-1)).toMatchObject({ step: "report", end: "ok", exitCode: 0 });
    const steps = child.lines.map((line) => line.step);
    expect(steps).toEqual(
      expect.arrayContaining(["config", "resolve", "connect", "sign_in", "call", "audio"]),
    );
    const all = child.stdout + child.stderr;
    expect(all).not.toContain(CONNECTOR.apiKey);
    expect(all).not.toMatch(/\+?1555010/);
  });

  it("prints lines for people, and refuses a number that is none", async () => {
    const at = await simulator();
    const file = await configFile(at);
    const child = run("--connector", file, "--only-caller", "+15550103", "--seconds", "0.5");
    expect((await child.exit).code).toBe(6);
    expect(child.stdout).toMatch(/ok {6}sign_in {2}signed in/);
    expect(child.stdout).toContain("***0103");
    expect(child.stdout).toContain("result: noCall (exit code 6)");
    const wrong = run("--connector", file, "--only-caller", "5550103");
    expect((await wrong.exit).code).not.toBe(0);
    await until(() => wrong.stderr.includes("E.164"), "the reason");
  });
});
