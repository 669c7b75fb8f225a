import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ticketOf } from "../desk/wire-client.js";
import { until } from "../harness/gateway.js";
import { flood } from "../harness/raw-http2.js";
import { frameHead, rawWebSocket } from "../harness/raw-websocket.js";
import { Rig } from "../harness/rig.js";
import { type Served, startServed } from "../harness/served.js";
import { startWitness, WITNESS_CONFIG, type Witness } from "../harness/witness.js";

/** Browsers at a time; sockets are twice that and 64. */
const MAX_BROWSERS = 20;
const MAX_SOCKETS = 2 * MAX_BROWSERS + 64;
const MEMORY_MIB = 60;

const rig = new Rig();
let served: Served;
let witness: Witness;

beforeAll(async () => {
  served = await startServed(rig, {
    config: { ...WITNESS_CONFIG, desk: { max_connections: MAX_BROWSERS } },
  });
  witness = await startWitness(rig, served);
});

afterAll(() => rig.stopAll());

/** The gateway lives, its pages are there, and the call that nobody attacked has every frame. */
async function nobodyNoticed(): Promise<void> {
  expect(served.child.running).toBe(true);
  await ticketOf(served.deskPort);
  expect(await witness.missing()).toEqual([]);
  expect(served.child.lines.filter(({ msg }) => msg === "unexpected error")).toEqual([]);
}

async function browser() {
  const ticket = await ticketOf(served.deskPort);
  return rawWebSocket(served.deskPort, "/api/socket", ["callweave.v1", `ticket.${ticket}`]);
}

async function silentSocket(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

describe("hostile peers on the ports of HTTP", () => {
  it("tiny fragments without end, and a frame that announces gigabytes (fault 28)", async () => {
    const before = served.peakMib();
    const piece = Buffer.concat([frameHead(0, false, 1), Buffer.from([1])]);
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => piece));
    const tiny = await browser();
    tiny.socket.write(Buffer.concat([frameHead(2, false, 1), Buffer.from([1])]));
    const sent = await flood(tiny.socket, many, 1_000);
    expect(await tiny.closed).toBe(1008);
    expect(sent).toBeLessThan(1_000);
    const huge = await browser();
    huge.socket.write(frameHead(2, true, 4 * 2 ** 30));
    expect(await huge.closed).toBe(1009);
    // Fragments that are each small enough and together too large.
    const sum = await browser();
    sum.socket.write(Buffer.concat([frameHead(2, false, 65_536), Buffer.alloc(65_536)]));
    const next = Buffer.concat([frameHead(0, false, 65_536), Buffer.alloc(65_536)]);
    await flood(sum.socket, next, 100);
    expect(await sum.closed).toBe(1009);
    expect(served.peakMib() - before).toBeLessThan(MEMORY_MIB);
    await nobodyNoticed();
  });

  it("headers that never end, on the desk and on the port of operations (fault 47)", async () => {
    const dripping = await Promise.all(
      [served.deskPort, served.opsPort].map(async (port) => {
        const socket = await silentSocket(port);
        socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`);
        return { socket, silent: await silentSocket(port) };
      }),
    );
    const drip = setInterval(() => {
      for (const { socket } of dripping) if (!socket.destroyed) socket.write("X-Slow: 1\r\n");
    }, 250);
    try {
      const all = dripping.flatMap(({ socket, silent }) => [socket, silent]);
      await until(() => all.every(({ destroyed }) => destroyed), "the end of those that are slow", 25_000);
    } finally {
      clearInterval(drip);
    }
    await nobodyNoticed();
  });

  it("connections beyond the limit are closed (fault 46)", async () => {
    const sockets: Socket[] = [];
    for (let i = 0; i < MAX_SOCKETS + 20; i++) sockets.push(await silentSocket(served.deskPort));
    await until(() => sockets.filter(({ destroyed }) => destroyed).length >= 20, "those beyond the limit");
    for (const socket of sockets) socket.destroy();
    await until(
      () =>
        ticketOf(served.deskPort).then(
          () => true,
          () => false,
        ),
      "a page that gets in again",
    );
    await nobodyNoticed();
  });
});
