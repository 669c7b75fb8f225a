import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import { stored } from "../../gateway/src/contract/testing.js";
import { register, serve, start } from "./grpc-harness.js";
import { until } from "./grpc-until.js";

describe("gRPC edge / watching and listening", () => {
  it("sends events until the client cancels, and no faster than they are read", async () => {
    const { client, v1, api } = await start();
    let asked = 0;
    let aborted = false;
    api.watchItems = async function* (cursor, filter, signal) {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      expect(cursor).toBe("k-0");
      expect(filter).toEqual({ callIds: ["c-1"], pools: [] });
      yield { live: { cursor: "k-1" } };
      while (!signal.aborted) {
        asked++;
        yield { event: stored({ type: "noteSent", actor: "x".repeat(4000), delivered: true }, asked) };
      }
    };
    const watch = client(v1.CallService).WatchCalls({ cursor: "k-0", filter: { call_ids: ["c-1"] } });
    watch.on("error", () => {});
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const got: any[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: see above
    watch.on("data", (item: any) => got.push(item));
    // A grpc-js client that never read anything buffers without bound; one that stopped reading pushes back.
    await until(() => got.length > 0);
    watch.pause();
    let last = -1;
    await until(() => {
      const still = asked === last;
      last = asked;
      return still;
    }, 50);
    expect(asked).toBeLessThan(3_000);
    watch.resume();
    await until(() => got.length > 5_000);
    expect(got[0].live.cursor).toBe("k-1");
    expect(got.slice(1).every((item, i) => item.event.sequence === i + 1)).toBe(true);
    watch.cancel();
    await until(() => aborted);
  });

  it("sends events in order however little goes out at a time, and what came before the end of the watch", async () => {
    const { client, v1, api } = await start({ watchBundleBytes: 1 });
    api.watchItems = async function* () {
      for (let n = 1; n <= 300; n++) yield { event: stored({ type: "answered" }, n) };
      throw new CallError("GOING_AWAY", "the gateway is going away");
    };
    const watch = client(v1.CallService).WatchCalls({});
    const got: number[] = [];
    watch.on("data", ({ event }: { event: { sequence: number } }) => got.push(event.sequence));
    const [error] = await once(watch, "error");
    expect(error.code).toBe(grpc.status.UNAVAILABLE);
    expect(got).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  });

  it("ends a watch with the error of the store", async () => {
    const { client, v1, api } = await start();
    api.watchItems = () => {
      throw new CallError("CURSOR_EXPIRED", "the cursor is too old", { oldest: "k-9" });
    };
    const watch = client(v1.CallService).WatchCalls({ cursor: "k-1" });
    const [error] = await once(watch, "error");
    expect(error.code).toBe(grpc.status.OUT_OF_RANGE);
    expect(decodeStatusDetails(error.metadata.get(STATUS_DETAILS_KEY)[0]).errorInfo?.metadata.oldest).toBe(
      "k-9",
    );
  });

  it("lets a client hear a call", async () => {
    const { client, v1, api } = await start();
    const listen = client(v1.CallService).ListenCall({
      call_id: "c-1",
      format: { encoding: "AUDIO_ENCODING_MULAW" },
    });
    // biome-ignore lint/suspicious/noExplicitAny: see above
    const got: any[] = [];
    // biome-ignore lint/suspicious/noExplicitAny: see above
    listen.on("data", (item: any) => got.push(item));
    await until(() => got.length === 1);
    expect(got[0].started).toEqual({ encoding: "AUDIO_ENCODING_MULAW", sample_rate_hertz: 8000 });
    api.listeners[0]?.listener.audio(160, 160, new Uint8Array(160));
    api.listeners[0]?.listener.ended("LEFT_TO_PARTIES");
    await once(listen, "end");
    expect(got[1].audio).toMatchObject({ sequence: 1, position: 160 });
    expect(got[2].ended).toBe("END_REASON_LEFT_TO_PARTIES");
    await until(() => api.listeners[0]?.stopped === true);
    const cancelled = client(v1.CallService).ListenCall({ call_id: "c-1" });
    cancelled.on("error", () => {});
    await until(() => api.listeners.length === 2);
    cancelled.cancel();
    await until(() => api.listeners[1]?.stopped === true);
    const missing = client(v1.CallService).ListenCall({ call_id: "none" });
    const [error] = await once(missing, "error");
    expect(error.code).toBe(grpc.status.NOT_FOUND);
  });
});

describe("gRPC edge / connections", () => {
  it("takes gzip and refuses other encodings (fault 27)", async () => {
    const { port } = await start();
    const send = async (encoding: string, compress: (bytes: Buffer) => Buffer) => {
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const request = session.request({
        ":method": "POST",
        ":path": "/callweave.v1.CallService/GetCall",
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-encoding": encoding,
      });
      let headers: Record<string, unknown> = {};
      let trailers: Record<string, unknown> = {};
      request.on("response", (got) => {
        headers = got;
      });
      request.on("trailers", (got) => {
        trailers = got;
      });
      const body = compress(Buffer.from("0a03632d31", "hex"));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt8(1, 0);
      prefix.writeUInt32BE(body.length, 1);
      request.end(Buffer.concat([prefix, body]));
      request.resume();
      await once(request, "close");
      session.close();
      return {
        status: trailers["grpc-status"] ?? headers["grpc-status"],
        accept: headers["grpc-accept-encoding"],
      };
    };
    expect(await send("gzip", gzipSync)).toEqual({ status: "0", accept: "identity,gzip" });
    expect((await send("deflate", deflateSync)).status).toBe(String(grpc.status.UNIMPLEMENTED));
  });

  it("closes connections above the limit (fault 46)", async () => {
    const { port, edge } = await start({ maxConnections: 1 });
    const first = connectHttp2(`http://127.0.0.1:${port}`);
    await until(() => edge.connections === 1);
    const second = connectHttp2(`http://127.0.0.1:${port}`);
    second.on("error", () => {});
    await once(second, "close");
    expect(edge.connections).toBe(1);
    first.destroy();
    await until(() => edge.connections === 0);
  });

  it("drops a connection that says nothing or answers no ping (fault 46)", async () => {
    const { port, edge } = await start({ keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
    const silent = connectTcp(port, "127.0.0.1");
    silent.on("error", () => {});
    silent.resume();
    await until(() => edge.connections === 1);
    await until(() => edge.connections === 0);
    await until(() => silent.destroyed);
  });

  it("drains: watchers are sent away, agents may finish, what is left is cut", async () => {
    const { client, v1, api, edge } = await start();
    api.watchItems = async function* (_cursor, _filter, signal) {
      yield { live: { cursor: "k-1" } };
      await once(signal, "abort");
    };
    const watch = client(v1.CallService).WatchCalls({});
    watch.on("data", () => {});
    const gone = once(watch, "error");
    const finishing = serve(client(v1.AgentService));
    finishing.send(register);
    await until(() => finishing.items.length === 1);
    const finisher = api.agents.stream;
    const staying = serve(client(v1.AgentService));
    staying.send(register);
    await until(() => staying.items.length === 1);
    const drained = edge.drain(500);
    expect((await gone)[0]).toMatchObject({ code: grpc.status.UNAVAILABLE });
    finisher?.end();
    expect((await finishing.end).code).toBe(grpc.status.OK);
    await drained;
    expect((await staying.end).code).not.toBe(grpc.status.OK);
    await until(() => edge.connections === 0 && api.agents.handler.lostCount === 2);
  });
});
