import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryBusServer } from "../bus/memory-bus.js";
import type { GatewayConfig } from "../config/index.js";
import { type DeadLetter, DeadLetters } from "./dead-letters.js";
import { BucketStateStore, FileStateStore, LeaseLost } from "./hook-state.js";
import { signatureOf, verifySignature } from "./signature.js";
import { addWebhooksCommands } from "./webhooks-command.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "webhooks-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const STATE = { cursor: "k-1", pending: [{ callId: "c-1", sequence: 1 }] };
const SECRETS = ["first-secret-of-a-webhook", "second-secret-of-a-webhook"] as const;

describe("signatures", () => {
  it("are checked by either secret, within the tolerance, for this body alone", () => {
    const header = signatureOf("{}", SECRETS, 1_000);
    for (const secret of SECRETS) expect(verifySignature(header, "{}", secret, 1_300)).toBe(true);
    expect(verifySignature(header, "{}", SECRETS[0], 700)).toBe(true);
    expect(verifySignature(header, "{}", SECRETS[0], 1_301)).toBe(false);
    expect(verifySignature(header, "{}", SECRETS[0], 699)).toBe(false);
    expect(verifySignature(header, "{ }", SECRETS[0], 1_000)).toBe(false);
    expect(verifySignature(header, "{}", "another-secret-of-a-webhook", 1_000)).toBe(false);
    expect(verifySignature(header.replace("t=1000", "t=1001"), "{}", SECRETS[0], 1_000)).toBe(false);
    for (const wrong of ["", "t=1000", "t=x,v1=y", "v1=y", "t=1000,v1="])
      expect(verifySignature(wrong, "{}", SECRETS[0], 1_000), wrong).toBe(false);
  });

  it("are what any other HMAC makes of it", () => {
    // printf '1000.{}' | openssl dgst -sha256 -hmac first-secret-of-a-webhook
    expect(signatureOf("{}", [SECRETS[0]], 1_000)).toBe(
      "t=1000,v1=2fb793a6cac87e6b36df7a788f81456ceb4d68d77308a110d0593c9de82373d3",
    );
  });
});

