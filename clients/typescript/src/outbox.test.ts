import type { AgentItem } from "@callweave/proto";
import { afterEach, describe, expect, it } from "vitest";
import { Outbox, type OutboxLimits, type PlaybackSource } from "./outbox.js";

const LIMITS: OutboxLimits = { maxItems: 256, maxBytes: 256 * 1024, maxControlItems: 100, tickMs: 10 };

/** A call with so many items of audio. */
class Source implements PlaybackSource {
  constructor(
    private readonly handle: number,
    public left: number,
    private readonly bytes = 320,
  ) {}
  get hasPlayback(): boolean {
    return this.left > 0;
  }
  nextItem(): AgentItem | undefined {
    if (this.left === 0) return undefined;
    this.left--;
    return { item: { $case: "audio", value: { handle: this.handle, pcm: new Uint8Array(this.bytes) } } };
  }
}

const heartbeat: AgentItem = { item: { $case: "heartbeat", value: { load: 0 } } };
let outboxes: Outbox[] = [];

function setup(sources: Source[], limits: Partial<OutboxLimits> = {}) {
  const writes: { items: AgentItem[]; done: () => void }[] = [];
  const state = { overflow: false };
  const outbox = new Outbox(
    {
      write: (items, done) => writes.push({ items, done }),
      sources: () => sources,
      overflow: () => {
        state.overflow = true;
      },
    },
    { ...LIMITS, ...limits },
  );
  outboxes.push(outbox);
  return { outbox, writes, state };
}

function names(items: AgentItem[]): (string | number)[] {
  return items.map(({ item }) => (item?.$case === "audio" ? item.value.handle : (item?.$case ?? "")));
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

afterEach(() => {
  for (const outbox of outboxes) outbox.close();
  outboxes = [];
});

describe("Outbox", () => {
  it("merges what is ready in one turn: control first, then the calls in turn", async () => {
    const { outbox, writes } = setup([new Source(1, 2), new Source(2, 3)]);
    outbox.kick();
    outbox.send(heartbeat);
    outbox.send(heartbeat);
    await turn();
    expect(writes).toHaveLength(1);
    expect(names(writes[0]!.items)).toEqual(["heartbeat", "heartbeat", 1, 2, 1, 2, 2]);
  });

  it("has one write in flight; what comes meanwhile merges", async () => {
    const source = new Source(1, 1);
    const { outbox, writes } = setup([source]);
    outbox.kick();
    await turn();
    outbox.send(heartbeat);
    await turn();
    source.left = 2;
    outbox.send(heartbeat);
    await turn();
    expect(writes).toHaveLength(1);
    writes[0]!.done();
    expect(names(writes[1]!.items)).toEqual(["heartbeat", "heartbeat", 1, 1]);
  });

  it("caps items and bytes of a message", async () => {
    const { outbox, writes } = setup([new Source(1, 700)]);
    outbox.kick();
    await turn();
    for (let i = 0; i < writes.length && i < 10; i++) writes[i]!.done();
    expect(writes.map((w) => w.items.length)).toEqual([256, 256, 188]);

    const large = setup([new Source(1, 200, 4_800)]);
    large.outbox.kick();
    await turn();
    for (let i = 0; i < large.writes.length && i < 20; i++) large.writes[i]!.done();
    const bytes = large.writes.map((w) => w.items.length * 4_832);
    expect(Math.max(...bytes)).toBeLessThan(256 * 1024);
    expect(large.writes.reduce((sum, w) => sum + w.items.length, 0)).toBe(200);
  });

  it("looks again for audio that waits for its time, and only then", async () => {
    const source = new Source(1, 0);
    const { outbox, writes } = setup([source]);
    let waiting = true;
    Object.defineProperty(source, "hasPlayback", { get: () => waiting });
    outbox.kick();
    await turn();
    expect(writes).toHaveLength(0);
    source.left = 1;
    await expect.poll(() => writes.length).toBe(1);
    waiting = false;
  });

  it("gives up when nobody takes the control items", async () => {
    const { outbox, state } = setup([], { maxControlItems: 3 });
    for (let i = 0; i < 4; i++) outbox.send(heartbeat);
    expect(state.overflow).toBe(true);
  });
});
