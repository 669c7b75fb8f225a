import { EventEmitter } from "node:events";
import {
  AudioGapReason,
  BrowserRequest,
  BrowserResponse,
  ErrorReason,
  encodeMessage,
  ListenCallRequest,
  ListenCallResponse,
  ServeRequest,
  WatchCallsRequest,
  WatchCallsResponse,
} from "@callweave/proto";
import { describe, expect, it, vi } from "vitest";
import type { WebSocket } from "ws";
import { Authenticator } from "../contract/authenticator.js";
import { operations } from "../contract/operations.js";
import { principalOf } from "../contract/principal.js";
import { serveStats } from "../contract/serve-session.js";
import { FakeApi, FakeLogger, stored } from "../contract/testing.js";
import { watches } from "../contract/watches.js";
import { DeskConnection } from "./connection.js";
import { deskMethods } from "./methods.js";
import { type DeskOptions, resolveDeskOptions } from "./options.js";
import type { DeskStats } from "./wire.js";

/** A socket that takes what is sent only when the test lets it go. */
class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: BrowserResponse[] = [];
  readonly waiting: (() => void)[] = [];
  closed: number | undefined;
  terminated = false;
  pings = 0;
  paused = false;
  slow = false;

  send(data: Buffer, _options: object, done?: (error?: Error) => void): void {
    this.sent.push(BrowserResponse.decode(data));
    if (!this.slow) done?.();
    else this.waiting.push(() => done?.());
  }
  close(code: number): void {
    this.closed = code;
    this.readyState = 2;
  }
  terminate(): void {
    this.terminated = true;
    this.emit("close");
  }
  ping(): void {
    this.pings++;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  of(stream: number): BrowserResponse["item"][] {
    return this.sent.filter((one) => one.stream === stream).map(({ item }) => item);
  }
}