describe("FileStateStore", () => {
  it("keeps the state of each webhook, for its owner alone to read", async () => {
    const a = new FileStateStore(folder, "default", "a");
    expect(await a.acquire()).toBeUndefined();
    await a.save(STATE);
    expect(await new FileStateStore(folder, "default", "a").acquire()).toEqual(STATE);
    expect(await new FileStateStore(folder, "default", "b").acquire()).toBeUndefined();
    expect(await new FileStateStore(folder, "acme", "a").acquire()).toBeUndefined();
    expect((await readdir(folder)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });
});

describe("BucketStateStore", () => {
  const never = new AbortController().signal;
  const stores = () => {
    const server = new MemoryBusServer();
    return ["a", "b"].map(
      (holder) =>
        new BucketStateStore(server.connect(), {
          tenant: "default",
          name: "crm",
          holder,
          leaseMs: 100,
          replicas: 1,
        }),
    ) as [BucketStateStore, BucketStateStore];
  };

  it("lets one have it, and another at once when it is given back", async () => {
    const [a, b] = stores();
    expect(await a.acquire(never)).toBeUndefined();
    await a.save(STATE);
    const later = b.acquire(never);
    await a.save({ ...STATE, cursor: "k-2" });
    await a.release();
    expect(await later).toEqual({ ...STATE, cursor: "k-2" });
    await b.save(STATE);
  });

  it("lets another have it when its holder was silent for a lease; the holder cannot write any more", async () => {
    const [a, b] = stores();
    await a.acquire(never);
    await a.save(STATE);
    expect(await b.acquire(never)).toEqual(STATE);
    await expect(a.save({ ...STATE, cursor: "k-9" })).rejects.toBeInstanceOf(LeaseLost);
    await a.release();
    await b.save(STATE);
  });

  it("waits while its holder goes on writing", async () => {
    const [a, b] = stores();
    await a.acquire(never);
    const ending = new AbortController();
    const waiting = b.acquire(ending.signal);
    let taken = false;
    void waiting.then(
      () => {
        taken = true;
      },
      () => {},
    );
    for (let i = 0; i < 20; i++) {
      await a.save({ ...STATE, cursor: `k-${i}` });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(taken).toBe(false);
    ending.abort();
    await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  });
});

/** One of many: those whose name comes later are newer. */
const letter = (id: string, webhook = "crm"): DeadLetter => ({
  id: id.padEnd(22, "x"),
  tenant: "default",
  webhook,
  callId: "c-1",
  sequence: 1,
  type: "ended",
  eventTime: "2026-01-01T00:00:00.000Z",
  deadTime: `2026-01-02T00:00:00.${100 + id.charCodeAt(0)}Z`,
  attempts: 3,
  error: "HTTP 400",
});

describe("DeadLetters", () => {
  it("are kept up to the limit, each webhook's own; the oldest goes", async () => {
    const letters = new DeadLetters(folder);
    await letters.open();
    expect(await letters.add(letter("a"), 2)).toBe(false);
    expect(await letters.add(letter("other", "else"), 2)).toBe(false);
    expect(await letters.add(letter("b"), 2)).toBe(false);
    expect(await letters.add(letter("c"), 2)).toBe(true);
    expect((await letters.list()).map(({ id }) => id[0])).toEqual(["b", "c", "o"]);
    expect([letters.count("default", "crm"), letters.count("default", "else")]).toEqual([2, 1]);
    const again = new DeadLetters(folder);
    await again.open();
    expect(again.count("default", "crm")).toBe(2);
  });

  it("are moved by who wants them sent again; a name that is no id moves nothing", async () => {
    const letters = new DeadLetters(folder);
    await letters.open();
    await letters.add(letter("a"), 10);
    const command = new DeadLetters(folder);
    expect(await command.request("../dead/a")).toBe(false);
    expect(await command.request("b".padEnd(22, "x"))).toBe(false);
    expect(await command.request(letter("a").id)).toBe(true);
    expect(await letters.list()).toEqual([]);
    await letters.refresh();
    expect(letters.count("default", "crm")).toBe(0);
    const [wanted] = await letters.requested();
    expect(wanted).toEqual(letter("a"));
    await letters.done(letter("a"), { ...letter("a"), error: "HTTP 500" });
    expect(await letters.requested()).toEqual([]);
    expect((await letters.list()).map(({ error }) => error)).toEqual(["HTTP 500"]);
  });
});

describe("the commands", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = 0;
  });

  /** What a command printed, on both channels. */
  async function run(...args: string[]): Promise<string[]> {
    const lines: string[] = [];
    for (const channel of ["log", "error"] as const)
      vi.spyOn(console, channel).mockImplementation((text: string) => void lines.push(text));
    const program = new Command();
    addWebhooksCommands(program, () => ({ gateway: { stateDir: folder } }) as GatewayConfig);
    await program.parseAsync(["webhooks", ...args], { from: "user" });
    return lines;
  }

  it("list dead letters and have them sent again", async () => {
    expect(await run("dead-letters")).toEqual([]);
    const letters = new DeadLetters(join(folder, "webhooks"));
    await letters.open();
    for (const one of [letter("a"), letter("b", "else"), letter("c")]) await letters.add(one, 10);
    expect(await run("dead-letters", "--webhook", "else")).toEqual([
      `${letter("b").id}  default/else  ended of c-1 at 2026-01-01T00:00:00.000Z  3 attempts, HTTP 400`,
    ]);
    expect((await run("dead-letters", "--json")).map((line) => JSON.parse(line).id[0])).toEqual([
      "a",
      "b",
      "c",
    ]);
    expect(await run("resend", letter("b").id, "none")).toEqual([
      "no dead letter none",
      "1 will be sent again",
    ]);
    expect(process.exitCode).toBe(1);
    expect(await run("resend", "--all", "--webhook", "crm")).toEqual(["2 will be sent again"]);
    expect((await letters.requested()).map(({ id }) => id[0]).sort()).toEqual(["a", "b", "c"]);
    await expect(run("resend")).rejects.toThrow("name deliveries, or --all");
  });
});
