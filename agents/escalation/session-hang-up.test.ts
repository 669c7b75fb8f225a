import { expect, it } from "vitest";
import { FakeReplyModel, WORD_MS } from "./testing/fake-speech.js";
import { Harness } from "./testing/harness.js";

/** A caller who asked for the opening hours, and has heard nothing of the answer yet. */
async function asked(): Promise<Harness> {
  const h = new Harness();
  await h.settle();
  h.call.autoPlay = false;
  await h.caller("what are your opening hours");
  return h;
}
const lastTurn = (h: Harness) => [...h.call.turns.values()].at(-1);

it("writes what was heard of an answer in which the caller hung up", async () => {
  const h = await asked();
  expect(lastTurn(h)).toMatchObject({ role: "AI" });
  expect(lastTurn(h)?.interrupted).toBeUndefined();
  h.call.playOut(10 * WORD_MS);
  h.call.end();
  expect(await h.result).toBe("ABANDONED");
  expect(lastTurn(h)).toMatchObject({
    interrupted: true,
    heard: "We are open from Monday to Friday, from nine in",
  });
  expect(lastTurn(h)?.text).toMatch(/anything else\?$/);
});

it("writes that nothing of it was heard", async () => {
  const h = await asked();
  h.call.end();
  await h.result;
  expect(lastTurn(h)).toMatchObject({ interrupted: true, heard: "…" });
});

it("leaves an answer that was heard, but for what the clock cannot tell", async () => {
  for (const leftMs of [0, 200]) {
    const h = await asked();
    h.call.playOut(h.call.queuedMs() - leftMs);
    h.call.end();
    await h.result;
    expect(lastTurn(h)?.interrupted).toBeUndefined();
    expect(lastTurn(h)?.text).toMatch(/anything else\?$/);
  }
});

it("writes what was heard of an answer that was still being made", async () => {
  const model = new FakeReplyModel();
  const h = new Harness({ model });
  await h.settle();
  h.call.autoPlay = false;
  async function* reply() {
    yield { kind: "TEXT" as const, text: "One two three four five. And then " };
    await new Promise(() => {});
  }
  model.reply = reply;
  await h.caller("tell me something");
  h.call.playOut(WORD_MS);
  h.call.end();
  await h.result;
  expect(lastTurn(h)).toMatchObject({ role: "AI", interrupted: true, heard: "One" });
});

it("writes nothing of it when the call went to another agent", async () => {
  const h = await asked();
  h.call.end("SEAT_LOST");
  expect(await h.result).toBe("LOST");
  expect(lastTurn(h)?.interrupted).toBeUndefined();
});
