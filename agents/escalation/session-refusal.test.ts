import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Harness, type HarnessOptions } from "./testing/harness.js";

async function start(options: HarnessOptions = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.settle();
  return harness;
}

/** Writes that say so; one that happens meanwhile has it too. */
const refusals = (h: Harness) => h.call.patches.filter(({ consent }) => consent?.transcript === false);

describe("a caller who refuses to be written down", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("and asks for a human in the same breath: it is written before the escalation", async () => {
    const h = await start();
    await h.caller("what is your address");
    await h.caller("don't record me i want to talk to a real person");
    expect(await h.result).toBe("HANDED_OVER");
    expect(refusals(h)).toHaveLength(1);
    expect(refusals(h)[0]?.consent?.disclosedTime).toBeInstanceOf(Date);
    const escalation = h.call.log.findIndex((line) => line.startsWith("escalate ASKED_FOR_HUMAN"));
    const refusal = h.call.log.indexOf("consent refused");
    expect(refusal).toBeGreaterThanOrEqual(0);
    expect(refusal).toBeLessThan(escalation);
    expect(h.call.escalations[0]?.summary).toBe("");
  });

  it.each([
    "do not write this down there is a fire in the building",
    "do not record this i have the wrong number",
  ])("whatever else is said: %s", async (text) => {
    const h = await start();
    await h.caller(text);
    await h.result;
    expect(Object.keys(refusals(h)[0] ?? {})).toEqual(["consent"]);
  });

  it("when asked whether to try once more", async () => {
    const h = await start();
    h.call.outcomes = ["UNANSWERED"];
    await h.caller("give me a human");
    expect(refusals(h)).toHaveLength(0);
    await h.caller("yes please but do not record me");
    expect(await h.result).toBe("HANDED_OVER");
    expect(refusals(h)).toHaveLength(1);
    expect(h.call.log.indexOf("consent refused")).toBeLessThan(
      h.call.log.findLastIndex((line) => line.startsWith("escalate")),
    );
  });

  it("when asked for a message", async () => {
    const h = await start();
    h.call.outcomes = ["UNANSWERED", "UNANSWERED"];
    await h.caller("give me a human");
    await h.caller("yes try again");
    await h.caller("do not record me just call me back");
    expect(await h.result).toBe("CALLBACK_WANTED");
    expect(Object.keys(refusals(h)[0] ?? {})).toEqual(["consent"]);
    const last = h.call.patches.at(-1);
    expect(last).toMatchObject({ status: "CALLBACK_WANTED" });
    expect(last?.data).toBeUndefined();
    expect(last?.summary).toBeUndefined();
  });

  it("is told so once, and written with the next write if it could not be", async () => {
    const h = await start();
    h.said();
    h.call.failUpdates = 1;
    await h.caller("please do not record this");
    expect(h.said()).toBe("All right, I will not write down what you say.");
    expect(refusals(h)).toHaveLength(0);
    await h.caller("no thank you goodbye");
    expect(await h.result).toBe("ENDED");
    expect(h.call.patches.at(-1)).toMatchObject({ status: "ENDED", consent: { transcript: false } });
  });

  it("reaches a human although that cannot be written in time", async () => {
    const h = await start();
    h.call.updateContext = () => new Promise(() => {});
    await h.caller("don't record me i want to talk to a real person");
    await vi.advanceTimersByTimeAsync(1_999);
    expect(h.call.escalations).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await h.result).toBe("HANDED_OVER");
  });
});

describe("a call that cannot be answered", () => {
  it("is given back: the talk rejects and nothing is said or asked of it", async () => {
    const refusal = new Error("refused");
    const h = new Harness({ call: { answerError: refusal } });
    await expect(h.result).rejects.toBe(refusal);
    expect(h.call.log).toEqual(["answer"]);
    expect(h.call.escalations).toEqual([]);
    expect(h.said()).toBe("");
    h.call.end();
    await h.settle();
    expect(h.call.patches).toEqual([]);
  });

  it("because its caller has hung up is over like any other", async () => {
    const h = new Harness({ call: { answerError: new Error("over") } });
    h.call.end();
    expect(await h.result).toBe("ABANDONED");
    expect(h.call.escalations).toEqual([]);
    expect(h.said()).toBe("");
    expect(h.call.patches.at(-1)?.status).toBe("ABANDONED");
  });
});
