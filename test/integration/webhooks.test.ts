import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryBusServer } from "../../gateway/src/bus/memory-bus.js";
import { CallError } from "../../gateway/src/call/call-error.js";
import { context, FakeApi, FakeLogger, stored } from "../../gateway/src/contract/testing.js";
import { MemoryEventLog } from "../../gateway/src/events/memory-event-log.js";
import { DeadLetters, webhooksFolder } from "../../gateway/src/webhooks/dead-letters.js";
import { AllowedHosts, Webhooks } from "../../gateway/src/webhooks/index.js";
import { WEBHOOK_DEFAULTS, type WebhookOptions } from "../../gateway/src/webhooks/options.js";
import { verifySignature } from "../../gateway/src/webhooks/signature.js";
import type { Resolve } from "../../gateway/src/webhooks/targets.js";
import { issueCertificate, makeAuthority } from "../harness/certificates.js";
import { until as waitUntil } from "../harness/until.js";

/** Waits; what failed is told by the condition itself. */
const until = (check: () => unknown) => waitUntil(async () => Boolean(await check()), String(check));
const logged = () => JSON.stringify(logger.lines);

const SECRET = "the-secret-of-this-webhook";

interface Got {
  readonly id: string;
  readonly type: string;
  readonly callId: string;
  readonly sequence: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON
  readonly body: any;
  readonly signed: boolean;
  readonly headers: IncomingMessage["headers"];
}

/** A receiver that answers as told, and can go away and come back at its port. */
class Receiver {
  readonly got: Got[] = [];
  answer: (got: Got) => { readonly status: number; readonly headers?: Record<string, string> } | "hang" =
    () => ({
      status: 204,
    });
  port = 0;
  private server: Server | undefined;

  async open(): Promise<void> {
    const server = createServer(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const text = Buffer.concat(pieces).toString("utf8");
      const body = JSON.parse(text);
      const signature = String(request.headers["callweave-signature"]);
      const { callId, sequence } = body.event;
      const got: Got = {
        id: body.id,
        type: body.type,
        callId,
        sequence: Number(sequence),
        body,
        signed: verifySignature(signature, text, SECRET, Date.now() / 1000),
        headers: request.headers,
      };
      this.got.push(got);
      const answer = this.answer(got);
      if (answer !== "hang") response.writeHead(answer.status, answer.headers).end("thank you");
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (!server) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  labels(): string[] {
    return this.got.map(({ callId, sequence }) => `${callId}/${sequence}`);
  }
}

let folder: string;
let receiver: Receiver;
let log: MemoryEventLog;
let logger: FakeLogger;
const open: Webhooks[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "webhooks-"));
  receiver = new Receiver();
  await receiver.open();
  log = new MemoryEventLog();
  logger = new FakeLogger();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
  await receiver.close();
  await log.close();
  await rm(folder, { recursive: true, force: true });
});

interface Setup {
  readonly hook?: Partial<WebhookOptions>;
  readonly hosts?: readonly string[];
  readonly resolve?: Resolve;
  readonly api?: FakeApi;
  readonly bus?: MemoryBusServer;
  readonly gatewayId?: string;
}

/** Webhooks that run, over the log of the test. */
async function running({
  hook,
  hosts = ["127.0.0.1"],
  resolve,
  api = new FakeApi(),
  bus,
  gatewayId = "g-1",
}: Setup = {}) {
  const made = new Webhooks({
    hooks: [
      {
        ...WEBHOOK_DEFAULTS,
        name: "crm",
        tenant: "default",
        url: `http://127.0.0.1:${receiver.port}/in?token=in-the-address`,
        secret: SECRET,
        firstRetryMs: 20,
        maxRetryMs: 60,
        ...hook,
      },
    ],
    hosts: new AllowedHosts(hosts, ...(resolve ? [resolve] : [])),
    events: log,
    contexts: api.contexts,
    stateDir: folder,
    bus: bus?.connect(),
    replicas: 1,
    gatewayId,
    logger,
    resendIntervalMs: 20,
  });
  open.push(made);
  await made.start();
  return made;
}

