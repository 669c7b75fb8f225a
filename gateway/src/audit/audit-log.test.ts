import { createHmac } from "node:crypto";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeLogger } from "../contract/testing.js";
import { auditFolder } from "./audit-files.js";
import { AuditLog, type AuditLogOptions } from "./audit-log.js";
import type { AuditEvent } from "./audit-sink.js";
import { verifyAudit } from "./audit-verify.js";
import { CallerNumbers } from "./caller-numbers.js";
import { openEmbeddedCallerKeys } from "./embedded-caller-keys.js";

let folder: string;
let stateDir: string;
const open: AuditLog[] = [];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "callweave-audit-"));
  folder = auditFolder(stateDir);
});
afterEach(async () => {
  for (const log of open.splice(0)) await log.close();
  rmSync(stateDir, { recursive: true, force: true });
});

async function log(changes: Partial<AuditLogOptions> = {}): Promise<AuditLog> {
  const made = await AuditLog.open({
    folder,
    numbers: changes.numbers ?? new CallerNumbers(await openEmbeddedCallerKeys(stateDir)),
    gatewayId: "g-1",
    retentionDays: 365,
    maxBytes: 2 ** 28,
    fsync: "never",
    fsyncIntervalMs: 10,
    maxQueued: 10_000,
    maxRefusedPerMinute: 60,
    defaultCountryCode: "",
    logger: new FakeLogger(),
    ...changes,
  });
  open.push(made);
  return made;
}

function listen(i: number, changes: Partial<AuditEvent> = {}): AuditEvent {
  return {
    tenant: "acme",
    kind: "LISTEN",
    actor: "client:desk-1",
    operation: "CallService/ListenCall",
    callId: `c-${i}`,
    number: "+15550100",
    details: { source: "MIXED" },
    ...changes,
  };
}

/** A log with so many entries, closed. */
async function written(count: number, changes: Partial<AuditLogOptions> = {}): Promise<void> {
  const made = await log(changes);
  for (let i = 1; i <= count; i++) {
    made.record(listen(i));
    // Files are begun between batches.
    if (changes.segmentBytes) await made.flush();
  }
  await made.close();
}

const files = () =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .map((name) => join(folder, name));
const lines = (file = files()[0] ?? "") => readFileSync(file, "utf8").trimEnd().split("\n");
const rewrite = (changed: readonly string[], file = files()[0] ?? "") =>
  writeFileSync(file, `${changed.join("\n")}\n`);
const ALL = { kinds: [], callId: "", actor: "", number: "" };

describe("AuditLog", () => {
  it("writes a chain that goes on after a restart, and no number anywhere", async () => {
    await written(3);
    await written(2);
    const verdict = await verifyAudit(folder);
    expect(verdict).toEqual({ ok: true, entries: 5, first: 1, last: 5, problems: [] });
    for (const name of readdirSync(folder))
      expect(readFileSync(join(folder, name), "utf8")).not.toMatch(/5550100/);
    const hashes = lines().map((line) => (JSON.parse(line) as { number: string }).number);
    expect(new Set(hashes).size).toBe(1);
    expect(hashes[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("lists newest first, by page and filter, and of one tenant alone", async () => {
    const made = await log({ segmentBytes: 500 });
    for (let i = 1; i <= 10; i++) {
      made.record(listen(i, i % 2 ? {} : { tenant: "other", kind: "CONTEXT_READ", actor: "client:ben" }));
      await made.flush();
    }
    expect(files().length).toBeGreaterThan(3);
    const first = await made.list("acme", ALL, 0, 2);
    expect(first.entries.map((entry) => entry.callId)).toEqual(["c-9", "c-7"]);
    const rest = await made.list("acme", ALL, first.next, 100);
    expect(rest.entries.map((entry) => entry.callId)).toEqual(["c-5", "c-3", "c-1"]);
    expect(rest.next).toBe(0);
    const only = async (filter: Partial<typeof ALL>) =>
      (await made.list("other", { ...ALL, ...filter }, 0, 100)).entries.map((entry) => entry.callId);
    expect(await only({ callId: "c-4" })).toEqual(["c-4"]);
    expect(await only({ callId: "c-3" })).toEqual([]);
    expect(await only({ actor: "client:desk-1" })).toEqual([]);
    expect(await only({ number: "0015550100" })).toHaveLength(5);
    expect(await only({ number: "+15550101" })).toEqual([]);
    expect((await made.list("other", { ...ALL, kinds: ["LISTEN"] as never[] }, 0, 100)).entries).toEqual([]);
  });

  it("cuts off a line that a crash left half written, and goes on", async () => {
    await written(3);
    appendFileSync(files()[0] ?? "", '{"seq":4,"time":"20');
    expect((await verifyAudit(folder)).ok).toBe(true);
    await written(1);
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, entries: 4, last: 4 });
  });

  it("goes on from an entry that was written before a crash, but is not in the head", async () => {
    await written(2);
    const head = readFileSync(join(folder, "head.json"));
    await written(1);
    writeFileSync(join(folder, "head.json"), head);
    expect((await verifyAudit(folder)).ok).toBe(true);
    await written(1);
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, entries: 4, last: 4 });
  });

  it("removes whole files that are too old or too much, and stays verifiable", async () => {
    await written(8, { segmentBytes: 300 });
    const before = files();
    const old = new Date(Date.now() - 3 * 86_400_000);
    for (const file of before.slice(0, 4)) utimesSync(file, old, old);
    await written(1, { retentionDays: 2, segmentBytes: 300 });
    expect(files()).not.toContain(before[3]);
    expect(files()).toContain(before[4]);
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, last: 9 });
    await written(20, { maxBytes: 2_000, segmentBytes: 300 });
    const bytes = files().reduce((sum, file) => sum + readFileSync(file).length, 0);
    expect(bytes).toBeLessThan(2_600);
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, last: 29 });
  });

  it("counts what it has no room for, and says how many", async () => {
    const made = await log({ maxQueued: 100 });
    for (let i = 0; i < 130; i++) made.record(listen(i));
    await made.flush();
    expect(lines()).toHaveLength(101);
    expect(JSON.parse(lines().at(-1) ?? "")).toMatchObject({
      kind: "ENTRIES_LOST",
      details: { count: "30" },
    });
  });

  it("counts refusals beyond those of a minute in one entry for each tenant", async () => {
    const made = await log({ maxRefusedPerMinute: 2 });
    for (let i = 0; i < 5; i++)
      made.record({ tenant: "", kind: "AUTHENTICATION_REFUSED", actor: "192.0.2.1", operation: "" });
    made.record(listen(1));
    await made.close();
    const kinds = lines().map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds.filter((kind) => kind === "AUTHENTICATION_REFUSED")).toHaveLength(3);
    expect(JSON.parse(lines().at(-1) ?? "")).toMatchObject({ actor: "several", details: { count: "3" } });
  });

  it("keeps what cannot be written until it can (fault 50)", async () => {
    const made = await log({ retryMs: 5 });
    rmSync(folder, { recursive: true });
    made.record(listen(1));
    await made.flush();
    expect(made.waiting).toBe(1);
    const { mkdirSync } = await import("node:fs");
    mkdirSync(folder);
    await expect.poll(() => made.waiting).toBe(0);
    expect(lines()).toHaveLength(1);
  });
});

