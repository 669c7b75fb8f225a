import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { NatsConnection } from "nats";
import { describe, expect, it } from "vitest";
import { natsAvailable, natsBinary } from "../harness/nats.js";
import { NatsAgent } from "../harness/nats-agent.js";
import { until } from "../harness/until.js";
import { ask, outsider, server, wire } from "./nats-harness.js";

const run = promisify(execFile);
const available = await natsAvailable();
const folder = fileURLToPath(new URL("../../deploy/nats/", import.meta.url));
const ROLES = ["agent", "observer", "desk", "supervisor"] as const;

/** The sample's own accounts, on a free port and with JetStream in a folder of the test. */
async function sample() {
  let accounts = (await readFile(`${folder}server.conf`, "utf8")).replace(/^[\s\S]*?(?=^accounts \{)/m, "");
  for (const role of ["gateway", ...ROLES])
    accounts = accounts.replace(
      `include ${role}.conf`,
      `\n${await readFile(`${folder}${role}.conf`, "utf8")}\n`,
    );
  accounts = accounts.replace(
    /\$NATS_(\w+)_PASSWORD/g,
    (_all, role: string) => `${role.toLowerCase()}-secret`,
  );
  const at = await server({ jetstream: true, config: accounts });
  const user = (role: (typeof ROLES)[number]) =>
    outsider(at, {
      user: `default-${role}`,
      pass: `${role}-secret`,
      inboxPrefix: `_INBOX_default_${role}`,
    });
  const gateway = await wire(at, {
    busOptions: { credentials: { kind: "password", user: "gateway", password: "gateway-secret" } },
  });
  return { at, user, gateway };
}

/** What the server refused to a client. */
function refusals(nc: NatsConnection): string[] {
  const told: string[] = [];
  void (async () => {
    for await (const { type, permissionContext } of nc.status())
      if (String(type) === "error" && permissionContext)
        told.push(`${permissionContext.operation} ${permissionContext.subject}`);
  })();
  return told;
}

describe.skipIf(!available)("the sample permissions", () => {
  it("are a configuration that the server takes as it is (fault 16)", async () => {
    const found = await natsBinary();
    if ("skip" in found) throw new Error(found.skip);
    const names = ["GATEWAY", ...ROLES.map((role) => role.toUpperCase())];
    const env = Object.fromEntries(names.map((name) => [`NATS_${name}_PASSWORD`, "secret"]));
    const { stderr } = await run(found.binary, ["-t", "-c", `${folder}server.conf`], { env });
    expect(stderr).toMatch(/valid/);
  });

  it("let every role do its work", async () => {
    const { user, gateway } = await sample();
    const agent = await NatsAgent.start(await user("agent"));
    await until(() => agent.items.length > 0, "the first frame");
    for (const role of ROLES) {
      const nc = await user(role);
      const told = refusals(nc);
      expect((await ask(nc, "callweave.default.rpc.GetCall", { callId: "c-1" })).error, role).toBe("");
      expect((await ask(nc, "callweave.default.rpc.FindContexts", { caller: "+15550100" })).error).toBe("");
      await nc.flush();
      expect(told).toEqual([]);
    }
    const supervisor = await user("supervisor");
    expect((await ask(supervisor, "callweave.default.rpc.DisconnectCall", { callId: "c-1" })).error).toBe("");
    const observer = await user("observer");
    const seen: string[] = [];
    observer.subscribe("callweave.default.calls.>", {
      callback: (_error, message) => seen.push(message.subject),
    });
    await observer.flush();
    expect(gateway.bus.publish("callweave.default.calls.c-1.events", Buffer.from("{}"))).toBe(true);
    await until(() => seen.length === 1, "the event");
    const stream = await gateway.bus.stream({
      name: "CALLWEAVE_EVENTS",
      subjects: ["callweave.*.calls.*.events"],
      maxAgeMs: 60_000,
      maxBytes: 1_000_000,
      discard: "old",
      replicas: 1,
      storage: "memory",
    });
    await stream.publish("callweave.default.calls.c-1.events", Buffer.from("{}"), {});
    const bucket = await gateway.bus.bucket({
      name: "callweave-test",
      ttlMs: 0,
      maxBytes: 10_000,
      replicas: 1,
      storage: "memory",
    });
    await bucket.put("a", Buffer.from("1"));
    expect((await bucket.get("a"))?.revision).toBe(1);
  });

  it("let nobody but the gateway publish what the gateway says, or reach another tenant", async () => {
    const { user } = await sample();
    for (const role of ROLES) {
      const nc = await user(role);
      const told = refusals(nc);
      const forbidden = [
        "callweave.default.calls.c-1.events",
        "callweave.default.calls.c-1.audio.MIXED",
        "callweave.default.contexts.c-1",
        "callweave.default.agents.x.down",
        "callweave._gw.nats.register",
        "callweave.acme.rpc.GetCall",
        "callweave.acme.agents.register",
        "$JS.API.STREAM.DELETE.CALLWEAVE_EVENTS",
        "$KV.callweave.x",
        "_INBOX.somebody",
      ];
      for (const subject of forbidden) nc.publish(subject, "x");
      const unheard = ["callweave.>", "callweave.acme.calls.>", "callweave._gw.>", "_INBOX.>", "$KV.>"];
      for (const subject of unheard) nc.subscribe(subject, { callback: () => {} });
      await until(() => told.length === forbidden.length + unheard.length, `${role}: ${told.join(", ")}`);
      expect(told.sort()).toEqual(
        [...forbidden.map((s) => `publish ${s}`), ...unheard.map((s) => `subscription ${s}`)].sort(),
      );
    }
    const observer = await user("observer");
    const told = refusals(observer);
    for (const method of ["DisconnectCall", "SendNote", "SaveContext", "DeleteContexts"])
      observer.publish(`callweave.default.rpc.${method}`, "{}");
    await until(() => told.length === 4, "the refusals");
  });
});