function rig(options: DeskOptions = {}, credential = principalOf("default", "desk-1")) {
  const api = new FakeApi();
  const socket = new FakeSocket();
  const stats: DeskStats = {
    connections: 0,
    frames: 0,
    malformed: 0,
    slowedDown: 0,
    tooSlow: 0,
    refused: 0,
    ...serveStats(),
  };
  const wire = {
    api,
    methods: deskMethods(operations(api), watches(api)),
    authenticator: new Authenticator({}),
    options: resolveDeskOptions(options),
    logger: new FakeLogger(),
    stats,
  };
  const visitor = { credential, peer: "127.0.0.1:1" };
  const connection = new DeskConnection(wire, socket as unknown as WebSocket, visitor, () => {});
  const open = (stream: number, method: string, request: Uint8Array = new Uint8Array()) =>
    socket.emit(
      "message",
      encodeMessage(BrowserRequest, { stream, item: { $case: "open", value: { method, request } } }),
      true,
    );
  return { api, socket, stats, connection, open };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("DeskConnection", () => {
  it("drops the oldest audio of a slow browser, tells it, and keeps every event (fault 12)", async () => {
    const { api, socket, open, stats } = rig({ maxListenMs: 100, listenBundleMs: 0 });
    let tell = () => {};
    api.watchItems = async function* () {
      for (let sequence = 1; ; sequence++) {
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
        yield { event: stored({ type: "answered" }, sequence) };
      }
    };
    open(1, "CallService/WatchCalls", WatchCallsRequest.encode(WatchCallsRequest.fromPartial({})).finish());
    open(
      2,
      "CallService/ListenCall",
      ListenCallRequest.encode(ListenCallRequest.fromPartial({ callId: "c-1" })).finish(),
    );
    await settle();
    socket.slow = true;
    const listener = api.listeners[0]?.listener;
    // 50 chunks of 20 ms at 8 kHz: a second, of which a tenth may wait.
    for (let i = 0; i < 50; i++) listener?.audio(i * 160, 160, new Uint8Array(320));
    for (let i = 0; i < 3; i++) {
      tell();
      await settle();
      socket.waiting.shift()?.();
      await settle();
    }
    socket.slow = false;
    while (socket.waiting.length > 0) socket.waiting.shift()?.();
    tell();
    await settle();
    const events = socket
      .of(1)
      .map((item) => item?.$case === "message" && WatchCallsResponse.decode(item.value).item);
    expect(events.map((item) => item && item.$case === "event" && item.value.sequence)).toEqual(
      events.map((_, i) => i + 1),
    );
    const heard = socket
      .of(2)
      .flatMap((item) => (item?.$case === "message" ? [ListenCallResponse.decode(item.value).item] : []));
    const gaps = heard.flatMap((item) => (item?.$case === "gap" ? [item.value] : []));
    expect(gaps).toHaveLength(1);
    expect(gaps[0]?.reason).toBe(AudioGapReason.SLOW_RECEIVER);
    const audio = heard.flatMap((item) => (item?.$case === "audio" ? [item.value] : []));
    expect(audio.at(-1)?.position).toBe(49 * 160);
    // What was heard and what was told to be missing make up the whole.
    const missing = (gaps[0]?.duration?.nanos ?? 0) / 1e6;
    expect(audio.length * 20 + missing).toBeCloseTo(1_000);
    socket.emit("close");
    await settle();
    expect(stats.droppedAudioMs).toBeCloseTo(missing);
    expect(stats.connections).toBe(0);
  });

  it("closes a connection whose browser does not read at all, one byte beyond the limit (fault 12)", async () => {
    const { socket, open, stats } = rig({ maxBufferedBytes: 1_000 });
    socket.bufferedAmount = 1_000;
    open(1, "FleetService/ListPools");
    await settle();
    expect(socket.closed).toBeUndefined();
    socket.bufferedAmount = 1_001;
    open(2, "FleetService/ListPools");
    await settle();
    expect(socket.closed).toBe(4008);
    expect(stats.tooSlow).toBe(1);
  });

  it("cuts a connection that does not answer a ping until the next one", () => {
    vi.useFakeTimers();
    try {
      const { socket } = rig({ pingIntervalMs: 1_000 });
      vi.advanceTimersByTime(1_000);
      expect([socket.pings, socket.terminated]).toEqual([1, false]);
      socket.emit("pong");
      vi.advanceTimersByTime(1_000);
      expect([socket.pings, socket.terminated]).toEqual([2, false]);
      vi.advanceTimersByTime(1_000);
      expect([socket.pings, socket.terminated]).toEqual([2, true]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("gives a browser no more than its role: every method is behind the rules (fault 40)", async () => {
    const nothing = { ...principalOf("default", "nobody"), grants: new Map() };
    const { api, socket, open } = rig({}, nothing);
    const methods = [...deskMethods(operations(api), watches(api)).keys()];
    expect(methods).toEqual(expect.arrayContaining(["CallService/DisconnectCall", "AuditService/ListAudit"]));
    const listen = ListenCallRequest.encode(ListenCallRequest.fromPartial({ callId: "c-1" })).finish();
    for (const [i, method] of methods.entries()) {
      open(i + 1, method, method.endsWith("/ListenCall") ? listen : new Uint8Array());
      if (method !== "AgentService/Serve") continue;
      const items = [{ item: { $case: "register" as const, value: { agentId: "a" } } }];
      const value = ServeRequest.encode(ServeRequest.fromPartial({ items })).finish();
      socket.emit(
        "message",
        encodeMessage(BrowserRequest, { stream: i + 1, item: { $case: "message", value } }),
        true,
      );
    }
    const reasonOf = (stream: number) => {
      const end = socket.of(stream).at(-1);
      return end?.$case === "end" ? end.value.error?.reason : undefined;
    };
    for (const [i, method] of methods.entries())
      await expect.poll(() => reasonOf(i + 1), { message: method }).toBe(ErrorReason.PERMISSION_DENIED);
    expect([api.executed, api.contextCalls, api.listeners, api.agents.begun]).toEqual([[], [], [], []]);
  });

  it("stops what a closed tab had open", async () => {
    const { api, socket, open } = rig();
    let aborted = false;
    api.watchItems = async function* (_cursor, _filter, signal) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted = true;
    };
    open(1, "CallService/WatchCalls");
    open(
      2,
      "CallService/ListenCall",
      ListenCallRequest.encode(ListenCallRequest.fromPartial({ callId: "c-1" })).finish(),
    );
    await settle();
    socket.emit("close");
    await settle();
    expect(aborted).toBe(true);
    expect(api.listeners[0]?.stopped).toBe(true);
  });
});
