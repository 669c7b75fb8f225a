import { describe, expect, it } from "vitest";
import { ManualClock } from "../util/clock.js";
import { silentLogger } from "../util/logger.js";
import { type MemberEnd, type MemberNews, Supervisor } from "./supervisor.js";

const RESTART = { firstPauseMs: 500, maxPauseMs: 1_500, maxRestarts: 3, windowSeconds: 60 };
const KILLED: MemberEnd = { code: null, signal: "SIGKILL" };
const IN_ORDER: MemberEnd = { code: 0, signal: null };

/** Processes that only say what they are told to say. */
function made(gateways = 2, restart = RESTART) {
  const clock = new ManualClock();
  const started: { number: number; news: MemberNews; signals: string[] }[] = [];
  const supervisor = new Supervisor({
    gateways,
    restart,
    clock,
    logger: silentLogger,
    idOf: (number) => `g-${number}`,
    start: (number, news) => {
      const signals: string[] = [];
      started.push({ number, news, signals });
      return { pid: 100 + started.length, signal: (signal) => void signals.push(signal) };
    },
  });
  let code: number | undefined;
  void supervisor.done.then((value) => {
    code = value;
  });
  supervisor.start();
  const of = (number: number) => {
    const found = started.findLast((one) => one.number === number);
    if (!found) throw new Error(`gateway ${number} was never started`);
    return found;
  };
  const serve = (number: number) =>
    of(number).news.onServing({ port: 7000 + number, opsPort: undefined, deskPort: undefined });
  const end = async (number: number, how: MemberEnd) => {
    of(number).news.onEnd(how);
    await clock.advance(0);
  };
  return { clock, started, supervisor, of, serve, end, code: () => code };
}

/** All serve. */
function begun(gateways = 2, restart = RESTART) {
  const it = made(gateways, restart);
  for (let number = 1; number <= gateways; number++) it.serve(number);
  return it;
}

describe("Supervisor", () => {
  it("starts all, and one that dies once more after a pause; the others notice nothing", async () => {
    const { clock, started, of, end, code } = begun(3);
    expect(started.map(({ number }) => number)).toEqual([1, 2, 3]);
    await end(2, KILLED);
    await clock.advance(499);
    expect(started).toHaveLength(3);
    await clock.advance(1);
    expect(started.map(({ number }) => number)).toEqual([1, 2, 3, 2]);
    expect(of(1).signals).toEqual([]);
    expect(of(3).signals).toEqual([]);
    expect(code()).toBeUndefined();
  });

  it("doubles the pause up to its longest", async () => {
    const { clock, started, end } = begun();
    for (const pauseMs of [500, 1_000, 1_500]) {
      await end(1, KILLED);
      const before = started.length;
      await clock.advance(pauseMs - 1);
      expect(started, `${pauseMs} ms`).toHaveLength(before);
      await clock.advance(1);
      expect(started, `${pauseMs} ms`).toHaveLength(before + 1);
    }
  });

  it("gives one up that ends too often; the others go on, and the end tells of it", async () => {
    const { clock, started, end, of, supervisor, code } = begun();
    for (let n = 0; n < 3; n++) {
      await end(1, KILLED);
      await clock.advance(2_000);
    }
    expect(started).toHaveLength(5);
    await end(1, KILLED);
    await clock.advance(600_000);
    expect(started).toHaveLength(5);
    expect(of(2).signals).toEqual([]);
    expect(code()).toBeUndefined();
    supervisor.end({});
    await end(2, IN_ORDER);
    expect(code()).toBe(1);
  });

  it("counts starts of the window alone", async () => {
    const { clock, started, end } = begun();
    for (let n = 0; n < 8; n++) {
      await end(1, KILLED);
      await clock.advance(30_000);
    }
    expect(started).toHaveLength(10);
  });

  it("with max_restarts 0 never starts one again, and is over when the last one is gone", async () => {
    const { clock, started, end, code } = begun(2, { ...RESTART, maxRestarts: 0 });
    await end(1, KILLED);
    await clock.advance(60_000);
    expect(started).toHaveLength(2);
    expect(code()).toBeUndefined();
    await end(2, KILLED);
    expect(code()).toBe(1);
  });

  it("is over with 0 when it was told to end and all ended in order", async () => {
    const { supervisor, of, end, started, code } = begun();
    supervisor.end({});
    expect([of(1).signals, of(2).signals]).toEqual([["SIGTERM"], ["SIGTERM"]]);
    await end(1, IN_ORDER);
    expect(code()).toBeUndefined();
    supervisor.end({});
    expect([of(1).signals, of(2).signals]).toEqual([["SIGTERM"], ["SIGTERM", "SIGTERM"]]);
    await end(2, IN_ORDER);
    expect(code()).toBe(0);
    expect(started).toHaveLength(2);
  });

  it("is over with 1 when one did not end in order", async () => {
    const { supervisor, end, code } = begun();
    supervisor.end({});
    await end(1, IN_ORDER);
    await end(2, { code: 1, signal: null });
    expect(code()).toBe(1);
  });

  it("starts none that waits to be started again once it was told to end", async () => {
    const { supervisor, clock, started, end, code } = begun();
    await end(1, KILLED);
    await end(2, KILLED);
    supervisor.end({});
    await clock.advance(60_000);
    expect(started).toHaveLength(2);
    expect(code()).toBe(0);
  });

  it("ends all when one cannot be started in the beginning, also when its process could not be made", async () => {
    for (const how of [
      { code: 1, signal: null },
      { code: null, signal: null },
    ]) {
      const { clock, serve, end, of, started, code } = made();
      serve(1);
      await end(2, how);
      expect(of(1).signals).toEqual(["SIGTERM"]);
      await end(1, IN_ORDER);
      await clock.advance(60_000);
      expect(started).toHaveLength(2);
      expect(code()).toBe(1);
    }
  });

  it("passes SIGHUP on to those that serve: before, it would end them", async () => {
    const { supervisor, serve, of } = made();
    serve(1);
    supervisor.reload();
    expect([of(1).signals, of(2).signals]).toEqual([["SIGHUP"], []]);
  });
});