describe("a caller in the audit log", () => {
  const ERASED = "+15550100";
  const OTHER = "+15550101";
  const secretOf = () => readFileSync(join(folder, "key"));
  const hashes = () => lines().map((line) => (JSON.parse(line) as { number?: string }).number);

  it("is forgotten with its key: the chain holds, and nobody can tell whose entries they were", async () => {
    const made = await log({ fsync: "always" });
    for (const number of [ERASED, OTHER, ERASED]) made.record(listen(1, { number }));
    await made.flush();
    const [erased, other] = hashes();
    const keyFile = join(stateDir, "callers", "keys");
    const keys = readFileSync(keyFile);
    expect(keys.length).toBe(64);
    expect(hashes()).toEqual([erased, other, erased]);
    expect((await made.list("acme", { ...ALL, number: ERASED }, 0, 10)).entries).toHaveLength(2);

    // What waits when the caller is erased is erased with it.
    made.record(listen(2, { number: ERASED }));
    await made.eraseCaller("acme", ERASED);
    await made.flush();
    expect(hashes()).toEqual([erased, other, erased, erased, erased]);
    expect(JSON.parse(lines().at(-1) ?? "")).toMatchObject({
      kind: "CONTEXT_ERASED",
      actor: "gateway",
      details: { key: "destroyed" },
    });
    expect((await made.list("acme", { ...ALL, number: ERASED }, 0, 10)).entries).toEqual([]);
    expect((await made.list("acme", { ...ALL, number: OTHER }, 0, 10)).entries).toHaveLength(1);
    // The key is in no file any more, also not in a freed page.
    const key = [keys.subarray(0, 32), keys.subarray(32)].filter(
      (one) => !readFileSync(keyFile).includes(one),
    );
    expect(key).toHaveLength(1);
    for (const name of readdirSync(join(stateDir, "callers")))
      expect(readFileSync(join(stateDir, "callers", name)).includes(key[0] as Buffer), name).toBe(false);

    // A later call of the same number has nothing to do with what was.
    made.record(listen(3, { number: ERASED }));
    await made.flush();
    expect(hashes().at(-1)).not.toBe(erased);
    expect((await made.list("acme", { ...ALL, number: ERASED }, 0, 10)).entries).toHaveLength(1);
    await made.close();
    expect(await verifyAudit(folder)).toMatchObject({ ok: true, entries: 6, problems: [] });
  });

  it("cannot be told from the installation's key alone", async () => {
    const made = await log();
    made.record(listen(1, { number: ERASED }));
    await made.close();
    const [shown] = hashes();
    const derived = (purpose: string) =>
      createHmac("sha256", secretOf().toString("latin1").trim()).update(purpose).digest();
    for (const key of [secretOf(), derived("callweave audit number"), derived("callweave audit chain")])
      for (const text of [ERASED, `acme\n${ERASED}`])
        expect(createHmac("sha256", key).update(text).digest("hex").slice(0, 32)).not.toBe(shown);
  });

  it("has another hash in each tenant, and one after a restart", async () => {
    await written(1);
    const made = await log();
    made.record(listen(1));
    made.record(listen(1, { tenant: "other" }));
    // Nobody's number is nobody's key.
    await made.eraseCaller("third", ERASED);
    await made.eraseCaller("acme", "");
    await made.close();
    const [first, second, third, ...rest] = hashes();
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(rest).toEqual([]);
  });

  it("is written without its hash while the keys are away, and shown in every search", async () => {
    const away = new Error("away");
    let isAway = true;
    let asked = 0;
    const keys = await openEmbeddedCallerKeys(stateDir);
    const numbers = new CallerNumbers(
      new Proxy(keys, {
        get: (target, name: keyof typeof keys) =>
          name !== "close" && isAway
            ? async () => {
                asked++;
                throw away;
              }
            : target[name].bind(target),
      }),
    );
    const made = await log({ numbers, numbersRetryMs: 50 });
    for (let i = 0; i < 3; i++) {
      made.record(listen(i));
      await made.flush();
    }
    expect(hashes()).toEqual(["unknown", "unknown", "unknown"]);
    // At the sweep, and once for the three.
    expect(asked).toBeLessThan(4);
    await expect(made.eraseCaller("acme", ERASED)).rejects.toThrow("away");
    await expect(made.list("acme", { ...ALL, number: ERASED }, 0, 10)).rejects.toMatchObject({
      reason: "CONTEXT_STORE_AWAY",
    });
    isAway = false;
    await expect
      .poll(async () => {
        made.record(listen(4));
        await made.flush();
        return hashes().at(-1);
      })
      .toMatch(/^[0-9a-f]{32}$/);
    made.record(listen(5, { number: OTHER }));
    const found = (await made.list("acme", { ...ALL, number: ERASED }, 0, 100)).entries;
    expect(found.filter((entry) => entry.numberHash === "unknown").length).toBeGreaterThanOrEqual(3);
    expect(found.some((entry) => entry.callId === "c-5")).toBe(false);
  });
});

