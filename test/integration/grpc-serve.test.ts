import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { CallError } from "../../gateway/src/call/call-error.js";
import { snapshot } from "../../gateway/src/contract/testing.js";
import { collectAll } from "../../gateway/src/ops/heap-growth.js";
import { register, serve, start } from "./grpc-harness.js";
import { until } from "./grpc-until.js";

describe("gRPC edge / Serve", () => {
  it("begins a session and passes items both ways, in order", async () => {
    const { client, v1, api } = await start();
    const { stream, items, end, send } = serve(client(v1.AgentService));
    send(register, { heartbeat: { load: 0.25 } });
    await until(() => items.length === 1);
    expect(items[0].registered).toMatchObject({ session_token: "secret", reattach_grace: { seconds: 2 } });
    expect(api.agents.begun[0]).toContain("register default agent:echo");
    expect(api.agents.begun[0]).toContain('"pool":"default","capacity":1');

    const hub = api.agents;
    hub.handler.onAudio = (handle, pcm) => hub.stream?.sendAudio(7, handle, pcm.length / 2, Buffer.from(pcm));
    hub.stream?.send({
      type: "assigned",
      call: snapshot(),
      epoch: 3,
      handle: 7,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 8000 },
      offerId: "o-1",
      attempt: 1,
    });
    send(
      { accept: { offer_id: "" } },
      { audio: { handle: 0, pcm: Buffer.from([1, 2, 3, 4]) } },
      { mark: { name: "m" } },
    );
    send({ clear_playback: {} }, { decline: { offer_id: "o-2", reason: "busy" } }, { drain: {} });
    send({ command: { handle: 7, request_id: "r-1", transfer: { pool: "human" } } });
    send({ command: { request_id: "r-2", cancel: { request_id: "r-1" } } }, { bye: {} });
    await until(() => items.length === 3 && hub.handler.said.includes("bye"));
    expect(items[1].assigned).toMatchObject({ handle: 7, epoch: 3, call: { call_id: "c-1" } });
    expect(items[2].audio).toMatchObject({ handle: 7, sequence: 1, pcm: Buffer.from([1, 2, 3, 4]) });
    expect(hub.handler.said).toEqual([
      "heartbeat 0.25",
      "accept ",
      "mark 0 m",
      "clear 0",
      "decline o-2 busy",
      "drain",
      "command 7 r-1 TransferCall",
      "command 0 r-2 CancelCommand",
      "bye",
    ]);
    expect(hub.handler.commands).toEqual([
      { verb: "TransferCall", to: { pool: "human" }, offerDurationMs: 30_000 },
      { verb: "CancelCommand", targetRequestId: "r-1" },
    ]);
    hub.stream?.end();
    expect((await end).code).toBe(grpc.status.OK);
    await until(() => hub.handler.lostCount === 1);
    stream.end();
  });

  it("refuses a stream whose first item is something else", async () => {
    const { client, v1, api } = await start();
    const { stream, end } = serve(client(v1.AgentService));
    stream.write({ items: [{ audio: { pcm: Buffer.alloc(4) } }] });
    const status = await end;
    expect(status.code).toBe(grpc.status.FAILED_PRECONDITION);
    expect(decodeStatusDetails(status.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer).errorInfo).toMatchObject(
      {
        reason: "NOT_REGISTERED",
        metadata: { item: "audio" },
      },
    );
    expect(api.agents.handler.lostCount).toBe(0);
  });

  it("does not wait for ever for the first item (fault 47)", async () => {
    const { client, v1 } = await start({ stream: { registerTimeoutMs: 50 } });
    const { end } = serve(client(v1.AgentService));
    expect((await end).code).toBe(grpc.status.FAILED_PRECONDITION);
  });

  it("answers the core's refusal of a registration as status", async () => {
    const { client, v1, api } = await start();
    api.agents.refuse = new CallError("POOL_NOT_FOUND", "no pool sales", { pool: "sales" });
    const { end, send } = serve(client(v1.AgentService));
    send(register);
    expect((await end).code).toBe(grpc.status.NOT_FOUND);
  });

  it("refuses single items and disturbs nothing else (fault 53)", async () => {
    const { client, v1, api, edge } = await start();
    const { items, send, stream } = serve(client(v1.AgentService));
    send(register);
    send(
      { heartbeat: { load: 2 } },
      { mark: { handle: 3, name: "" } },
      { command: { handle: 3, request_id: "r-1", connect: { ring_duration: { seconds: 500 } } } },
      { command: { handle: 3, answer: {} } },
      register,
      {},
      { mark: { handle: 3, name: "ok" } },
    );
    await until(() => items.length === 6);
    expect(items.slice(1).map((item) => item.item_refused?.item ?? item.command_result.request_id)).toEqual([
      "heartbeat",
      "mark",
      "r-1",
      "command",
      "register",
    ]);
    expect(items[2].item_refused).toMatchObject({
      handle: 3,
      error: { code: 3, reason: "ERROR_REASON_INVALID_FIELD", metadata: { field: "name" } },
    });
    expect(items[3].command_result.error.metadata.field).toBe("ring_duration");
    await until(() => api.agents.handler.said.length === 1);
    expect(edge.stats).toMatchObject({ unknownItems: 1, refusedItems: 5 });
    stream.end();
    await until(() => api.agents.handler.lostCount === 1);
  });

  it("tells the core once when the stream is half-closed, and when it is cancelled", async () => {
    const { client, v1, api, edge } = await start();
    const first = serve(client(v1.AgentService));
    first.send(register);
    await until(() => first.items.length === 1);
    first.stream.end();
    expect((await first.end).code).toBe(grpc.status.OK);
    await until(() => edge.stats.serveStreams === 0);
    expect(api.agents.handler.lostCount).toBe(1);
    const second = serve(client(v1.AgentService));
    second.send(register);
    await until(() => second.items.length === 1);
    second.stream.cancel();
    await until(() => api.agents.handler.lostCount === 2 && edge.stats.serveStreams === 0);
    // What the core still says goes nowhere.
    api.agents.stream?.send({ type: "goAway", deadlineMs: 1 });
  });

  it("ends only the stream that sent malformed bytes or too much (fault 26, fault 30)", async () => {
    const { client, v1, api, edge } = await start();
    const good = serve(client(v1.AgentService));
    good.send(register);
    await until(() => good.items.length === 1);
    const raw = client(v1.AgentService);
    const call = (bytes: Buffer, max = 0) => {
      const stream = raw.makeBidiStreamRequest(
        "/callweave.v1.AgentService/Serve",
        (value: Buffer) => value,
        (value: Buffer) => value,
      );
      stream.on("error", () => {});
      stream.on("data", () => {});
      stream.write(bytes);
      if (max > 0) stream.write(bytes);
      return new Promise<grpc.StatusObject>((resolve) => stream.once("status", resolve));
    };
    const malformed = await call(Buffer.from("0aff", "hex"));
    expect(malformed.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(malformed.details).toContain("well-formed");
    const big = await call(Buffer.concat([Buffer.from([0x7a, 0x80, 0x80, 0x14]), Buffer.alloc(0x50000)]));
    expect(big).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: "message must be at most 262144 bytes",
    });
    const huge = await call(Buffer.alloc(1_100_000));
    expect(huge.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    const many = serve(client(v1.AgentService));
    many.send(register, ...Array.from({ length: 256 }, () => ({ heartbeat: {} })));
    expect((await many.end).details).toContain("at most 256 in a message");
    good.send({ mark: { name: "still here" } });
    await until(() => api.agents.handler.said.includes("mark 0 still here"));
    expect(edge.stats.malformed).toBe(1);
    good.stream.end();
    // A malformed unary request is the client's error too.
    const error = await new Promise<grpc.ServiceError>((resolve) => {
      const path = "/callweave.v1.CallService/GetCall";
      const identity = (value: Buffer) => value;
      raw.makeUnaryRequest(path, identity, identity, Buffer.from("0aff", "hex"), resolve);
    });
    expect(error.code).toBe(grpc.status.INVALID_ARGUMENT);
  });

  it("gives a slow reader gaps, not the gateway's memory (fault 12)", async () => {
    const { client, v1, api, edge } = await start();
    const { stream, items, send } = serve(client(v1.AgentService));
    send(register);
    await until(() => items.length === 1);
    stream.pause();
    const hub = api.agents;
    hub.stream?.send({
      type: "assigned",
      call: snapshot({ sampleRateHz: 24_000 }),
      epoch: 1,
      handle: 1,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 24_000 },
      offerId: "",
      attempt: 1,
    });
    // 48 MB of audio while nobody reads, paced so that the socket could take it all. What the client itself holds, 16
    // messages decoded, is in the figure too.
    collectAll();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 50_000; i++) {
      hub.stream?.sendAudio(1, i * 480, 480, new Uint8Array(960));
      if (i % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    // V8 frees buffers in the background after a collection.
    await until(() => {
      collectAll();
      return process.memoryUsage().arrayBuffers - before < 4_000_000;
    }, 50);
    stream.resume();
    await until(() => items.some((item) => item.audio?.sequence === 50_000));
    const audio = items.filter((item) => item.audio).map((item) => item.audio);
    const gaps = items.filter((item) => item.audio_gap).map((item) => item.audio_gap);
    expect(gaps.length).toBeGreaterThan(0);
    expect(gaps[0].reason).toBe("AUDIO_GAP_REASON_SLOW_RECEIVER");
    // Audio and gaps together cover everything, in order, without overlap.
    let next = 0;
    for (const item of items) {
      if (item.audio) {
        expect(item.audio.position).toBe(next);
        next += 480;
      } else if (item.audio_gap) {
        expect(item.audio_gap.from).toBe(next);
        const { seconds, nanos } = item.audio_gap.duration;
        next += Math.round((seconds + nanos / 1e9) * 24_000);
      }
    }
    expect(next).toBe(50_000 * 480);
    expect(audio.length).toBeLessThan(50_000);
    stream.cancel();
    await until(() => edge.stats.serveStreams === 0);
    expect(edge.stats.droppedAudioMs).toBeGreaterThan(0);
  });

  it("ends a stream that does not read its control items (fault 12)", async () => {
    const { client, v1, api, edge } = await start({ stream: { maxControlItems: 100 } });
    const { stream, items, send, end } = serve(client(v1.AgentService));
    send(register);
    await until(() => items.length === 1);
    stream.pause();
    for (let i = 0; edge.stats.queueFull === 0 && i < 100_000; i++) {
      api.agents.stream?.send({ type: "note", handle: 1, author: "client:x", text: "x".repeat(2000) });
      if (i % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(edge.stats.queueFull).toBe(1);
    await until(() => api.agents.handler.lostCount === 1);
    stream.resume();
    expect((await end).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  });
});
