import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Simulator } from "@callweave/simulator";
import { connect } from "callweave";
import { afterEach, describe, expect, it } from "vitest";
import { configOf, writeConfig } from "../harness/gateway-config.js";
import { leaksBelow, leaksIn, type Needle } from "../harness/leaks.js";
import { natsAvailable, startNats } from "../harness/nats.js";
import { Outsider } from "../harness/outsider.js";
import { startProgram } from "../harness/process.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { outsider } from "./nats-harness.js";

const rig = useRig();
const API_KEY = "secret-of-the-connector-71ab";
const AGENT_KEY = "secret-key-of-the-agents-9d2e";
const WRONG_KEY = "secret-key-that-is-wrong-40f7";
const NATS_PASSWORD = "secret-of-nats-c3d1";
const CALLERS = { said: "+15550177", refused: "+15550178", paused: "+15550179" } as const;
const CALLEE = "+15550100";

const SECRETS: readonly Needle[] = [
  { name: "API key", text: API_KEY },
  { name: "agents' key", text: AGENT_KEY },
  { name: "wrong key", text: WRONG_KEY },
  { name: "NATS password", text: NATS_PASSWORD },
];
/** Words that are taken out, refused or paused: nowhere at all. */
const WORDS: readonly Needle[] = [
  { name: "card", text: "4111 1111 1111 1111" },
  { name: "card in data", text: "4111111111111111" },
  { name: "account", text: "DE89 3704 0044 0532 0130 00" },
  { name: "e-mail", text: "jane.doe@mail.example" },
  { name: "own pattern", text: "customer C-480516" },
  { name: "refused words", text: "violet hippopotamus" },
  { name: "refused summary", text: "wants a tangerine submarine" },
  { name: "paused words", text: "seven nine zero three umbrella" },
];
const NUMBERS: readonly Needle[] = Object.entries(CALLERS).flatMap(([name, text]) => [
  { name: `number of ${name}`, text },
  { name: `digits of ${name}`, text: text.slice(1) },
]);

