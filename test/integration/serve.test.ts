import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callee, Simulator } from "@callweave/simulator";
import { connect } from "callweave";
import { describe, expect, it } from "vitest";
import { callTimeMs, endlessTone, msHeard } from "../harness/audio.js";
import { configOf, type StackOptions, until, writeConfig } from "../harness/gateway.js";
import { Outsider } from "../harness/outsider.js";
import { type Child, startProgram } from "../harness/process.js";
import { rejection, useRig } from "../harness/rig.js";

const rig = useRig();
const AGENT_HZ = 5000;
const PROGRAM = "gateway/src/main.ts";
const CONNECTOR = {
  uuid: "00000000-0000-4000-8000-000000000042",
  apiKey: "secret-of-the-connector-5f1c",
  localAddress: "+15550100",
};

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "callweave-serve-"));
  rig.defer(() => rm(made, { recursive: true, force: true }));
  return made;
}

function run(args: readonly string[]): Child {
  const child = startProgram(PROGRAM, args);
  rig.defer(() => child.end());
  return child;
}

/** Runs the command to its end. */
async function outputOf(args: readonly string[]) {
  const child = run(args);
  const { code } = await child.exit;
  return { code, stdout: child.stdout, stderr: child.stderr, all: child.stdout + child.stderr };
}

async function simulator(): Promise<Simulator> {
  const made = await Simulator.start({ connectors: [CONNECTOR] });
  rig.defer(() => made.stop());
  return made;
}

/** The gateway as a process; resolves when it is signed in. */
async function serve(at: Simulator, dir: string, options: StackOptions = {}) {
  const merged = { simulator: { connectors: [CONNECTOR] }, ...options };
  const config = { ...configOf(merged, at, dir), serve: { log_level: "trace" } };
  const child = run(["serve", "--config", await writeConfig(dir, config)]);
  const line = await child.line((found) => found.msg === "serving", "the gateway to serve", 30_000);
  await at.waitForConnections({ timeoutMs: 20_000 });
  return { child, address: `127.0.0.1:${line.port}` };
}

