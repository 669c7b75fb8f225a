import { CallState, ErrorReason, Registered } from "@callweave/proto";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeGateway, type FakeStream, until } from "../testing/fake-gateway.js";
import { oneCall } from "../testing/one-call.js";
import type { Worker } from "./index.js";

let gateway: FakeGateway;
let worker: Worker | undefined;

beforeEach(async () => {
  gateway = new FakeGateway();
  await gateway.start();
});

afterEach(async () => {
  await worker?.close();
  worker = undefined;
  gateway.stop();
});

async function start(...args: Parameters<typeof oneCall> extends [unknown, ...infer R] ? R : never) {
  const setup = await oneCall(gateway, ...args);
  worker = setup.worker;
  return setup;
}

/** 16 kHz s16le. */
function pcm(ms: number, fill = 1): Buffer {
  return Buffer.alloc(ms * 32, fill);
}

function kinds(stream: FakeStream): string[] {
  return stream.items.map(({ item }) => item?.$case ?? "").filter((kind) => kind !== "audio");
}

async function* chunks(count: number, ms: number, produced: { count: number }) {
  for (; produced.count < count; ) {
    produced.count++;
    yield pcm(ms, produced.count);
  }
}

/** Plays the provider: confirms at once that all was heard. */
function heardAll(stream: FakeStream): NodeJS.Timeout {
  return setInterval(() => {
    const played = stream.audio(1).length / 32;
    const at = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) });
    stream.send({
      $case: "playback",
      value: { handle: 1, position: { queued: at(0), unheardAtProvider: at(0), played: at(played) } },
    });
  }, 10);
}

describe("play()", () => {
  it("sends about sendAheadMs and resolves when all was handed over", async () => {
    const { stream, call } = await start({ sendAheadMs: 300 });
    let handed = false;
    const playing = call.play(pcm(500)).then((end) => {
      handed = true;
      return end;
    });
    await stream.until(() => stream.audio(1).length >= 300 * 32);
    expect(handed).toBe(false);
    expect(await playing).toBe("SENT");
    await stream.until(() => stream.audio(1).equals(pcm(500)));
  });

  it("rejects what does not fit, taking nothing", async () => {
    const { stream, call } = await start({ maxPlaybackQueuedMs: 1_000 });
    await expect(call.play(pcm(1_500))).rejects.toMatchObject({ reason: "QUEUE_FULL" });
    await call.play(pcm(40, 9));
    await stream.until(() => stream.audio(1).equals(pcm(40, 9)));
  });

  it("reads an iterable only as fast as it is played", async () => {
    const { stream, call } = await start({ sendAheadMs: 200 });
    const produced = { count: 0 };
    const playing = call.play(chunks(200, 50, produced));
    await stream.until(() => stream.audio(1).length >= 200 * 32);
    // 200 ms with the gateway, 200 ms kept ready, one chunk too many, and what was heard meanwhile.
    expect(produced.count).toBeLessThan(60);
    const timer = heardAll(stream);
    expect(await playing).toBe("SENT");
    clearInterval(timer);
    await stream.until(() => stream.audio(1).length === 200 * 50 * 32);
  });

  it("plays in the order of the calls, an iterable to its end first", async () => {
    const { stream, call } = await start();
    const first = call.play(chunks(3, 20, { count: 0 }));
    const second = call.play(pcm(20, 77));
    const mark = call.mark("after both");
    await first;
    await second;
    await stream.next("mark");
    expect(stream.audio(1)).toEqual(Buffer.concat([pcm(20, 1), pcm(20, 2), pcm(20, 3), pcm(20, 77)]));
    expect(stream.items.at(-1)?.item?.$case).toBe("mark");
    stream.send({ $case: "markReached", value: { handle: 1, name: "after both", end: 1 } });
    expect(await mark).toBe("PLAYED");
  });

  it("rejects with the error of the iterable and goes on with what follows", async () => {
    const { stream, call } = await start();
    async function* broken() {
      yield pcm(20, 1);
      throw new Error("no voice");
    }
    const first = call.play(broken());
    const second = call.play(pcm(20, 2));
    await expect(first).rejects.toThrow("no voice");
    expect(await second).toBe("SENT");
    await stream.until(() => stream.audio(1).equals(Buffer.concat([pcm(20, 1), pcm(20, 2)])));
  });

  it("gives each call its turn", async () => {
    const { stream, worker: w, call } = await start();
    await stream.assign("c-2", 2);
    await until(() => w.calls.length === 2);
    const other = w.calls.find((c) => c.id === "c-2")!;
    await Promise.all([call.play(pcm(800)), other.play(pcm(800))]);
    await stream.until(() => stream.audio(1).length + stream.audio(2).length === 2 * 800 * 32);
    const handles = stream.all("audio").map((a) => a.handle);
    expect(handles.slice(0, 6)).toEqual([
      handles[0],
      handles[1],
      handles[0],
      handles[1],
      handles[0],
      handles[1],
    ]);
    expect(handles[0]).not.toBe(handles[1]);
  });

  it("keeps what the gateway has no room for and sends it again", async () => {
    const { stream, call } = await start();
    await call.play(Buffer.concat([pcm(100, 1), pcm(100, 2)]));
    await stream.until(() => stream.all("audio").length === 2);
    stream.send({
      $case: "itemRefused",
      value: {
        handle: 1,
        item: "audio",
        error: {
          code: status.RESOURCE_EXHAUSTED,
          reason: ErrorReason.PLAYBACK_FULL,
          message: "full",
          metadata: { refused_ms: "100", queued_ms: "29950", max_ms: "30000" },
        },
      },
    });
    await stream.until(() => stream.all("audio").length === 3);
    expect(stream.all("audio").map((a) => a.pcm[0])).toEqual([1, 2, 2]);
  });

  it("respects the limits of the gateway", async () => {
    gateway.registered = Registered.fromPartial({
      ...gateway.registered,
      limits: { maxItems: 2, maxMessageBytes: 262_144, maxPlayback: { seconds: 30, nanos: 0 } },
    });
    const { stream, call } = await start();
    await call.play(pcm(600));
    await stream.until(() => stream.audio(1).length === 600 * 32);
    expect(Math.max(...stream.messages.map((m) => m.length))).toBeLessThanOrEqual(2);
  });
});

