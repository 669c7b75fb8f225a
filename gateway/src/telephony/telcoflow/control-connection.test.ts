import type { Duplex } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../util/clock.js";
import { ControlConnection, type SessionMessage } from "./control-connection.js";
import { TelcoflowCounters } from "./counters.js";
import { FakeProvider, until } from "./fake-provider.js";
import { silentLogger } from "./logger.js";
import type { TelcoflowLimits } from "./options.js";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function provider(options: Parameters<typeof FakeProvider.start>[0] = {}) {
  const made = await FakeProvider.start(options);
  stops.push(() => made.stop());
  return made;
}

function connection(to: FakeProvider, limits: Partial<TelcoflowLimits> = {}) {
  const counters = new TelcoflowCounters();
  const told: string[] = [];
  const messages: SessionMessage[] = [];
  const control = new ControlConnection(to.settings(limits), systemClock, counters, silentLogger, {
    onSignedIn: () => told.push("signed in"),
    onLost: () => told.push("lost"),
    onMessage: (message) => {
      messages.push(message);
      if (message.type === "wa.msg.in") throw new Error("thrown by the owner");
    },
  });
  stops.push(() => control.stop());
  return { control, counters, told, messages };
}

async function signedIn(limits: Partial<TelcoflowLimits> = {}, options: { autoPong?: boolean } = {}) {
  const fake = await provider(options);
  fake.signIn();
  const made = connection(fake, limits);
  await made.control.start();
  return { fake, ...made };
}

describe("ControlConnection / being there", () => {
  it("sends setup first, and its credential in headers alone", async () => {
    const { fake } = await signedIn();
    expect(fake.received).toEqual(['{"type":"setup","data":{"sampleRate":16000,"audioMode":"mixed"}}']);
    expect(fake.received.join()).not.toContain("k-secret");
  });

  it("comes back when a ping has no answer", async () => {
    const { counters, told } = await signedIn(
      { controlPingMs: 20, controlPongTimeoutMs: 50 },
      { autoPong: false },
    );
    await until(() => counters.reconnects >= 1, "the reconnect");
    expect(told.slice(0, 3)).toEqual(["signed in", "lost", "signed in"]);
  });

  it("stays while pings are answered", async () => {
    const { fake, counters } = await signedIn({ controlPingMs: 10, controlPongTimeoutMs: 5000 });
    let pings = 0;
    fake.sockets[0]?.on("ping", () => pings++);
    await until(() => pings >= 5, "five pings");
    expect(counters.controlLost).toBe(0);
  });

  it("gives up a handshake that goes on for ever (fault 47)", async () => {
    const open: Duplex[] = [];
    const fake = await provider({ upgrade: (socket) => open.push(socket.on("error", () => {})) });
    const { control, counters } = connection(fake, { handshakeTimeoutMs: 30 });
    control.start().catch(() => {});
    await until(() => counters.connectFailures >= 2, "two failures");
    for (const socket of open) socket.destroy();
  });

  it("waits as long as the provider asks (fault 52)", async () => {
    let refusals = 0;
    const fake = await provider({
      upgrade: (socket) => {
        refusals++;
        socket.end("HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n");
      },
    });
    const { control } = connection(fake, { maxRetryAfterMs: 400 });
    const beginMs = performance.now();
    control.start().catch(() => {});
    await until(() => refusals >= 2, "the second attempt");
    expect(performance.now() - beginMs).toBeGreaterThanOrEqual(399);
  });

  it("is closed by a message in too many pieces (fault 28)", async () => {
    const { fake, counters } = await signedIn({ maxFragments: 10 });
    for (let i = 0; i < 50; i++) fake.sockets[0]?.send("x", { fin: false });
    await until(() => counters.oversizeFrames === 1, "the refusal");
    await until(() => counters.reconnects === 1, "the reconnect");
  });

  it("stops at any moment", async () => {
    const { control, told } = await signedIn();
    await control.stop();
    await control.stop();
    expect(control.signedIn).toBe(false);
    expect(told).toEqual(["signed in"]);
    const fake = await provider();
    const waiting = connection(fake);
    const started = waiting.control.start().catch((error: Error) => error.message);
    await until(() => fake.sockets.length === 1, "the connection");
    await waiting.control.stop();
    expect(await started).toMatch(/stopped/);
  });
});

describe("ControlConnection / requests", () => {
  it("matches answers to requests in any order", async () => {
    const { fake, control } = await signedIn();
    const requests: { reqId: string; sessionId: string }[] = [];
    fake.onMessage = (socket, text) => {
      requests.push(JSON.parse(text));
      if (requests.length < 2) return;
      for (const { reqId, sessionId } of requests.reverse()) {
        socket.send(JSON.stringify({ type: "response", reqId, ok: true, content: sessionId }));
      }
    };
    const answers = ["a", "b"].map((sessionId) => control.request({ type: "session.open", sessionId }));
    expect(await Promise.all(answers)).toEqual([
      { kind: "ok", content: "a" },
      { kind: "ok", content: "b" },
    ]);
  });

  it("loses them with time, and counts what comes after", async () => {
    const { fake, control, counters } = await signedIn({ requestTimeoutMs: 30 });
    let reqId = "";
    fake.onMessage = (_socket, text) => {
      reqId = JSON.parse(text).reqId;
    };
    expect(await control.request({ type: "session.open", sessionId: "s" })).toEqual({
      kind: "lost",
      code: "TIMEOUT",
    });
    fake.sockets[0]?.send(JSON.stringify({ type: "response", reqId, ok: true }));
    await until(() => counters.lateResponses === 1, "the late answer");
  });

  it("loses them with the connection, and makes none without one", async () => {
    const { fake, control } = await signedIn();
    fake.onMessage = (socket) => socket.terminate();
    const lost = { kind: "lost", code: "CONTROL_LOST" };
    expect(await control.request({ type: "session.open", sessionId: "s" })).toEqual(lost);
    expect(await control.request({ type: "session.open", sessionId: "s" })).toEqual(lost);
    expect(control.send({ type: "session.ready", sessionId: "s" })).toBe(false);
  });

  it("refuses one too many at once", async () => {
    const { control } = await signedIn({ maxPendingRequests: 1, requestTimeoutMs: 60_000 });
    void control.request({ type: "session.open", sessionId: "a" });
    expect(await control.request({ type: "session.open", sessionId: "b" })).toEqual({
      kind: "lost",
      code: "TOO_MANY_REQUESTS",
    });
  });

  it("survives an owner that throws", async () => {
    const { fake, counters, messages } = await signedIn();
    fake.sockets[0]?.send('{"type":"wa.msg.in","sessionId":"s"}');
    fake.sockets[0]?.send('{"type":"session.closed","sessionId":"s","reason":"SDK_REQUEST"}');
    await until(() => messages.length === 2, "both messages");
    expect(counters.handlerErrors).toBe(1);
  });
});
