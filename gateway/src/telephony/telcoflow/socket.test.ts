import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../util/clock.js";
import { TelcoflowCounters } from "./counters.js";
import { FakeProvider, until } from "./fake-provider.js";
import { ProviderSocket, type SocketEnd, type SocketOptions } from "./socket.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A socket of ours at a provider, and all that it told, in order. */
async function connected(options: Partial<SocketOptions> = {}) {
  const fake = await FakeProvider.start();
  stops.push(() => fake.stop());
  const heard: string[] = [];
  let opened = false;
  let end: SocketEnd | undefined;
  const socket = new ProviderSocket(
    {
      url: `${fake.url}/media`,
      headers: {},
      tls: {},
      handshakeTimeoutMs: 5_000,
      pingMs: 60_000,
      pongTimeoutMs: 5_000,
      closeTimeoutMs: 1_000,
      maxPayloadBytes: 4_096,
      maxFragments: 16,
      maxBufferedChunks: 64,
      ...options,
    },
    systemClock,
    new TelcoflowCounters(),
    {
      onOpen: () => {
        opened = true;
      },
      onText: (text) => heard.push(text),
      onBinary: (bytes, start, at) => heard.push(bytes.toString("hex", start, at)),
      onEnd: (told) => {
        end = told;
      },
    },
  );
  stops.push(() => socket.terminate("TEST"));
  await until(() => opened && fake.sockets.length === 1, "the connection");
  const [peer] = fake.sockets;
  if (!peer) throw new Error("no peer");
  return { fake, socket, peer, heard, ended: () => end };
}

describe("ProviderSocket", () => {
  it("hears text and binary messages in the order they were sent, whatever way they come", async () => {
    const { peer, heard } = await connected();
    const expected: string[] = [];
    for (let n = 0; n < 2_000; n++) {
      if (n % 7 === 3) {
        peer.send(`text ${n}`);
        expected.push(`text ${n}`);
      } else {
        // Small, larger than what is read at once in sum, and now and then in two frames.
        const message = Buffer.alloc(n % 5 === 0 ? 4_000 : 33, n & 0xff);
        if (n % 11 === 0) {
          peer.send(message.subarray(0, 20), { fin: false });
          peer.send(message.subarray(20), { fin: true });
        } else peer.send(message);
        expected.push(message.toString("hex"));
      }
      if (n % 50 === 0) peer.ping();
      if (n % 400 === 0) await new Promise(setImmediate);
    }
    await until(() => heard.length === expected.length, "all of it");
    expect(heard).toEqual(expected);
  });

  it("sends text and binary messages in the order they were given", async () => {
    const { fake, socket } = await connected();
    const got: string[] = [];
    fake.sockets[0]?.removeAllListeners("message");
    fake.sockets[0]?.on("message", (data: Buffer, isBinary) =>
      got.push(isBinary ? data.toString("hex") : data.toString()),
    );
    const memory = Buffer.alloc(70_000);
    const expected: string[] = [];
    for (const [n, length] of [0, 1, 125, 126, 961, 65_535, 65_536, 70_000, 3].entries()) {
      memory.fill(n + 1);
      socket.sendBinary(memory, length);
      expected.push(memory.toString("hex", 0, length));
      socket.send(`text ${n}`);
      expected.push(`text ${n}`);
    }
    // The memory is whose it was.
    memory.fill(0);
    await until(() => got.length === expected.length, "all of it");
    expect(got).toEqual(expected);
  });

  it("tells how much waits, and when the network has taken it", async () => {
    const { socket, peer } = await connected();
    peer.pause();
    const memory = Buffer.alloc(65_000);
    let taken = 0;
    let given = 0;
    while (socket.bufferedAmount < 1_000_000 && given < 1_000) {
      socket.sendBinary(memory, memory.length, () => taken++);
      given++;
    }
    expect(socket.bufferedAmount).toBeGreaterThanOrEqual(1_000_000);
    expect(taken).toBeLessThan(given);
    peer.resume();
    await until(() => taken === given, "the network to take all");
    expect(socket.bufferedAmount).toBe(0);
  });

  it("ends at a message that is larger than the limit, and hears nothing behind it", async () => {
    const { peer, heard, ended } = await connected();
    peer.send(Buffer.alloc(4_096, 1));
    peer.send(Buffer.alloc(4_097, 2));
    peer.send(Buffer.alloc(10, 3));
    await until(() => ended() !== undefined, "the end");
    expect(heard).toEqual([Buffer.alloc(4_096, 1).toString("hex")]);
    expect(ended()).toMatchObject({ detail: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", opened: true });
  });

  it("hears nothing behind a close, and drops what is sent after the end", async () => {
    const { socket, peer, heard, ended } = await connected();
    peer.send(Buffer.from([1]));
    peer.close(4001, "elsewhere");
    await until(() => ended() !== undefined, "the end");
    expect(heard).toEqual(["01"]);
    expect(ended()).toMatchObject({ code: 4001, text: "elsewhere" });
    expect(socket.sendBinary(Buffer.alloc(4), 4)).toBe(false);
    expect(socket.send("late")).toBe(false);
  });
});