describe("order", () => {
  it("keeps commands with `after` behind their audio and sends others at once", async () => {
    const { stream, call } = await start({ sendAheadMs: 100 });
    call.play(pcm(400));
    call.close({ endCall: true, after: "drained" });
    call.setMode("SPY");
    await stream.until(() => stream.all("command").length === 2);
    expect(stream.all("command").map((c) => c.verb?.$case)).toEqual(["setAgentMode", "close"]);
    const at = stream.items.findIndex(
      (i) => i.item?.$case === "command" && i.item.value.verb?.$case === "close",
    );
    const audioBefore = stream.items.slice(0, at).filter((i) => i.item?.$case === "audio").length;
    expect(audioBefore).toBe(4);
  });

  it("keeps an escalation without `after` behind its announcement", async () => {
    const { stream, call } = await start();
    call.play(pcm(300));
    call.escalate({ reason: "ASKED_FOR_HUMAN" });
    const command = await stream.next("command");
    expect(stream.audio(1).length).toBe(300 * 32);
    expect(command.verb).toMatchObject({ $case: "escalate", value: { reason: 1, after: undefined } });
  });

  it("puts a mark behind its audio and matches equal names in order", async () => {
    const { stream, call } = await start();
    call.play(pcm(100, 1));
    const first = call.mark("m");
    call.play(pcm(100, 2));
    const second = call.mark("m");
    await stream.until(() => stream.all("mark").length === 2);
    expect(stream.items.slice(-4).map((i) => i.item?.$case)).toEqual(["audio", "mark", "audio", "mark"]);
    stream.send({ $case: "markReached", value: { handle: 1, name: "m", end: 1 } });
    expect(await first).toBe("PLAYED");
    stream.send({ $case: "markReached", value: { handle: 1, name: "m", end: 2 } });
    expect(await second).toBe("CLEARED");
  });
});

