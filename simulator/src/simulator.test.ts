import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_CONNECTOR, type SimulatorOptions } from "./options.js";
import { callee } from "./party/script.js";
import { Simulator } from "./simulator.js";
import { type Frame, TestClient } from "./test-client.js";

const HEADERS = { "x-api-key": DEFAULT_CONNECTOR.apiKey, "x-connector-uuid": DEFAULT_CONNECTOR.uuid };

/** Lets time pass in which something must not happen. */
function passes(simulator: Simulator, ms: number): Promise<void> {
  const untilMs = simulator.clock.now() + ms;
  return simulator.waitUntil(() => simulator.clock.now() >= untilMs);
}

describe("Simulator", () => {
  const running: Simulator[] = [];

  async function start(options: SimulatorOptions = {}): Promise<Simulator> {
    const simulator = await Simulator.start({ renotifyDelayMs: 20, orphanDelayMs: 20, ...options });
    running.push(simulator);
    return simulator;
  }

  afterEach(async () => {
    for (const simulator of running.splice(0)) await simulator.stop();
  });

  describe("log-in", () => {
    it("says why it refuses", async () => {
      const { url } = await start({ minSdkVersion: "1.2.0" });
      const path = `${url}/v1/agent/session-manager`;
      const version = { "x-sdk-version": "1.10.0" };
      await expect(TestClient.open(path, { ...version })).rejects.toThrow("HTTP 401: Missing credentials");
      await expect(TestClient.open(path, { ...version, ...HEADERS, "x-api-key": "wrong" })).rejects.toThrow(
        "HTTP 403: Invalid API key or connector",
      );
      await expect(
        TestClient.open(path, { ...version, ...HEADERS, "x-connector-uuid": "other" }),
      ).rejects.toThrow("HTTP 403");
      await expect(TestClient.open(path, { ...HEADERS, "x-sdk-version": "1.1.9" })).rejects.toThrow(
        "HTTP 426",
      );
      await expect(TestClient.open(`${url}/elsewhere`, HEADERS)).rejects.toThrow("HTTP 404");
      await expect(TestClient.open(`${url}/v1/agent/media/%zz`, {})).rejects.toThrow();
      expect(
        (await fetch(`${url.replace("ws", "http")}/public/v1/sessions/%zz/close`, { method: "POST" })).ok,
      ).toBe(false);
      await TestClient.open(path, { ...version, ...HEADERS });
    });

    it("gives each connection its own id and refuses a wrong setup", async () => {
      const { url } = await start();
      const [a, b] = [await TestClient.control(url), await TestClient.control(url)];
      expect((await a.waitFor("setup.done")).smWsId).not.toBe((await b.waitFor("setup.done")).smWsId);
      const wrong = await TestClient.open(`${url}/v1/agent/session-manager`, HEADERS);
      expect((await wrong.request({ type: "session.open", sessionId: "x" })).errorCode).toBe(
        "INVALID_REQUEST",
      );
      wrong.send({ type: "setup", data: { sampleRate: 44100 } });
      expect(await wrong.closed()).toBe(1008);
    });
  });

  describe("connectors and claims", () => {
    it("notifies every connection of the connector, of no other, and has one winner", async () => {
      const second = { uuid: "second", apiKey: "second-key" };
      const simulator = await start({ connectors: [DEFAULT_CONNECTOR, second] });
      const [a, b] = [await TestClient.control(simulator.url), await TestClient.control(simulator.url)];
      const other = await TestClient.control(simulator.url, second);
      const call = simulator.placeCall({ from: "+15550111" });
      for (const client of [a, b])
        expect(await client.waitFor("session.notify")).toMatchObject({
          sessionId: call.session.id,
          channel: "TELCO",
          remoteAddress: "+15550111",
          localAddress: DEFAULT_CONNECTOR.localAddress,
          activity: "NEW_INCOMING_CALL",
        });
      const open = { type: "session.open", sessionId: call.session.id };
      const [first, loser] = [await a.request(open), await b.request(open)];
      expect(first).toMatchObject({
        ok: true,
        content: {
          session: { id: call.session.id, channel: "TELCO", initiator: "CONNECTOR", state: "OPEN" },
        },
      });
      expect(loser).toMatchObject({
        ok: false,
        errorCode: "SESSION_BUSY",
        errorContent: { boundSmWsId: (await a.waitFor("setup.done")).smWsId },
      });
      expect(await other.request(open)).toMatchObject({ errorCode: "SESSION_NOT_FOUND" });
      expect(other.frames.some(({ type }) => type === "session.notify")).toBe(false);
    });

    it("delivers nothing before session.ready", async () => {
      const simulator = await start();
      const client = await TestClient.control(simulator.url);
      const call = simulator.placeCall();
      await client.request({ type: "session.open", sessionId: call.session.id });
      call.hangUp();
      // A request's answer comes after anything that would have been pushed before it.
      await client.request({ type: "call_flow.setup", data: { inboundCall: "ALL" } });
      // A session that nobody holds may be told once more after the connect.
      const types = client.frames.map(({ type }) => type).filter((type) => type !== "session.notify");
      expect(types).toEqual(["setup.done", "response", "response"]);
      client.send({ type: "session.ready", sessionId: call.session.id });
      expect(await client.waitFor("session.closed")).toMatchObject({ reason: "CALL_TERMINATED" });
      expect(client.frames.some(({ type }) => type === "call.in")).toBe(false);
      const late = await client.request({ type: "session.open", sessionId: call.session.id });
      expect(late.errorCode).toBe("SESSION_CLOSED");
    });

    it("opens the media connection with the call's token only", async () => {
      const simulator = await start();
      const client = await TestClient.control(simulator.url);
      const [one, two] = [simulator.placeCall(), simulator.placeCall()];
      const callIn = await client.takeCall(one.session.id);
      const other = await client.takeCall(two.session.id);
      expect(callIn).toMatchObject({ callId: one.id, from: "+15550101", to: "+15550100" });
      const url = String(callIn.url);
      await expect(TestClient.open(url, {})).rejects.toThrow("HTTP 401: missing bearer token");
      await expect(TestClient.media({ url, token: other.token })).rejects.toThrow(
        "token is for another call",
      );
      await expect(TestClient.media({ url, token: `${callIn.token}x` })).rejects.toThrow("invalid signature");
      const media = await TestClient.media(callIn);
      expect(await media.command("call.answer")).toMatchObject({ success: true });
      one.hangUp();
      expect(await media.closed()).toBe(1000);
      expect(media.frames.at(-1)).toEqual({ type: "call_event", data: { event: "call.terminated" } });
      await expect(TestClient.media(callIn)).rejects.toThrow("HTTP 410");
    });
  });

  describe("call flow", () => {
    it("notifies only missed calls with MISSED_ONLY, until its connection is gone", async () => {
      const simulator = await start({ missedRingSeconds: 0.2 });
      const client = await TestClient.control(simulator.url);
      expect(
        await client.request({ type: "call_flow.setup", data: { inboundCall: "MISSED_ONLY" } }),
      ).toMatchObject({ ok: true });
      const taken = simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.05 }) });
      await taken.waitFor("CONNECTED");
      const missed = simulator.placeCall({ callee: callee.never() });
      await client.waitFor("session.notify", ({ sessionId }) => sessionId === missed.session.id);
      expect(client.frames.filter(({ type }) => type === "session.notify").length).toBe(1);
      client.socket.terminate();
      await simulator.waitUntil(() => simulator.connections.length === 0);
      const again = await TestClient.control(simulator.url);
      const call = simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0 }) });
      await again.waitFor("session.notify", ({ sessionId }) => sessionId === call.session.id);
    });

    it("refuses a wrong one", async () => {
      const client = await TestClient.control((await start()).url);
      expect(await client.request({ type: "call_flow.setup", data: { inboundCall: "SOME" } })).toMatchObject({
        errorCode: "INVALID_REQUEST",
      });
    });
  });

  describe("outbound calls", () => {
    it("creates a session once, rings first, then delivers the call", async () => {
      const simulator = await start({ outbound: () => ({ remote: callee.picksUp({ afterSeconds: 0.1 }) }) });
      const client = await TestClient.control(simulator.url);
      const create = { type: "session.create", channel: "TELCO", remoteAddress: "+15550120" };
      const { content } = await client.request(create);
      const { sessionId } = content as { sessionId: string };
      expect(content).toEqual({ sessionId, created: true });
      expect((await client.request(create)).content).toEqual({ sessionId, created: false });
      const callIn = await client.takeCall(sessionId);
      expect(callIn).toMatchObject({ from: DEFAULT_CONNECTOR.localAddress, to: "+15550120" });
      const media = await TestClient.media(callIn);
      expect(await media.command("call.answer")).toMatchObject({ success: true });
    });

    it("closes the session when nobody picks up, or answers the answer so", async () => {
      const outbound = () => ({ remote: callee.rejects(0.05) });
      const first = await start({ outbound });
      const client = await TestClient.control(first.url);
      const create = { type: "session.create", channel: "TELCO", remoteAddress: "+15550120" };
      const { sessionId } = (await client.request(create)).content as { sessionId: string };
      await client.request({ type: "session.open", sessionId });
      client.send({ type: "session.ready", sessionId });
      await client.waitFor("session.closed");
      expect(first.calls[0]?.endReason).toBe("not_picked_up");

      const second = await start({ outbound, outboundCourse: "ring_on_answer" });
      const other = await TestClient.control(second.url);
      const made = (await other.request(create)).content as { sessionId: string };
      const media = await TestClient.media(await other.takeCall(made.sessionId));
      expect(await media.command("call.answer")).toMatchObject({ error_code: "CALL_UNANSWERED" });
    });

    it("knows quotas and channels", async () => {
      const simulator = await start({
        connectors: [{ ...DEFAULT_CONNECTOR, channels: ["TELCO"], maxSessions: 1 }],
      });
      const client = await TestClient.control(simulator.url);
      const create = (channel: string, remoteAddress: string) =>
        client.request({ type: "session.create", channel, remoteAddress });
      expect((await create("WA", "+15550121")).errorCode).toBe("CHANNEL_NOT_CONFIGURED");
      expect((await create("TELCO", "+15550121")).ok).toBe(true);
      expect((await create("TELCO", "+15550122")).errorCode).toBe("QUOTA_EXCEEDED");
      expect((await create("FAX", "+15550122")).errorCode).toBe("INVALID_REQUEST");
    });
  });

  describe("REST", () => {
    async function rest(simulator: Simulator, path: string, init: RequestInit = {}) {
      const response = await fetch(`${simulator.httpUrl}/public/v1${path}`, { headers: HEADERS, ...init });
      return { status: response.status, body: (await response.json()) as Frame };
    }

    it("lists and closes sessions of its connector", async () => {
      const simulator = await start();
      const call = simulator.placeCall({ from: "+15550130" });
      const listed = await rest(simulator, "/sessions?channel=TELCO&remoteAddress=%2B15550130&state=OPEN");
      expect(listed.body.items).toMatchObject([
        { id: call.session.id, state: "OPEN", remoteAddress: "+15550130" },
      ]);
      const closed = await rest(simulator, `/sessions/${call.session.id}/close`, { method: "POST" });
      expect(closed).toMatchObject({ status: 200, body: { reason: "SDK_REQUEST" } });
      expect(call).toMatchObject({ state: "DISCONNECTED", endReason: "rest_closed" });
      expect((await rest(simulator, `/sessions/${call.session.id}/close`, { method: "POST" })).status).toBe(
        404,
      );
      expect((await rest(simulator, "/sessions?state=OPEN")).body.items).toEqual([]);
    });

    it("answers errors with code and message, and 429 when rate limited", async () => {
      const simulator = await start();
      expect(await rest(simulator, "/sessions", { headers: {} })).toMatchObject({
        status: 401,
        body: { code: "UNAUTHORIZED" },
      });
      expect((await rest(simulator, "/nothing")).body).toHaveProperty("message");
      simulator.faults.rateLimit({ count: 2, retryAfterSeconds: 3 });
      const limited = await fetch(`${simulator.httpUrl}/public/v1/sessions`, { headers: HEADERS });
      expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "3"]);
      await expect(TestClient.control(simulator.url)).rejects.toThrow("HTTP 429");
      await TestClient.control(simulator.url);
    });
  });

  describe("orphans", () => {
    async function orphaned(options: SimulatorOptions) {
      const simulator = await start(options);
      const owner = await TestClient.control(simulator.url);
      const other = await TestClient.control(simulator.url);
      const call = simulator.placeCall();
      const media = await TestClient.media(await owner.takeCall(call.session.id));
      await media.command("call.answer");
      owner.socket.terminate();
      media.socket.terminate();
      await call.waitForEvent("orphaned");
      const resumed = () =>
        other.waitFor(
          "session.notify",
          ({ activity, sessionId }) => activity === "RESUME" && sessionId === call.session.id,
        );
      return { simulator, owner, other, call, resumed };
    }

    it("renotifies the others, who can take the call over", async () => {
      const { other, call, resumed } = await orphaned({ orphan: "renotify" });
      await resumed();
      const media = await TestClient.media(await other.takeCall(call.session.id));
      await media.until(() => media.audio.length > 5, "audio");
      expect(await media.command("call.disconnect")).toMatchObject({ success: true });
    });

    it("only lists it", async () => {
      const { simulator, other, call } = await orphaned({ orphan: "list_only" });
      const third = await TestClient.control(simulator.url);
      await passes(simulator, 100);
      for (const client of [other, third])
        expect(client.frames.some(({ activity }) => activity === "RESUME")).toBe(false);
      await other.takeCall(call.session.id);
    });

    it("ends it", async () => {
      const { call } = await orphaned({ orphan: "end_call" });
      await call.waitFor("DISCONNECTED");
      expect(call.endReason).toBe("orphaned");
    });

    it("keeps it busy for a time", async () => {
      const { simulator, other, owner, call, resumed } = await orphaned({
        orphan: { policy: "busy_for", seconds: 0.3 },
      });
      const open = { type: "session.open", sessionId: call.session.id };
      const { smWsId } = await owner.waitFor("setup.done");
      expect(await other.request(open)).toMatchObject({
        errorCode: "SESSION_BUSY",
        errorContent: { boundSmWsId: smWsId },
      });
      // It may be notified while it is still busy; it becomes free after the time given.
      await resumed();
      let answer = await other.request(open);
      while (!answer.ok) answer = await other.request(open);
      const lost = await call.waitForEvent("claim.lost");
      expect(simulator.clock.now() - lost.atMs).toBeGreaterThan(290);
    });

    it("leaves the media connection of a call alone when only the control connection is lost", async () => {
      const simulator = await start({ orphan: "end_call" });
      const owner = await TestClient.control(simulator.url);
      const call = simulator.placeCall();
      const media = await TestClient.media(await owner.takeCall(call.session.id));
      await media.command("call.answer");
      simulator.faults.dropControl({ code: 1013 });
      expect(await owner.closed()).toBe(1013);
      await passes(simulator, 100);
      expect(call).toMatchObject({ state: "ANSWERED", mediaConnected: true });
      const again = await TestClient.control(simulator.url);
      await again.waitFor("session.notify", ({ activity }) => activity === "RESUME");
      const callIn = await again.takeCall(call.session.id);
      expect(callIn.callId).toBe(call.id);
      const second = await TestClient.media(callIn);
      expect(await media.closed()).toBe(4000);
      expect(await second.command("call.disconnect")).toMatchObject({ success: true });
    });
  });

  describe("faults of the control connection", () => {
    it("swallows, delays and refuses answers", async () => {
      const simulator = await start();
      const client = await TestClient.control(simulator.url);
      const call = simulator.placeCall();
      simulator.faults.onControlResponse({ type: "session.open", swallow: true });
      client.send({ type: "session.open", sessionId: call.session.id, reqId: "lost" });
      simulator.faults.onControlResponse({ type: "call_flow.setup", errorCode: "QUOTA_EXCEEDED" });
      expect(await client.request({ type: "call_flow.setup", data: { inboundCall: "ALL" } })).toMatchObject({
        errorCode: "QUOTA_EXCEEDED",
      });
      expect(client.frames.some(({ reqId }) => reqId === "lost")).toBe(false);
      expect(call.session.boundTo).toBeDefined();
      simulator.faults.onControlResponse({ delayMs: 100 });
      const before = performance.now();
      await client.request({ type: "session.open", sessionId: call.session.id });
      expect(performance.now() - before).toBeGreaterThan(90);
    });

    it("refuses connections for a time, delays setup, repeats, reorders and garbles events", async () => {
      const simulator = await start();
      simulator.faults.refuseControl({ body: "maintenance" });
      await expect(TestClient.control(simulator.url)).rejects.toThrow("HTTP 503: maintenance");
      simulator.faults.acceptControl();
      simulator.faults.setupDelayMs = 50;
      const client = await TestClient.control(simulator.url);
      simulator.faults.duplicateControlEvents();
      const first = simulator.placeCall();
      const of = (id: string) => client.frames.filter((frame) => frame.sessionId === id);
      await client.until(() => of(first.session.id).length === 2, "two notifications");
      simulator.faults.reorderControlEvents(2);
      const second = simulator.placeCall();
      const third = simulator.placeCall();
      await client.until(() => of(second.session.id).length === 1, "notifications");
      expect(client.frames.slice(-2).map(({ sessionId }) => sessionId)).toEqual([
        third.session.id,
        second.session.id,
      ]);
      simulator.faults.sendMalformedControl("not_json");
      await client.waitFor("malformed");
    });

    it("freezes: open, but silent", async () => {
      const simulator = await start();
      const client = await TestClient.control(simulator.url);
      simulator.faults.freezeControl(300);
      let ponged = 0;
      client.socket.on("pong", () => {
        ponged = performance.now();
      });
      const pinged = performance.now();
      client.socket.ping();
      await simulator.waitUntil(() => ponged > 0);
      expect(ponged - pinged).toBeGreaterThan(250);
    });
  });

  it("serves the CLI's API only when asked to, and not to browsers", async () => {
    const closed = await start();
    expect((await fetch(`${closed.httpUrl}/simulator/v1/status`)).status).toBe(404);
    const simulator = await start({ adminApi: true });
    const post = (body: unknown, headers = {}) =>
      fetch(`${simulator.httpUrl}/simulator/v1/calls`, {
        method: "POST",
        body: JSON.stringify(body),
        headers,
      });
    expect((await post({}, { origin: "https://example.org" })).status).toBe(403);
    expect((await post({ callee: ["dances"] })).status).toBe(400);
    const placed = (await (await post({ from: "+15550140", patienceSeconds: 0.1 })).json()) as { id: string };
    await simulator.calls[0]?.waitFor("DISCONNECTED");
    const report = (await (
      await fetch(`${simulator.httpUrl}/simulator/v1/calls/${placed.id}`)
    ).json()) as Frame;
    expect(report).toMatchObject({ state: "DISCONNECTED", endReason: "caller_hung_up" });
    const wav = await fetch(`${simulator.httpUrl}/simulator/v1/calls/${placed.id}/recording/caller.wav`);
    expect(wav.headers.get("content-type")).toBe("audio/wav");
  });
});
