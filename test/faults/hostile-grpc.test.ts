import { once } from "node:events";
import { constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../harness/gateway.js";
import { flood, framed, http2Frame, rawCall, rawPeer, rawSession } from "../harness/raw-http2.js";
import { Rig } from "../harness/rig.js";
import { type Served, startServed } from "../harness/served.js";
import { startWitness, WITNESS_CONFIG, type Witness } from "../harness/witness.js";

const GET_CALL = "/callweave.v1.CallService/GetCall";
const SERVE = "/callweave.v1.AgentService/Serve";
/** GetCallRequest{call_id: "none"}. */
const NO_CALL = Buffer.from("0a046e6f6e65", "hex");
const MAX_CONNECTIONS = 200;
/** Zeros; a thousandth of that on the wire. */
const BOMB_BYTES = 100 * 1024 * 1024;
/** More memory than this no peer may cost, MiB; the floods here are 50 to 200 MB. */
const MEMORY_MIB = 60;

const rig = new Rig();
let served: Served;
let witness: Witness;

beforeAll(async () => {
  served = await startServed(rig, {
    config: {
      ...WITNESS_CONFIG,
      gateway: {
        grpc: {
          max_connections: MAX_CONNECTIONS,
          max_concurrent_streams: 100,
          keepalive_time_ms: 1_000,
          keepalive_timeout_ms: 2_000,
        },
      },
    },
  });
  witness = await startWitness(rig, served);
});

afterAll(() => rig.stopAll());

/** The gateway lives, answers somebody else, and the call that nobody attacked has every frame. */
async function nobodyNoticed(): Promise<void> {
  expect(served.child.running).toBe(true);
  const session = await rawSession(served.port);
  expect((await rawCall(session, GET_CALL, framed(NO_CALL))).status).toBe(status.NOT_FOUND);
  session.destroy();
  expect(await witness.missing()).toEqual([]);
  const wrong = served.child.lines.filter(({ msg }) => msg === "unexpected error");
  expect(wrong.slice(0, 3)).toEqual([]);
}

describe("hostile peers on the port of gRPC", () => {
  it("messages too large, announced too large, or no protobuf: that RPC alone (fault 26, fault 30)", async () => {
    const session = await rawSession(served.port);
    const [large, announced, malformed, text, good] = await Promise.all([
      rawCall(session, GET_CALL, framed(Buffer.alloc(5 * 1024 * 1024))),
      rawCall(session, GET_CALL, framed(NO_CALL, { announced: 0xffff_ffff })),
      rawCall(session, GET_CALL, framed(Buffer.from("0aff", "hex"))),
      rawCall(session, GET_CALL, framed(Buffer.from("GET / HTTP/1.1\r\n\r\n"))),
      rawCall(session, GET_CALL, framed(NO_CALL)),
    ]);
    expect(large?.status).toBe(status.RESOURCE_EXHAUSTED);
    expect(announced?.status).toBe(status.RESOURCE_EXHAUSTED);
    expect(malformed?.status).toBe(status.INVALID_ARGUMENT);
    expect(text?.status).toBe(status.INVALID_ARGUMENT);
    expect(good?.status).toBe(status.NOT_FOUND);
    // The connection lives on.
    expect((await rawCall(session, GET_CALL, framed(NO_CALL))).status).toBe(status.NOT_FOUND);
    session.destroy();
    await nobodyNoticed();
  });

  it("a gzip of zeros: refused, and the memory stays (fault 27)", async () => {
    const bomb = framed(await promisify(gzip)(Buffer.alloc(BOMB_BYTES)), { compressed: true });
    expect(bomb.length).toBeLessThan(BOMB_BYTES / 500);
    const before = served.peakMib();
    const session = await rawSession(served.port);
    const headers = { "grpc-encoding": "gzip" };
    for (const path of [GET_CALL, SERVE, GET_CALL, SERVE]) {
      expect((await rawCall(session, path, bomb, headers)).status, path).toBe(status.RESOURCE_EXHAUSTED);
    }
    expect(served.peakMib() - before).toBeLessThan(MEMORY_MIB);
    expect((await rawCall(session, GET_CALL, framed(NO_CALL))).status).toBe(status.NOT_FOUND);
    session.destroy();
    await nobodyNoticed();
  });

  it("streams opened and reset at once, by the thousand (fault 45)", async () => {
    const before = served.peakMib();
    let opened = 0;
    for (let round = 0; round < 4; round++) {
      const session = await rawSession(served.port);
      for (let i = 0; i < 5_000 && !session.closed && !session.destroyed; i++) {
        const stream = session.request({
          ":method": "POST",
          ":path": SERVE,
          "content-type": "application/grpc",
        });
        stream.on("error", () => {});
        stream.close(constants.NGHTTP2_CANCEL);
        opened++;
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      session.destroy();
    }
    expect(opened).toBeGreaterThan(1_000);
    await nobodyNoticed();
    expect(served.peakMib() - before).toBeLessThan(MEMORY_MIB);
  });

  it("pings, settings and headers without end (fault 45)", async () => {
    const before = served.peakMib();
    const times = (count: number, frame: Buffer) => Buffer.concat(Array.from({ length: count }, () => frame));
    const ping = http2Frame(6, 0, 0, Buffer.alloc(8));
    const settings = http2Frame(4, 0, 0, Buffer.from("000300000064", "hex"));
    const priority = http2Frame(2, 0, 1, Buffer.from("0000000010", "hex"));
    for (const piece of [times(500, ping), times(500, settings), times(500, priority)]) {
      const peer = await rawPeer(served.port);
      await flood(peer, piece, 100);
      peer.destroy();
    }
    // HEADERS without END_HEADERS, then CONTINUATION frames that never are the last: 16 KiB each, up to 48 MiB.
    const endless = await rawPeer(served.port);
    endless.write(http2Frame(1, 0, 1, Buffer.from("828684", "hex")));
    // A literal header "a" of 100 bytes.
    const header = Buffer.concat([Buffer.from([0x00, 0x01, 0x61, 0x64]), Buffer.alloc(100, 0x62)]);
    const sent = await flood(endless, http2Frame(9, 0, 1, times(150, header)), 3_000);
    await until(() => endless.destroyed, "the end of the connection");
    expect(sent).toBeLessThan(3_000);
    await nobodyNoticed();
    expect(served.peakMib() - before).toBeLessThan(MEMORY_MIB);
  });

  it("connections that say nothing, up to the limit and beyond (fault 46, fault 47)", async () => {
    const sockets: Socket[] = [];
    const open = async () => {
      const socket = connect(served.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      sockets.push(socket);
      await once(socket, "connect");
    };
    for (let i = 0; i < MAX_CONNECTIONS + 50; i++) await open();
    // Beyond the limit (the witness's agent has one): closed at once.
    await until(() => sockets.filter(({ destroyed }) => destroyed).length >= 51, "those beyond the limit");
    // One of them sends the preface byte by byte; none of them answers a ping.
    const slow = sockets.find(({ destroyed }) => !destroyed);
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let at = 0;
    const drip = setInterval(() => slow?.write(preface.charAt(at++) || "x"), 200);
    await until(() => sockets.every(({ destroyed }) => destroyed), "all that are silent", 20_000);
    clearInterval(drip);
    await nobodyNoticed();
  });
});
