import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../util/clock.js";
import type { PlaybackSource } from "../telephony.js";
import { TelcoflowCounters } from "./counters.js";
import { FakeProvider, until } from "./fake-provider.js";
import type { Logger } from "./logger.js";
import { MediaConnection, type MediaHandler } from "./media-connection.js";
import type { TelcoflowLimits } from "./options.js";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** So many bytes that count up. */
class CountingPlayback implements PlaybackSource {
  readBytes = 0;
  flush = false;
  constructor(public total: number) {}
  available(): number {
    return this.total - this.readBytes;
  }
  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const bytes = Math.min(maxBytes, this.available());
    for (let i = 0; i < bytes; i++) target[offset + i] = (this.readBytes + i) & 0xff;
    this.readBytes += bytes;
    return bytes;
  }
  flushTail(): boolean {
    return this.flush;
  }
}

async function open(
  playback: PlaybackSource,
  limits: Partial<TelcoflowLimits> = {},
  handler: Partial<MediaHandler> = {},
) {
  const fake = await FakeProvider.start();
  stops.push(() => fake.stop());
  const counters = new TelcoflowCounters();
  const lines: string[] = [];
  const write = (fields: object, message: string) => void lines.push(message + JSON.stringify(fields));
  const log: Logger = { debug: write, info: write, warn: write, error: write };
  let opened = () => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const media = new MediaConnection(
    { url: `${fake.url}/media`, token: "t-secret" },
    fake.settings(limits),
    systemClock,
    counters,
    log,
    playback,
    {
      onOpen: opened,
      onAudio: () => {},
      onTerminated: () => {},
      onCallError: () => {},
      onEnd: () => {},
      ...handler,
    },
  );
  stops.push(async () => media.close());
  await isOpen;
  await until(() => fake.sockets.length === 1, "the connection");
  const ask = (bytes: number, prefer = 960) =>
    fake.sockets[0]?.send(
      JSON.stringify({
        type: "buffer_request",
        data: { requested_bytes: bytes, prefer_audio_frame_bytes: prefer, channelId: 0 },
      }),
    );
  return { fake, media, counters, lines, ask };
}

describe("MediaConnection / agent audio", () => {
  it("reads nothing before it is asked", async () => {
    const playback = new CountingPlayback(10_000);
    const { media, ask, fake } = await open(playback);
    media.audioReady();
    expect(playback.readBytes).toBe(0);
    ask(2000);
    await until(() => fake.binary.length === 1, "the frame");
    expect(fake.binary[0]?.length).toBe(2001);
    expect(fake.binary[0]?.[0]).toBe(0);
    expect(playback.readBytes).toBe(2000);
  });

  it("bounds each frame by time at the rate of the call", async () => {
    const { ask, fake } = await open(new CountingPlayback(20_000), { maxFrameMs: 100 });
    ask(7000);
    await until(() => fake.binary.length === 3, "three frames");
    expect(fake.binary.map((frame) => frame.length - 1)).toEqual([3200, 3200, 600]);
  });

  it("stops reading while the socket is full, and goes on when it is not", async () => {
    const total = 16 * 1024 * 1024;
    const playback = new CountingPlayback(total);
    const { ask, fake, counters } = await open(playback, {
      maxCreditBytes: total,
      maxSendBufferBytes: 32 * 1024,
    });
    // The provider stops reading; what the kernel takes is bounded.
    fake.sockets[0]?.pause();
    ask(total);
    await until(() => counters.sendStalls > 0, "the first stall");
    let before = -1;
    await until(() => {
      const still = playback.readBytes === before;
      before = playback.readBytes;
      return still && before > 0;
    }, "standstill");
    expect(playback.readBytes).toBeLessThan(total);
    fake.sockets[0]?.resume();
    await until(() => playback.readBytes === total, "the rest");
    await until(() => sum(fake.binary) === total, "all at the provider");
    const got = Buffer.concat(fake.binary.map((frame) => frame.subarray(1)));
    expect(got.every((byte, i) => byte === (i & 0xff))).toBe(true);
  });

  it("survives a source that gives less than it said", async () => {
    const source: PlaybackSource = { available: () => 2000, read: () => 0, flushTail: () => false };
    const { ask, counters, media } = await open(source);
    ask(2000);
    ask(2000);
    await until(() => media.outstandingBytes === 4000, "the credit");
    expect(counters.audioFramesOut).toBe(0);
  });
});

describe("MediaConnection / commands and errors", () => {
  it("settles what waits when the connection ends: close succeeded, answer is unknown", async () => {
    const { media, fake } = await open(new CountingPlayback(0));
    const closing = media.command("call.close", 5000);
    const answering = media.command("call.answer", 5000).catch((error: unknown) => error);
    await until(() => fake.received.length === 2, "both commands");
    fake.sockets[0]?.terminate();
    await closing;
    expect(await answering).toMatchObject({ kind: "unknown" });
    await expect(media.command("call.answer", 5000)).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("limits commands without an answer", async () => {
    const { media } = await open(new CountingPlayback(0), { maxPendingCommands: 1 });
    void media.command("agent.spy", 60_000).catch(() => {});
    await expect(media.command("agent.spy", 60_000)).rejects.toMatchObject({ kind: "unavailable" });
  });

  it("survives handlers that throw, and keeps tokens and numbers out of the log (fault 54)", async () => {
    const boom = () => {
      throw new Error("boom");
    };
    const { fake, counters, lines } = await open(
      new CountingPlayback(0),
      {},
      { onAudio: boom, onCallError: boom },
    );
    fake.sockets[0]?.send(Buffer.from([0, 1, 2]));
    fake.sockets[0]?.send('{"type":"call_event","data":{"event":"call.error"}}');
    fake.sockets[0]?.send("not json with t-secret and +15550123 in it");
    await until(() => counters.badFrames === 1, "the bad frame");
    expect(counters.handlerErrors).toBe(2);
    expect(lines.join()).not.toMatch(/t-secret|15550123/);
  });
});

function sum(frames: readonly Buffer[]): number {
  return frames.reduce((total, frame) => total + frame.length - 1, 0);
}