describe("what a run writes", () => {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  it("is searched by something that finds what is there", async () => {
    const folder = await mkdtemp(join(tmpdir(), "callweave-leaks-"));
    stops.push(() => rm(folder, { recursive: true }));
    const [needle] = SECRETS as [Needle];
    const forms: Record<string, Buffer> = {
      plain: Buffer.from(`{"key":"${API_KEY}"}`),
      utf16: Buffer.from(`x${API_KEY}y`, "utf16le"),
      base64: Buffer.from(Buffer.from(`Bearer ${API_KEY} and more`).toString("base64")),
      "base64-1": Buffer.from(Buffer.from(`xBearer ${API_KEY} and more`).toString("base64")),
      "base64-2": Buffer.from(Buffer.from(`xyBearer ${API_KEY}`).toString("base64")),
      "deep/er": Buffer.concat([Buffer.alloc(70_000, 7), Buffer.from(API_KEY)]),
    };
    await mkdir(join(folder, "deep"));
    for (const [name, bytes] of Object.entries(forms)) await writeFile(join(folder, name), bytes);
    await writeFile(join(folder, "clean"), API_KEY.slice(1));
    const found = await leaksBelow(folder, [needle]);
    expect(found.map(({ where }) => where.slice(1)).sort()).toEqual(Object.keys(forms).sort());
    expect(leaksIn([{ where: "x", bytes: Buffer.from(encodeURIComponent(CALLERS.said)) }], NUMBERS)).toEqual([
      { needle: "number of said", where: "x" },
      { needle: "digits of said", where: "x" },
    ]);
  });

  it("holds no secret, no number in the log, and none of the words that nobody may keep", async () => {
    if (!(await natsAvailable())) return;
    const folder = await mkdtemp(join(tmpdir(), "callweave-leaks-"));
    stops.push(() => rm(folder, { recursive: true }));
    const natsFiles = join(folder, "nats");
    const stateDir = join(folder, "state");
    await mkdir(stateDir);
    const config = `authorization { user: gateway, password: "${NATS_PASSWORD}" }`;
    const nats = await startNats({ storeDir: natsFiles, config });
    stops.push(() => nats.stop());
    const connectors = [
      { uuid: "00000000-0000-4000-8000-000000000042", apiKey: API_KEY, localAddress: CALLEE },
    ];
    const simulator = await Simulator.start({ connectors });
    stops.push(() => simulator.stop());
    const published: { where: string; bytes: Uint8Array }[] = [];
    const nc = await outsider(nats, { user: "gateway", pass: NATS_PASSWORD });
    nc.subscribe("callweave.>", {
      callback: (_error, { subject, data, headers }) =>
        published.push(
          { where: `subject ${subject}`, bytes: data },
          { where: `headers of ${subject}`, bytes: Buffer.from(JSON.stringify([...(headers ?? [])])) },
        ),
    });
    await nc.flush();

    const file = await writeConfig(folder, {
      ...configOf({ simulator: { connectors } }, simulator, stateDir),
      gateway: {
        id: "gateway-test",
        state_dir: stateDir,
        grpc: { port: 0, keys: [{ name: "agents", key: AGENT_KEY }] },
      },
      contexts: { redaction: { patterns: [{ name: "customer", pattern: "customer C-\\d{6}" }] } },
      nats: { urls: [nats.url], user: "gateway", password: NATS_PASSWORD },
      serve: { log_level: "trace" },
      ops: { port: 0 },
    });
    const gateway = startProgram("gateway/src/main.ts", ["serve", "--config", file]);
    stops.push(() => gateway.end());
    const line = await gateway.line(({ msg }) => msg === "serving", "the gateway to serve", 30_000);
    const address = `127.0.0.1:${line.port}`;
    await simulator.waitForConnections({ timeoutMs: 20_000 });

    const stranger = new Outsider(address, WRONG_KEY);
    stops.push(() => stranger.close());
    expect((await stranger.refused("CallService", "ListCalls", {})).reason).toBe("UNAUTHENTICATED");
    const agent = await rig.agent(address, { token: AGENT_KEY, capacity: 3 });
    const client = connect({ endpoint: address, token: AGENT_KEY });
    stops.push(() => client.close());

    const said = simulator.placeCall({ from: CALLERS.said });
    const one = await agent.call(1);
    const all = WORDS.slice(0, 5).map(({ text }) => text);
    const sentence = `I have ${all.join(", ")}.`;
    await one.appendTurns([{ role: "CALLER", text: sentence, heard: sentence }]);
    await one.updateContext({ data: { card: 4111111111111111, list: all }, outcome: sentence });
    await one
      .escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: sentence,
        data: { note: sentence },
        target: { callee: { ringTimeSeconds: 1 } },
      })
      .catch(() => {});

    // To its agent as it is, and nowhere else.
    const noted = new Promise<string>((resolve) => one.on("note", ({ text }) => resolve(text)));
    expect(await client.calls.sendNote(said.id, sentence)).toBe(true);
    expect(await noted).toBe(sentence);

    const refused = simulator.placeCall({ from: CALLERS.refused });
    const two = await agent.call(2);
    await client.contexts.save(refused.id, { consent: { transcript: false } });
    await two.appendTurns([{ role: "CALLER", text: "violet hippopotamus" }]);
    await two.updateContext({ summary: "wants a tangerine submarine" });

    const paused = simulator.placeCall({ from: CALLERS.paused });
    const three = await agent.call(3);
    await client.contexts.save(paused.id, { consent: { transcript: true, paused: true } });
    await three.appendTurns([{ role: "CALLER", text: "seven nine zero three umbrella" }]);

    for (const phone of [said, refused, paused]) {
      phone.hangUp();
      await until(async () => (await client.calls.get(phone.id)).state === "DISCONNECTED", "the call to end");
    }
    // What may be kept is there, so that the search below looks at the right files.
    expect((await client.contexts.get(said.id)).turns[0]?.text).toBe(
      "I have [card number], [card number], [bank account], [e-mail], [redacted].",
    );
    // Numbers are in the audit log by their hashes alone, and so are the keys of those that are erased.
    const admin = new Outsider(address, AGENT_KEY);
    stops.push(() => admin.close());
    await admin.ask("ContextService", "FindContexts", { caller: CALLERS.paused });
    const erased = await admin.ask("ContextService", "DeleteContexts", { caller: CALLERS.paused });
    expect(erased).toMatchObject({ deleted_count: 1 });
    gateway.signal("SIGTERM");
    expect((await gateway.exit).code).toBe(0);
    await nc.flush();
    await nats.kill();

    const everything = [...SECRETS, ...WORDS];
    const log = [{ where: "log", bytes: Buffer.from(gateway.stdout + gateway.stderr) }];
    expect(leaksIn(log, [...everything, ...NUMBERS])).toEqual([]);
    expect(leaksIn(published, everything)).toEqual([]);
    expect(await leaksBelow(stateDir, everything)).toEqual([]);
    expect(await leaksBelow(natsFiles, everything)).toEqual([]);
    for (const folder of ["audit", "callers"])
      expect(await leaksBelow(join(stateDir, folder), NUMBERS), folder).toEqual([]);
    expect(await readFile(join(stateDir, "audit", "0000000000000001.jsonl"), "utf8")).toMatch(
      /"key":"destroyed"/,
    );
    // The calls themselves are where they belong.
    expect((await leaksBelow(natsFiles, NUMBERS)).length).toBeGreaterThan(0);
  });
});