describe("serve", () => {
  it("at SIGTERM takes nothing new, tells its agents, lets calls end, and exits 0 (fault 23)", async () => {
    const at = await simulator();
    const { child, address } = await serve(at, await folder());
    const agent = await rig.agent(address, {}, (call) => {
      void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
    });
    const phone = at.placeCall();
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 300);
    child.signal("SIGTERM");
    await until(() => agent.statuses.some(({ type }) => type === "goingAway"), "the agent to be told");
    const toldMs = callTimeMs(phone);
    const late = at.placeCall();
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ, { fromMs: toldMs }) > 800);
    expect(late.state).toBe("PENDING");
    expect(late.events.some(({ type }) => type === "session.open")).toBe(false);
    expect(child.running).toBe(true);
    phone.hangUp();
    expect(await child.exit).toEqual({ code: 0, signal: null });
    late.hangUp();
  });

  it("at a second SIGTERM ends at once, without ending the call at the provider (fault 23)", async () => {
    const at = await simulator();
    const { child, address } = await serve(at, await folder());
    const agent = await rig.agent(address);
    const phone = at.placeCall();
    await agent.call();
    await phone.waitFor("ANSWERED");
    child.signal("SIGTERM");
    await until(() => agent.statuses.some(({ type }) => type === "goingAway"), "the agent to be told");
    expect(child.running).toBe(true);
    const startMs = performance.now();
    child.signal("SIGTERM");
    expect(await child.exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - startMs).toBeLessThan(8000);
    const ours = phone.events.filter(({ direction }) => direction === "in").map(({ type }) => type);
    expect(ours.filter((type) => type === "call.close" || type === "call.disconnect")).toEqual([]);
  });

  it("keeps contexts and events over a restart, under the same cursor", async () => {
    const at = await simulator();
    const dir = await folder();
    const first = await serve(at, dir);
    const one = rig.client(first.address);
    const { cursor } = await one.calls.list();
    const trail = await rig.trail(first.address, cursor);
    const agent = await rig.agent(first.address);
    const phone = at.placeCall({ from: "+15550123" });
    const call = await agent.call();
    await call.appendTurns([{ role: "CALLER", text: "Remember this." }]);
    await phone.waitFor("ANSWERED");
    await call.updateContext({ summary: "To be remembered.", outcome: "callback" });
    phone.hangUp();
    await trail.waitFor("ended");
    await until(async () => (await one.contexts.get(phone.id)).status === "ENDED", "the context to be ENDED");
    await agent.worker.close();
    first.child.signal("SIGTERM");
    expect((await first.child.exit).code).toBe(0);

    const second = await serve(at, dir);
    const two = rig.client(second.address);
    expect(await two.contexts.get(phone.id)).toMatchObject({
      summary: "To be remembered.",
      outcome: "callback",
      status: "ENDED",
      caller: "+15550123",
      turns: [{ text: "Remember this." }],
    });
    const again = await rig.trail(second.address, cursor);
    const key = ({ callId, sequence, cursor: position, type }: (typeof again.events)[number]) =>
      `${callId} ${sequence} ${position} ${type}`;
    // Everything seen before is there once, in the same order under the same cursors.
    expect(again.events.map(key).slice(0, trail.events.length)).toEqual(trail.events.map(key));
    const middle = trail.events[2];
    const rest = await rig.trail(second.address, middle?.cursor);
    expect(rest.events[0]?.sequence).toBe((middle?.sequence ?? 0) + 1);
    const later = at.placeCall();
    await again.waitFor("arrived", (event) => event.callId === later.id);
    later.hangUp();
  });

  it("asks for its key: none and a wrong one are UNAUTHENTICATED, the right one works", async () => {
    const at = await simulator();
    const key = "static-key-of-the-desk-77";
    const { address } = await serve(at, await folder(), {
      config: { gateway: { grpc: { keys: [{ name: "desk", key }] } } },
    });
    for (const token of [undefined, "static-key-of-the-desk-78", "x"]) {
      const outsider = new Outsider(address, token);
      rig.defer(() => outsider.close());
      for (const [service, method, request] of [
        ["CallService", "ListCalls", {}],
        ["ContextService", "ListContexts", {}],
        ["FleetService", "ListAgents", {}],
      ] as const) {
        const refused = await outsider.refused(service, method, request);
        expect([token, method, refused.code, refused.reason]).toEqual([token, method, 16, "UNAUTHENTICATED"]);
      }
      const stream = outsider.serve({ register: { agent_id: "nobody" } });
      expect((await stream.end).code).toBe(16);
      expect((await outsider.follow("CallService", "WatchCalls", {}).end).code).toBe(16);
    }
    const refused = await rejection(rig.agent(address, { token: "wrong-wrong-wrong-wrong" }));
    expect(refused).toMatchObject({ reason: "UNAUTHENTICATED" });
    const client = connect({ endpoint: address, token: key });
    rig.defer(() => client.close());
    expect((await client.calls.list()).calls).toEqual([]);
    const agent = await rig.agent(address, { token: key });
    const phone = at.placeCall();
    await agent.call();
    await phone.waitFor("ANSWERED");
  });

  it("writes no secret and no whole number anywhere, at the most talkative level", async () => {
    const at = await simulator();
    const key = "static-key-of-the-agents-31";
    const wrong = "a-wrong-key-that-somebody-tries";
    const { child, address } = await serve(at, await folder(), {
      config: {
        gateway: { grpc: { keys: [{ name: "agents", key }] } },
        connector: { only_callers: ["+15550123"] },
        routes: [{ caller: "+15550123", callee: "+15550100", pool: "default" }],
      },
    });
    const agent = await rig.agent(address, { token: key }, (call) => {
      void call.play(endlessTone(AGENT_HZ, call.signal)).catch(() => {});
    });
    const outsider = new Outsider(address, key);
    rig.defer(() => outsider.close());
    const stranger = new Outsider(address, wrong);
    rig.defer(() => stranger.close());
    await stranger.refused("CallService", "ListCalls", {});
    const session = outsider.serve({ register: { agent_id: "looker", capacity: 1 } });
    const registered = await until(() => session.items.find((item) => item.registered), "the session");
    session.send({ drain: {} }, { mark: { handle: 3, name: "x" } });
    const phone = at.placeCall({
      from: "+15550123",
      callee: callee.picksUp({ afterSeconds: 0.2 }),
    });
    const call = await agent.call();
    await phone.waitUntil(() => msHeard(phone, "caller", AGENT_HZ) > 200);
    await call.saveContext({
      summary: "The secret word is heliotrope.",
      turns: [{ role: "CALLER", text: "Call me back on +1 555 0123." }],
    });
    await outsider.refused("CallService", "GetCall", { call_id: "+15550123\r\nx" });
    await outsider.refused("ContextService", "FindContexts", { caller: "15550123\u0000" });
    phone.faults.dropMedia({ abrupt: true });
    await phone.waitUntil(() => phone.stats.mediaConnections === 2);
    const before = at.stats.controlConnections;
    at.faults.dropControl();
    await at.waitUntil(() => at.stats.controlConnections > before);
    at.faults.sendMalformedControl("not_json");
    phone.faults.sendMalformed("not_json");
    await call.escalate({ reason: "ASKED_FOR_HUMAN", after: "now", routingHint: "hint-mauve" });
    await phone.waitUntil(() => phone.agentLeft);
    child.signal("SIGTERM");
    expect((await child.exit).code).toBe(0);

    const output = child.stdout + child.stderr;
    expect(output).toContain(phone.id);
    expect(output).toContain("draining");
    const secrets = {
      apiKey: CONNECTOR.apiKey,
      key,
      wrong,
      sessionToken: registered.registered.session_token as string,
      caller: "15550123",
      callee: "15550100",
      spacedNumber: "555 0123",
      summary: "heliotrope",
      hint: "hint-mauve",
    };
    for (const [what, secret] of Object.entries(secrets)) {
      expect([what, secret.length > 5, output.includes(secret)]).toEqual([what, true, false]);
    }
    // The token of the media connection is a JWT.
    expect(output).not.toMatch(/eyJ[A-Za-z0-9_-]{10,}/);
  });
});