describe("audit verify", () => {
  // What somebody could do who can write the files, but does not have the key.
  const TAMPERING: Record<string, (all: string[]) => string[]> = {
    "a changed actor": (all) => all.map((l, i) => (i === 2 ? l.replace("client:desk-1", "client:ben0") : l)),
    "a changed time": (all) => all.map((l, i) => (i === 0 ? l.replace(/"time":"2/, '"time":"1') : l)),
    "a changed hash": (all) =>
      all.map((l, i) => (i === 4 ? l.replace(/[0-9a-f]"\}$/, (m) => (m[0] === "0" ? '1"}' : '0"}')) : l)),
    "a removed line": (all) => all.filter((_, i) => i !== 2),
    "a removed first line": (all) => all.slice(1),
    "a removed last line": (all) => all.slice(0, -1),
    "two lines the other way round": (all) => [all[0], all[2], all[1], ...all.slice(3)] as string[],
    "a repeated line": (all) => [...all.slice(0, 3), all[2] as string, ...all.slice(3)],
    "a line of an earlier time put last": (all) => [...all.slice(0, -1), all[0] as string],
    "a truncated line in the middle": (all) => all.map((l, i) => (i === 2 ? l.slice(0, 40) : l)),
    "a truncated last line": (all) => all.map((l, i) => (i === all.length - 1 ? l.slice(0, 40) : l)),
    "an emptied file": () => [""],
    "an added line": (all) => [...all, '{"seq":7,"tenant":"acme","kind":"LISTEN","hash":"00"}'],
  };

  it("finds nothing where nothing was done", async () => {
    await written(6);
    rewrite(lines());
    expect((await verifyAudit(folder)).problems).toEqual([]);
  });

  it.each(Object.keys(TAMPERING))("catches %s", async (name) => {
    await written(6);
    const before = lines();
    const after = TAMPERING[name]?.(before) ?? [];
    expect(after).not.toEqual(before);
    rewrite(after);
    const verdict = await verifyAudit(folder);
    expect(verdict.ok).toBe(false);
    expect(verdict.problems.length).toBeGreaterThan(0);
    // A gateway that goes on over it hides nothing.
    await written(2);
    expect((await verifyAudit(folder)).ok).toBe(false);
  });

  it("catches a file or a head that is gone or of another installation", async () => {
    await written(6, { segmentBytes: 300 });
    const all = files();
    const put = (file: string, bytes: Buffer) => writeFileSync(file, bytes);
    for (const file of [all[0], all[2], all.at(-1), join(folder, "head.json")] as string[]) {
      const bytes = readFileSync(file);
      rmSync(file);
      expect((await verifyAudit(folder)).ok).toBe(false);
      put(file, bytes);
      expect((await verifyAudit(folder)).ok).toBe(true);
    }
    writeFileSync(join(folder, "key"), "f".repeat(64));
    const verdict = await verifyAudit(folder);
    expect(verdict.ok).toBe(false);
    writeFileSync(join(folder, "key"), "short");
    await expect(verifyAudit(folder)).rejects.toThrow("32 bytes");
  });
});
