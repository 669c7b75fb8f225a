import { describe, expect, it } from "vitest";
import { type Turn, TurnsRefused } from "./call-port.js";
import { FakeCall } from "./testing/fake-call.js";
import { TurnLog } from "./turn-log.js";

const turn = (id: string): Turn => ({ id, role: "CALLER", text: id, locale: "en", time: new Date(0) });

/** A call whose store refuses turns called "bad", and is away as often as `away` says. */
function callThatRefuses() {
  const call = new FakeCall();
  const store = { away: 0, sent: [] as string[][] };
  const append = call.appendTurns.bind(call);
  call.appendTurns = async (turns) => {
    store.sent.push(turns.map(({ id }) => id));
    if (store.away-- > 0) throw new Error("not now");
    if (turns.some(({ id }) => id.startsWith("bad"))) throw new TurnsRefused("INVALID_FIELD");
    await append(turns);
  };
  return { call, store };
}

describe("TurnLog", () => {
  it("drops and counts a turn that is refused for good, and writes those around it", async () => {
    const { call, store } = callThatRefuses();
    const errors: unknown[] = [];
    const log = new TurnLog(call, { onError: (error) => errors.push(error) });
    store.away = 1;
    for (const id of ["a", "bad", "b"]) log.append(turn(id));
    await log.flush();
    log.append(turn("c"));
    await log.flush();
    expect([...call.turns.keys()]).toEqual(["a", "b", "c"]);
    expect(log.dropped).toBe(1);
    expect(errors.length).toBeGreaterThan(1);
  });

  it("does not send a single refused turn twice", async () => {
    const { call, store } = callThatRefuses();
    const log = new TurnLog(call);
    log.append(turn("bad"));
    await log.flush();
    await log.flush();
    expect(store.sent).toEqual([["bad"]]);
    expect(log.dropped).toBe(1);
  });

  it("keeps the rest, in order, when the store goes away between", async () => {
    const { call } = callThatRefuses();
    const append = call.appendTurns.bind(call);
    let calls = 0;
    call.appendTurns = async (turns) => {
      calls++;
      if (calls === 3) throw new Error("not now"); // all; then a alone; then bad alone
      await append(turns);
    };
    const log = new TurnLog(call);
    for (const id of ["a", "bad", "b"]) log.append(turn(id));
    await log.flush();
    await log.flush();
    expect([...call.turns.keys()]).toEqual(["a", "b"]);
    expect(log.dropped).toBe(1);
  });

  it("keeps the newest when too many wait, and nothing after a refusal", async () => {
    const { call, store } = callThatRefuses();
    const log = new TurnLog(call, { maxUnwritten: 2 });
    store.away = 5;
    for (const id of ["a", "b", "c"]) log.append(turn(id));
    expect(log.dropped).toBe(1);
    log.refuse();
    store.away = 0;
    log.append(turn("d"));
    await log.flush();
    expect(call.turns.size).toBe(0);
  });
});