/** Begun: it reads from the place where the log was then. */
const begun = (hooks: Webhooks) => until(() => hooks.views()[0]?.delivering === true);

/** So many are delivered and known to be: a delivery whose answer is not read yet would be made again. */
const delivered = (hooks: Webhooks, count: number) =>
  waitUntil(() => hooks.views()[0]?.delivered === count, `${count} deliveries`);

let nextOf = new Map<string, number>();
beforeEach(() => {
  nextOf = new Map();
});

/** Events of calls, in this order; "a" is one of call a, with the number that follows. */
async function happen(...calls: string[]): Promise<void> {
  for (const callId of calls) {
    const sequence = (nextOf.get(callId) ?? 0) + 1;
    nextOf.set(callId, sequence);
    const { cursor: _cursor, durable: _durable, ...event } = stored({ type: "answered" }, sequence);
    await log.append({ ...event, callId, time: new Date() });
  }
}

describe("webhooks", () => {
  it("deliver each event once, signed, in the order of its call", async () => {
    const hooks = await running({ hook: { previousSecret: "the-secret-of-before-this-one" } });
    await begun(hooks);
    await happen("a", "b", "a", "b", "a");
    await delivered(hooks, 5);
    expect(receiver.got).toHaveLength(5);
    expect(receiver.labels().filter((one) => one.startsWith("a"))).toEqual(["a/1", "a/2", "a/3"]);
    expect(new Set(receiver.got.map(({ id }) => id)).size).toBe(5);
    const [first] = receiver.got;
    expect(first).toMatchObject({ signed: true, type: "answered", body: { webhook: "crm" } });
    expect(first?.body.event).toMatchObject({ callId: "a", pool: "default", answered: {} });
    expect(first?.headers).toMatchObject({
      "content-type": "application/json",
      "callweave-delivery": first?.id,
    });
    expect(String(first?.headers["callweave-signature"]).match(/v1=/g)).toHaveLength(2);
    expect(hooks.views()[0]).toMatchObject({ delivered: 5, failed: 0, waiting: 0, deadLetters: 0 });
  });

  it("lose nothing while the receiver is away, keep the order, and go on when it is back", async () => {
    const hooks = await running({ hook: { maxWaiting: 3 } });
    await begun(hooks);
    await happen("a");
    await delivered(hooks, 1);
    await receiver.close();
    // More than may wait in memory: the rest waits in the log.
    await happen("a", "b", "a", "b", "c", "c", "a", "b");
    await until(() => (hooks.views()[0]?.failed ?? 0) >= 6);
    expect(hooks.views()[0]?.waiting).toBe(3);
    await receiver.open();
    await until(() => receiver.got.length >= 9);
    for (const call of ["a", "b", "c"]) {
      const own = receiver.labels().filter((one) => one.startsWith(call));
      expect(own).toEqual(own.map((_, i) => `${call}/${i + 1}`));
    }
    expect(receiver.got).toHaveLength(9);
  });

  it("lose nothing over a restart: what was not delivered, and what came meanwhile", async () => {
    const first = await running();
    await begun(first);
    await happen("a");
    await delivered(first, 1);
    receiver.answer = () => ({ status: 503 });
    await happen("a", "b");
    await until(() => receiver.got.length >= 3);
    await first.stop();
    await happen("a", "c");
    receiver.got.length = 0;
    receiver.answer = () => ({ status: 200 });
    await running();
    await until(() => receiver.got.length >= 4);
    expect(receiver.labels().sort()).toEqual(["a/2", "a/3", "b/1", "c/1"]);
    expect(receiver.labels().filter((one) => one.startsWith("a"))).toEqual(["a/2", "a/3"]);
  });

  it("use the same id at every attempt, and wait as long as they are asked to", async () => {
    const hooks = await running();
    await begun(hooks);
    receiver.answer = () =>
      receiver.got.length < 3 ? { status: 429, headers: { "Retry-After": "1" } } : { status: 200 };
    await happen("a");
    await delivered(hooks, 1);
    expect(new Set(receiver.got.map(({ id }) => id)).size).toBe(1);
    expect(receiver.got).toHaveLength(3);
  });

  it("go along with the context as it is now, without what was said unless that is asked for", async () => {
    const api = new FakeApi();
    api.contexts.get = async () =>
      context({
        callId: "a",
        status: "ESCALATING",
        summary: "Wants a refund.",
        escalationReason: "ASKED_FOR_HUMAN",
      });
    const hooks = await running({ api, hook: { includeContext: "header" } });
    await begun(hooks);
    await happen("a");
    await delivered(hooks, 1);
    expect(receiver.got[0]?.body.context).toMatchObject({
      callId: "a",
      summary: "Wants a refund.",
      status: "CONTEXT_STATUS_ESCALATING",
      escalationReason: "ESCALATION_REASON_ASKED_FOR_HUMAN",
      caller: "+15550100",
    });
    expect(receiver.got[0]?.body.context.turns).toBeUndefined();
    await hooks.stop();
    const more = await running({ api, hook: { includeContext: "turns" } });
    await begun(more);
    await happen("a");
    await until(() => receiver.got.length === 2);
    expect(receiver.got[1]?.body.context.turns).toMatchObject([{ text: "Hello" }]);
  });

  it("wait for the store of contexts, and go without a context that there is not", async () => {
    const api = new FakeApi();
    let asked = 0;
    api.contexts.get = async () => {
      if (++asked < 3) throw new CallError("CONTEXT_STORE_AWAY", "away");
      throw new CallError("CONTEXT_NOT_FOUND", "none");
    };
    const hooks = await running({ api, hook: { includeContext: "turns" } });
    await begun(hooks);
    await happen("a");
    await until(() => receiver.got.length === 1);
    expect(receiver.got[0]?.body.context).toBeUndefined();
    expect(asked).toBe(3);
  });

  it("send the events that are wanted, of the pools that are wanted", async () => {
    const hooks = await running({ hook: { events: ["ended"], pools: ["sales"] } });
    await begun(hooks);
    const { cursor: _cursor, durable: _durable, ...event } = stored({ type: "ended", reason: "TERMINATED" });
    await log.append({ ...event, callId: "other-pool" });
    await log.append({ ...event, callId: "other-event", pool: "sales", body: { type: "answered" } });
    await log.append({ ...event, callId: "this-one", pool: "sales", time: new Date() });
    await until(() => receiver.got.length === 1);
    expect(receiver.labels()).toEqual(["this-one/1"]);
  });

  it("give up what the receiver refuses, go on with the call, and send it again when somebody asks", async () => {
    const hooks = await running();
    await begun(hooks);
    receiver.answer = ({ sequence }) => ({ status: sequence === 1 ? 400 : 200 });
    await happen("a", "a");
    await until(() => receiver.got.length === 2);
    await until(() => hooks.views()[0]?.deadLetters === 1);
    const command = new DeadLetters(webhooksFolder(folder));
    const [letter] = await command.list();
    expect(letter).toMatchObject({
      webhook: "crm",
      callId: "a",
      sequence: 1,
      attempts: 1,
      error: "HTTP 400",
    });
    // Refused once more: dead again.
    expect(await command.request(letter?.id ?? "")).toBe(true);
    await until(async () => (await command.list())[0]?.attempts === 2);
    receiver.answer = () => ({ status: 200 });
    await command.request(letter?.id ?? "");
    await delivered(hooks, 2);
    await until(async () => (await command.requested()).length === 0 && (await command.list()).length === 0);
    expect(receiver.got.at(-1)?.id).toBe(letter?.id);
  });

  it("give up what has failed for too long, at an attempt and never without one", async () => {
    const hooks = await running({ hook: { maxAgeSeconds: 0 } });
    await begun(hooks);
    receiver.answer = () => ({ status: 500 });
    await happen("a");
    await until(() => hooks.views()[0]?.deadLetters === 1);
    expect(receiver.got).toHaveLength(1);
  });

  it("follow no redirect", async () => {
    const hooks = await running();
    await begun(hooks);
    receiver.answer = () => ({
      status: 307,
      headers: { Location: `http://127.0.0.1:${receiver.port}/elsewhere` },
    });
    await happen("a");
    await until(() => hooks.views()[0]?.deadLetters === 1);
    expect(receiver.got).toHaveLength(1);
  });

  it("end an attempt that takes too long", async () => {
    const hooks = await running({ hook: { timeoutMs: 200 } });
    await begun(hooks);
    receiver.answer = () => (receiver.got.length === 1 ? "hang" : { status: 200 });
    await happen("a");
    await delivered(hooks, 1);
    expect(receiver.got).toHaveLength(2);
  });

  it("connect to no address that its name must not stand for", async () => {
    const hooks = await running({
      hosts: ["hooks.example.com"],
      resolve: (_host, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
      hook: { url: `http://hooks.example.com:${receiver.port}/` },
    });
    await begun(hooks);
    await happen("a");
    await until(() => (hooks.views()[0]?.failed ?? 0) >= 2);
    expect(receiver.got).toEqual([]);
    expect(logged()).toContain("ERR_TARGET_REFUSED");
  });

  it("trust no certificate that nobody trusts, and look at the address by TLS too", async () => {
    await makeAuthority(folder, "ca");
    const extension = "subjectAltName=DNS:hooks.example.com";
    await issueCertificate(folder, "ca", "server", { subject: "hooks.example.com", extension });
    const [cert, key] = await Promise.all(
      ["server.pem", "server.key"].map((name) => readFile(join(folder, name))),
    );
    const server = createHttpsServer({ cert, key }, (_request, response) => response.end());
    let requests = 0;
    server.on("request", () => requests++);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const url = `https://hooks.example.com:${(server.address() as AddressInfo).port}/`;
      const resolve: Resolve = (_host, done) => done(null, [{ address: "127.0.0.1", family: 4 }]);
      const listed = await running({ hosts: ["hooks.example.com", "127.0.0.0/8"], resolve, hook: { url } });
      await begun(listed);
      await happen("a");
      await until(() => /SELF_SIGNED|UNABLE_TO_VERIFY/.test(logged()));
      await listed.stop();
      const unlisted = await running({ hosts: ["hooks.example.com"], resolve, hook: { url } });
      await until(() => logged().includes("ERR_TARGET_REFUSED"));
      expect(unlisted.views()[0]).toMatchObject({ delivered: 0 });
      expect(requests).toBe(0);
    } finally {
      server.close().closeAllConnections();
    }
  });

  it("are delivered by one of two gateways, and by the other when that one goes", async () => {
    const bus = new MemoryBusServer();
    const setup = { bus, hook: { leaseMs: 600 } };
    const a = await running({ ...setup, gatewayId: "g-a" });
    await begun(a);
    const b = await running({ ...setup, gatewayId: "g-b" });
    await happen("a", "b", "a");
    await delivered(a, 3);
    expect(b.views()[0]?.delivering).toBe(false);
    await a.stop();
    await happen("a", "b");
    await delivered(b, 2);
    expect(receiver.labels().sort()).toEqual(["a/1", "a/2", "a/3", "b/1", "b/2"]);
    expect(b.views()[0]?.delivering).toBe(true);
  });

  it("keep the secret and the address out of logs and dead letters", async () => {
    const hooks = await running();
    await begun(hooks);
    receiver.answer = () => ({ status: 400 });
    await happen("a");
    await until(() => hooks.views()[0]?.deadLetters === 1);
    const letters = JSON.stringify(await new DeadLetters(webhooksFolder(folder)).list());
    expect(logged()).toContain("dead letter");
    for (const text of [logged(), letters]) {
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain("in-the-address");
    }
  });
});