describe("clear()", () => {
  it("empties the queue of the library first and adds up what was dropped", async () => {
    const { stream, call } = await start({ sendAheadMs: 200 });
    const playing = call.play(pcm(1_000));
    const mark = call.mark();
    await stream.until(() => stream.audio(1).length >= 200 * 32);
    const clearing = call.clear();
    expect(await playing).toBe("CLEARED");
    expect(await mark).toBe("CLEARED");
    await stream.next("clearPlayback");
    stream.send({
      $case: "playbackCleared",
      value: {
        handle: 1,
        droppedLocal: { seconds: 0, nanos: 100_000_000 },
        estimatedUnheardAtProvider: { seconds: 0, nanos: 50_000_000 },
        played: { seconds: 0, nanos: 60_000_000 },
      },
    });
    const cleared = await clearing;
    const sentMs = stream.audio(1).length / 32;
    expect(cleared).toEqual({ droppedMs: 1_000 - sentMs + 100, estimatedUnheardMs: 50, playedMs: 60 });
    expect(call.playback).toMatchObject({ queuedMs: 0, playedMs: 60 });
    // Nothing is left of what was dropped; new audio goes at once.
    await call.play(pcm(40, 5));
    await stream.until(() =>
      stream
        .audio(1)
        .subarray(sentMs * 32)
        .equals(pcm(40, 5)),
    );
    expect(kinds(stream)).toEqual(["register", "accept", "clearPlayback"]);
  });

  it("stops an iterable, even one that hangs", async () => {
    const { stream, call } = await start();
    let returned = false;
    const hanging: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: async () => {
          returned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const playing = call.play(hanging);
    const behind = call.play(pcm(20));
    call.clear();
    expect(await playing).toBe("CLEARED");
    expect(await behind).toBe("CLEARED");
    expect(returned).toBe(true);
    await call.play(pcm(20, 2));
    await stream.until(() => stream.audio(1).equals(pcm(20, 2)));
  });

  it("cancels a waiting command that wants it and lets an escalation go ahead", async () => {
    const { stream, call } = await start({ sendAheadMs: 100 });
    call.play(pcm(2_000));
    const closing = call.close({ endCall: true, after: "drained" });
    const escalating = call.escalate({ reason: "FRUSTRATED" });
    call.clear();
    await expect(closing).rejects.toMatchObject({
      reason: "COMMAND_CANCELLED",
      metadata: { cause: "INTERRUPTED" },
    });
    const command = await stream.next("command");
    expect(command.verb?.$case).toBe("escalate");
    expect(kinds(stream).slice(-2)).toEqual(["clearPlayback", "command"]);
    stream.result(command.requestId, 1, { escalation: { outcome: 1, durability: 1 } });
    expect(await escalating).toEqual({ outcome: "CONNECTED", durability: "STORE" });
  });
});

describe("audio()", () => {
  it("gives audio with its position, and gaps", async () => {
    const { stream, call } = await start({}, { state: CallState.ANSWERED, sampleRateHertz: 8_000 });
    stream.send(
      { $case: "audio", value: { handle: 1, sequence: 1, position: 800, pcm: pcm(20) } },
      {
        $case: "audioGap",
        value: { handle: 1, from: 1_000, duration: { seconds: 0, nanos: 40_000_000 }, reason: 2 },
      },
      { $case: "unassigned", value: { handle: 1, callId: "c-1", cause: 8, endReason: 1 } },
    );
    const got = [];
    for await (const chunk of call.audio()) got.push(chunk);
    expect(got).toMatchObject([
      { positionSamples: 800, atMs: 100 },
      { gapMs: 40, reason: "DETACHED", positionSamples: 1_000, atMs: 125 },
    ]);
    expect(got[0]?.pcm?.equals(pcm(20))).toBe(true);
    expect(await call.ended).toEqual({ cause: "CALL_ENDED", endReason: "TERMINATED" });
  });
});
