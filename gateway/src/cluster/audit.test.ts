import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { AuditLists } from "../audit/audit-lists.js";
import { AuditLog } from "../audit/audit-log.js";
import type { AuditEntry } from "../audit/audit-sink.js";
import { CallerNumbers } from "../audit/caller-numbers.js";
import { openEmbeddedCallerKeys } from "../audit/embedded-caller-keys.js";
import { CallError } from "../call/call-error.js";
import { silentLogger } from "../util/logger.js";
import { ClusterRig } from "./cluster-rig.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function logOf(gatewayId: string): Promise<AuditLog> {
  const stateDir = mkdtempSync(join(tmpdir(), "callweave-audits-"));
  stops.push(() => rmSync(stateDir, { recursive: true, force: true }));
  const log = await AuditLog.open({
    folder: join(stateDir, "audit"),
    gatewayId,
    retentionDays: 1,
    maxBytes: 2 ** 24,
    fsync: "never",
    fsyncIntervalMs: 10,
    maxQueued: 10_000,
    maxRefusedPerMinute: 60,
    defaultCountryCode: "",
    numbers: new CallerNumbers(await openEmbeddedCallerKeys(stateDir)),
    logger: silentLogger,
  });
  stops.push(() => log.close());
  return log;
}

const ALL = { kinds: [], callId: "", actor: "", number: "", gatewayId: "" };
const write = (log: AuditLog, callId: string, tenant = "acme", number = "+15550100") =>
  log.record({ tenant, kind: "LISTEN", actor: "client:a", operation: "", callId, number });
const next = () => new Promise((resolve) => setTimeout(resolve, 3));

it("lists the audit logs of all gateways as one, by page, and of one alone", async () => {
  const rig = new ClusterRig();
  const one = await rig.add();
  const two = await rig.add();
  await rig.pass(2_000);
  const [a, b] = [await logOf(one.id), await logOf(two.id)];
  const lists = one.cluster.audit(a);
  two.cluster.audit(b);
  const wanted: string[] = [];
  for (let i = 1; i <= 9; i++) {
    write(i % 3 === 0 ? a : b, `c-${i}`, i === 4 ? "other" : "acme");
    if (i !== 4) wanted.unshift(`c-${i}`);
    await next();
  }
  for (const size of [1, 2, 3, 7, 100]) {
    const seen: string[] = [];
    let token = "";
    for (let page = 0; page < 20; page++) {
      const listed = await lists.list("acme", ALL, token, size);
      expect(listed.entries.length).toBeLessThanOrEqual(size);
      expect(listed.unreachableGateways).toEqual([]);
      seen.push(...listed.entries.map((entry) => entry.callId ?? ""));
      token = listed.nextPageToken;
      if (token === "") break;
    }
    expect(seen, `pages of ${size}`).toEqual(wanted);
  }
  const of = async (gatewayId: string) => lists.list("acme", { ...ALL, gatewayId }, "", 100);
  expect((await of(two.id)).entries.map(({ gatewayId }) => gatewayId)).toEqual(Array(5).fill(two.id));
  expect((await of(one.id)).entries.map(({ callId }) => callId)).toEqual(["c-9", "c-6", "c-3"]);
  expect(await of("gone")).toEqual({ entries: [], nextPageToken: "", unreachableGateways: ["gone"] });
  // Each gateway has keys of its own here; a number is found at all of them.
  const byNumber = (number: string) => lists.list("acme", { ...ALL, number }, "", 100);
  expect((await byNumber("+15550100")).entries).toHaveLength(8);
  expect((await byNumber("+15550101")).entries).toEqual([]);
});

it("names gateways that do not answer, and goes on with the others", async () => {
  const entry = (gatewayId: string, sequence: number): AuditEntry => ({
    tenant: "t",
    kind: "LISTEN",
    actor: "a",
    operation: "",
    sequence,
    // The clock of b was set back.
    time: new Date(gatewayId === "b" && sequence === 3 ? 0 : sequence * 1000),
    gatewayId,
    numberHash: "",
    hash: "",
  });
  const reader = (id: string, sequences: readonly number[]) => ({
    async list(_tenant: string, _filter: unknown, before: number, limit: number) {
      const found = sequences.filter((one) => before === 0 || one < before);
      const entries = found.slice(0, limit).map((one) => entry(id, one));
      return { entries, next: found.length > limit ? (entries.at(-1)?.sequence ?? 0) : 0 };
    },
  });
  let reason: "CALL_OWNER_AWAY" | "INTERNAL" | "CONTEXT_STORE_AWAY" | undefined = "CALL_OWNER_AWAY";
  const b = reader("b", [4, 3, 2]);
  const lists = new AuditLists(reader("a", [5, 1]), "a", {
    ids: () => ["b"],
    async ask(_id, question) {
      if (reason) throw new CallError(reason, "no");
      return b.list(...question);
    },
  });
  const first = await lists.list("t", ALL, "", 1);
  expect(first.entries.map(({ sequence }) => sequence)).toEqual([5]);
  expect(first.unreachableGateways).toEqual(["b"]);
  reason = "INTERNAL";
  expect((await lists.list("t", ALL, "", 100)).unreachableGateways).toEqual(["b"]);
  reason = "CONTEXT_STORE_AWAY";
  await expect(lists.list("t", ALL, "", 1)).rejects.toMatchObject({ reason: "CONTEXT_STORE_AWAY" });
  // It is back: the rest, in the order of each.
  reason = undefined;
  const rest = await lists.list("t", ALL, first.nextPageToken, 100);
  expect(rest.entries.map(({ gatewayId, sequence }) => `${gatewayId}${sequence}`)).toEqual([
    "b4",
    "a1",
    "b3",
    "b2",
  ]);
  expect(rest.nextPageToken).toBe("");
  for (const token of [
    "7",
    "!",
    Buffer.from('[["a",-1]]').toString("base64url"),
    Buffer.from("[1]").toString("base64url"),
  ])
    await expect(lists.list("t", ALL, token, 1), token).rejects.toMatchObject({ reason: "INVALID_FIELD" });
});
