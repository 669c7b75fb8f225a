import { describe, expect, it, vi } from "vitest";
import type { WatchItem } from "../call/event-log.js";
import { ManualClock } from "../util/clock.js";
import { MemoryEventLog, MemoryEventStorage } from "./memory-event-log.js";
import { RecentEvents } from "./recent-events.js";
import type { EventLogOptions } from "./stored-event-log.js";
import { ALL, event, label, never, SNAPSHOT, take } from "./testing.js";

const clock = new ManualClock();

/** Waits for a condition, turn by turn. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe("event log / newest events in memory", () => {
  /** A log, and a watcher of it that is live and has not read on. */
  const lagging = async (more: EventLogOptions = {}) => {
    const storage = new MemoryEventStorage();
    const reads = vi.spyOn(storage, "read");
    const log = new MemoryEventLog({ clock, maxRecent: 5, ...more }, storage);
    const items = log.watch("t", "", ALL, never)[Symbol.asyncIterator]();
    await items.next();
    const next = async () => label((await items.next()).value as WatchItem);
    return { log, reads, next, storage };
  };

  it("serves a watcher that lags by as many as it keeps without the store, and from it by one more", async () => {
    const { log, reads, next } = await lagging();
    for (let n = 1; n <= 5; n++) await log.append(event(n));
    for (let n = 1; n <= 5; n++) expect(await next()).toBe(`c-1/${n}`);
    expect(reads).not.toHaveBeenCalled();
    for (let n = 6; n <= 11; n++) await log.append(event(n));
    for (let n = 6; n <= 11; n++) expect(await next()).toBe(`c-1/${n}`);
    expect(reads).toHaveBeenCalledTimes(1);
    await log.close();
  });

  it("tells nothing of an erased call", async () => {
    const { log, next } = await lagging();
    const call = { ...SNAPSHOT, callId: "a" };
    await log.append(event(1, { callId: "a", body: { type: "arrived", call } }));
    await log.append(event(1));
    await log.append(event(2, { callId: "a", body: { type: "ended", reason: "TERMINATED" } }));
    expect(await log.eraseCaller("t", call.caller)).toBe(1);
    await log.append(event(2));
    expect([await next(), await next()]).toEqual(["c-1/1", "c-1/2"]);
    await log.close();
  });

  it("keeps nothing while nobody watches, nor of when somebody did", async () => {
    const add = vi.spyOn(RecentEvents.prototype, "add");
    const restart = vi.spyOn(RecentEvents.prototype, "restart");
    const log = new MemoryEventLog({ clock });
    await log.append(event(1));
    expect(add).not.toHaveBeenCalled();
    const items = log.watch("t", "", ALL, never)[Symbol.asyncIterator]();
    await items.next();
    await log.append(event(2));
    expect(add).toHaveBeenCalledTimes(1);
    restart.mockClear();
    await items.return?.(undefined);
    expect(restart).toHaveBeenCalledTimes(1);
    await log.close();
    vi.restoreAllMocks();
  });

  it("tells of the past what the store has, also what it got too late to say so", async () => {
    const own = new ManualClock();
    const { log, next, storage } = await lagging({ clock: own });
    const { cursor } = await log.append(event(1));
    let release: () => void = () => {};
    storage.hang = new Promise((resolve) => {
      release = resolve;
    });
    const second = log.append(event(2));
    await own.advance(3000);
    expect((await second).durable).toBe(false);
    storage.hang = undefined;
    release();
    await new Promise((resolve) => setImmediate(resolve));
    await log.append(event(3));
    expect([await next(), await next(), await next()]).toEqual(["c-1/1", "c-1/2!", "c-1/3"]);
    // Whoever comes later is told from the store, although another watcher has it in memory.
    expect((await take(log.watch("t", cursor, ALL, never), 3)).map(label)).toEqual([
      "c-1/2",
      "c-1/3",
      "live",
    ]);
    await log.close();
  });

  it("leaves time between events that are in no store, so that nobody who reads at once misses one", async () => {
    const own = new ManualClock();
    const storage = new MemoryEventStorage();
    const log = new MemoryEventLog({ clock: own, maxBatch: 10, maxRecent: 20 }, storage);
    const seen: string[] = [];
    const abort = new AbortController();
    const reading = (async () => {
      for await (const item of log.watch("t", "", { callIds: ["a"], pools: [] }, abort.signal))
        seen.push(label(item));
    })();
    await until(() => seen.length === 1);
    let release: () => void = () => {};
    storage.hang = new Promise((resolve) => {
      release = resolve;
    });
    const all = Array.from({ length: 200 }, (_, i) =>
      log.append(event(i, { callId: i % 10 === 0 ? "a" : "b" })),
    );
    await own.advance(3000);
    await Promise.all(all);
    await until(() => seen.length === 21);
    expect(seen.slice(1)).toEqual(Array.from({ length: 20 }, (_, i) => `a/${i * 10}!`));
    release();
    abort.abort();
    await reading;
    await log.close();
  });

  it("is expired for a watcher that lags behind what retention removed", async () => {
    const own = new ManualClock();
    const { log, next } = await lagging({ clock: own, retentionDays: 1 });
    for (let n = 1; n <= 3; n++) await log.append({ ...event(n), time: own.wallNow() });
    expect(await next()).toBe("c-1/1");
    await own.advance(2 * 86_400_000);
    await log.append({ ...event(4), time: own.wallNow() });
    await log.sweep();
    await expect(next()).rejects.toMatchObject({ reason: "CURSOR_EXPIRED" });
    await log.close();
  });

  it("takes watchers over from the store while events go on coming", async () => {
    const storage = new MemoryEventStorage();
    const log = new MemoryEventLog({ clock, maxRecent: 20 }, storage);
    const watchers = Array.from({ length: 12 }, () => log.watch("t", "", ALL, never)[Symbol.asyncIterator]());
    for (const items of watchers) expect((await items.next()).value).toHaveProperty("live");
    await Promise.all(Array.from({ length: 25 }, (_, i) => log.append(event(i + 1))));
    const reads = vi.spyOn(storage, "read");
    const told = watchers.map(() => 0);
    let goOn = true;
    const reading = watchers.map(async (items, i) => {
      while (goOn) {
        const { value } = await items.next();
        if (value && "event" in value) told[i] = value.event.sequence;
      }
    });
    for (let n = 26; n <= 325; n++) {
      await log.append(event(n));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => told.every((sequence) => sequence === 325));
    expect(reads.mock.calls.length).toBeLessThan(40);
    goOn = false;
    await log.append(event(326));
    await Promise.all(reading);
    await log.close();
  });

  it("tells many watchers that catch up no more in a turn than calls can bear, all of them together", async () => {
    const log = new MemoryEventLog({ clock });
    const { cursor } = await log.append(event(1));
    await Promise.all(Array.from({ length: 500 }, (_, i) => log.append(event(i + 2))));
    let told = 0;
    let most = 0;
    let done = false;
    const turns = (async () => {
      for (; !done; told = 0) {
        await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, told);
      }
    })();
    const readers = Array.from({ length: 20 }, async () => {
      let last = 0;
      for await (const item of log.watch("t", cursor, ALL, never)) {
        if ("live" in item) return last;
        last = item.event.sequence;
        told++;
      }
      return last;
    });
    for (const last of await Promise.all(readers)) expect(last).toBe(501);
    done = true;
    await turns;
    expect(most).toBeGreaterThan(64);
    expect(most).toBeLessThanOrEqual(4 * 64);
    await log.close();
  });
});