describe("configuration", () => {
  it("that cannot be used: file, line, key and rule, and an exit code that is not 0", async () => {
    const dir = await folder();
    const file = join(dir, "broken.yaml");
    await writeFile(
      file,
      [
        "gateway:",
        "  grpc:",
        "    port: 70700",
        "connectors:",
        "  - name: main",
        "    kind: telcoflow",
        '    auth: { api_key: "secret-in-a-broken-file", connector_uuid: "u" }',
        "    sample_rate_hz: 11025",
        "    onlycallers: []",
      ].join("\n"),
    );
    const { code, stdout, stderr, all } = await outputOf(["serve", "--config", file]);
    expect(code).not.toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/broken\.yaml/);
    expect(stderr).toMatch(/3:\d+: gateway\.grpc\.port: must be a whole number from 0 to 65535/);
    expect(stderr).toMatch(/8:\d+: connectors\[0\]\.sample_rate_hz: must be 8000, 16000 or 24000/);
    expect(stderr).toMatch(/9:\d+: connectors\[0\]\.onlycallers/);
    expect(all).not.toContain("secret-in-a-broken-file");

    const missing = await outputOf(["serve", "--config", join(dir, "missing.yaml")]);
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toContain("missing.yaml");
  });

  it("refuses an address that others can reach without keys", async () => {
    const dir = await folder();
    const file = await writeConfig(dir, { gateway: { grpc: { host: "0.0.0.0", port: 0 } } });
    const { code, stderr } = await outputOf(["serve", "--config", file]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/gateway\.grpc\.host: must be a loopback address .* unless keys are set/);
  });

  it("says what it would do with a call", async () => {
    const dir = await folder();
    const file = await writeConfig(dir, {
      connectors: [
        {
          name: "main",
          kind: "telcoflow",
          auth: { api_key: "secret-of-a-good-file", connector_uuid: CONNECTOR.uuid },
          only_callers: ["+15550123", "+15550124"],
        },
      ],
      pools: [{ name: "sales" }],
      routes: [{ callee: "+15550180", pool: "sales", unserved: "queue" }],
    });
    const taken = await outputOf(["config", "check", "--config", file, "--call", "+15550123", "+15550180"]);
    expect(taken.code).toBe(0);
    expect(taken.stdout).toMatch(/sales/);
    expect(taken.stdout).toMatch(/queue|wait/i);
    const left = await outputOf(["config", "check", "--config", file, "--call", "+15550125", "+15550180"]);
    expect(left.code).toBe(0);
    expect(left.stdout).toMatch(/only_callers|not taken|left/i);
    const printed = await outputOf(["config", "print", "--config", file]);
    expect(printed.code).toBe(0);
    for (const output of [taken, left, printed]) expect(output.all).not.toContain("secret-of-a-good-file");
  });
});
