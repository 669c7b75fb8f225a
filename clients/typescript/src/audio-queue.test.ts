import { describe, expect, it } from "vitest";
import { AudioQueue } from "./audio-queue.js";
import type { AudioChunk } from "./types.js";

function push(queue: AudioQueue, n: number): void {
  queue.push({ pcm: Buffer.alloc(640, n), positionSamples: n * 320, atMs: n * 20 }, 20);
}

async function rest(queue: AudioQueue): Promise<AudioChunk[]> {
  const chunks: AudioChunk[] = [];
  for await (const chunk of queue) chunks.push(chunk);
  return chunks;
}

describe("AudioQueue", () => {
  it("gives audio in order and ends", async () => {
    const queue = new AudioQueue(2_000);
    push(queue, 0);
    push(queue, 1);
    queue.end();
    expect((await rest(queue)).map((c) => c.atMs)).toEqual([0, 20]);
  });

  it("drops the oldest when full and tells one gap before the rest", async () => {
    const queue = new AudioQueue(100);
    for (let i = 0; i < 12; i++) push(queue, i);
    queue.end();
    const chunks = await rest(queue);
    expect(chunks[0]).toEqual({ gapMs: 140, reason: "LOCAL_QUEUE_FULL", positionSamples: 0, atMs: 0 });
    expect(chunks.slice(1).map((c) => c.atMs)).toEqual([140, 160, 180, 200, 220]);
  });

  it("keeps the gaps of the gateway in their place and counts them when they are dropped", async () => {
    const queue = new AudioQueue(60);
    push(queue, 0);
    queue.pushGap({ gapMs: 40, reason: "DETACHED", positionSamples: 320, atMs: 20 });
    push(queue, 3);
    queue.end();
    expect((await rest(queue)).map((c) => c.gapMs ?? "audio")).toEqual(["audio", 40, "audio"]);

    const full = new AudioQueue(40);
    push(full, 0);
    full.pushGap({ gapMs: 40, reason: "DETACHED", positionSamples: 320, atMs: 20 });
    for (const n of [3, 4, 5]) push(full, n);
    full.end();
    expect((await rest(full)).map((c) => c.gapMs ?? "audio")).toEqual([80, "audio", "audio"]);
  });

  it("goes on where a loop was left, and wakes a reader that waits", async () => {
    const queue = new AudioQueue(2_000);
    push(queue, 0);
    push(queue, 1);
    for await (const chunk of queue) {
      expect(chunk.atMs).toBe(0);
      break;
    }
    const waiting = rest(queue);
    await new Promise((resolve) => setImmediate(resolve));
    push(queue, 2);
    queue.end();
    expect((await waiting).map((c) => c.atMs)).toEqual([20, 40]);
  });

  it("has one reader at a time", async () => {
    const queue = new AudioQueue(2_000);
    const first = queue[Symbol.asyncIterator]();
    const pending = first.next();
    await expect(queue[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: "CALL_STATE" });
    queue.end();
    await pending;
  });
});
