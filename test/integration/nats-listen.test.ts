import { ListenCallResponse } from "@callweave/proto";
import type { NatsConnection } from "nats";
import { describe, expect, it } from "vitest";
import { FakeApi, snapshot } from "../../gateway/src/contract/testing.js";
import { natsAvailable } from "../harness/nats.js";
import { until } from "../harness/until.js";
import { ask, outsider, server, wire } from "./nats-harness.js";

const available = await natsAvailable();
const listen = (nc: NatsConnection, body: object = {}) =>
  ask(nc, "callweave.default.rpc.ListenCall", { callId: "c-1", ...body });
const PCM = new Uint8Array(320);

function follow(nc: NatsConnection, subject = "callweave.default.calls.c-1.audio.>") {
  const heard: ListenCallResponse[] = [];
  nc.subscribe(subject, {
    callback: (_error, message) => heard.push(ListenCallResponse.decode(message.data)),
  });
  return { heard, kinds: () => heard.map(({ item }) => item?.$case) };
}

describe.skipIf(!available)("audio on demand", () => {
  it("ends with the lease of the last request", async () => {
    const at = await server();
    const { api, wire: made } = await wire(at, { listenLeaseMs: 1_500 });
    const nc = await outsider(at);
    const { kinds } = follow(nc);
    await listen(nc);
    const began = performance.now();
    for (let i = 0; i < 6; i++) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect((await listen(nc)).body.lease).toBe("1.500s");
    }
    expect(performance.now() - began).toBeGreaterThan(1_500);
    expect(api.listeners).toHaveLength(1);
    expect(api.listeners[0]?.stopped).toBe(false);
    api.listeners[0]?.listener.audio(0, 160, PCM);
    await until(() => kinds().includes("audio"), "audio");
    await until(() => api.listeners[0]?.stopped, "the end of the lease");
    expect(made.stats.audioPublishers).toBe(0);
    await listen(nc);
    expect(api.listeners).toHaveLength(2);
  });

  it("comes from the gateway of the call alone, whichever is asked", async () => {
    const at = await server();
    const [first, second] = [new FakeApi(), new FakeApi()];
    for (const api of [first, second]) api.calls_ = [snapshot({ gatewayId: "g-2" })];
    await wire(at, { api: first, gatewayId: "g-1" });
    const { wire: owner, bus: owned } = await wire(at, { api: second, gatewayId: "g-2" });
    const nc = await outsider(at);
    for (let i = 0; i < 8; i++)
      expect((await listen(nc)).body.subject).toBe("callweave.default.calls.c-1.audio.MIXED");
    expect([first.listeners.length, second.listeners.length]).toEqual([0, 1]);
    second.calls.listen = () => Promise.reject(new Error("secret"));
    for (let i = 0; i < 8; i++) {
      const { code, body } = await listen(nc, { source: "AUDIO_SOURCE_AGENT" });
      expect(code).toBe(13);
      expect(JSON.stringify(body)).not.toContain("secret");
    }
    owner.stop();
    // Until the server knows, it may still give a request to the one that is gone.
    await owned.flush();
    expect((await listen(nc)).body.reason).toBe("ERROR_REASON_CALL_OWNER_AWAY");
  });

  it("is bounded, and drops its oldest while NATS is away", async () => {
    const at = await server();
    const { api, wire: made, bus } = await wire(at, { maxAudioPublishers: 1, maxListenMs: 100 });
    const nc = await outsider(at, { maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const { heard, kinds } = follow(nc);
    await listen(nc);
    expect((await listen(nc, { source: "AUDIO_SOURCE_AGENT" })).body.metadata).toMatchObject({
      limit: "max_audio_publishers",
    });
    await until(() => kinds().includes("started"), "the start");
    await at.kill();
    await until(() => !bus.connected, "the loss to be seen");
    const listener = api.listeners[0]?.listener;
    for (let i = 0; i < 100; i++) listener?.audio(i * 160, 160, PCM);
    await at.restart();
    const there = () =>
      nc.flush().then(
        () => true,
        () => false,
      );
    await until(async () => bus.connected && (await there()), "both to be back");
    for (let i = 100; i < 110; i++) listener?.audio(i * 160, 160, PCM);
    await until(() => kinds().includes("gap"), "the gap to be told", 20_000);
    await until(() => {
      const last = heard.at(-1)?.item;
      return last?.$case === "audio" && last.value.position === 109 * 160;
    }, "the newest audio");
    listener?.ended("TERMINATED");
    await until(() => made.stats.audioPublishers === 0, "the end");
    expect(made.stats.droppedAudioMs).toBeGreaterThan(500);
  });
});
