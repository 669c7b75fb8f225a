import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SpeechError } from "../speech/ports.js";
import { FakeReplyModel, WORD_MS } from "./testing/fake-speech.js";
import { Harness, type HarnessOptions } from "./testing/harness.js";

const FAILED = new SpeechError("PROVIDER_FAILED", "fake", "told to fail");

async function start(options: HarnessOptions = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.settle();
  return harness;
}

describe("EscalationSession", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  describe("answering", () => {
    it("answers a question and writes both turns in order", async () => {
      const h = await start();
      h.said();
      await h.caller("what are your opening hours");
      expect(h.said()).toMatch(/^We are open .* Is there anything else\?$/);
      h.call.end();
      await h.result;
      expect([...h.call.turns.values()].map(({ role, interrupted }) => [role, interrupted])).toEqual([
        ["AI", undefined],
        ["AI", undefined],
        ["CALLER", undefined],
        ["AI", undefined],
      ]);
    });

    it("keeps so many turns for the model", async () => {
      const model = new FakeReplyModel();
      model.next.push([{ kind: "TEXT", text: "One." }], [{ kind: "TEXT", text: "Two." }]);
      const h = await start({ model, chain: { maxTurns: 2 } });
      await h.caller("tell me something");
      await h.caller("and something more");
      expect(model.requests[1]?.turns.map(({ text }) => text)).toEqual(["One.", "and something more"]);
      h.call.end();
      await h.result;
    });

    it("asks for the order number and looks it up", async () => {
      const h = await start();
      h.said();
      await h.caller("i would like to know where my order is");
      expect(h.said()).toBe("What is your order number?");
      await h.caller("it is for seven one too");
      expect(h.said()).toMatch(/^Your order 4 7 1 2 left our warehouse/);
      h.call.end();
      await h.result;
    });

    it("ends politely when the caller has nothing else", async () => {
      const h = await start();
      h.said();
      await h.caller("no thank you goodbye");
      expect(await h.result).toBe("ENDED");
      expect(h.said()).toBe("Thank you for calling. Goodbye.");
      expect(h.call.log.slice(-2)).toEqual([
        "status ENDED",
        `disconnect PLAYBACK_DRAINED after ${5 * WORD_MS} ms`,
      ]);
    });

    it("apologises to a caller with the wrong number and ends the call", async () => {
      const h = await start();
      h.said();
      await h.caller("sorry i have the wrong number");
      expect(await h.result).toBe("WRONG_NUMBER");
      expect(h.said()).toContain("wrong number");
      expect(h.call.log.at(-1)).toMatch(/^disconnect PLAYBACK_DRAINED/);
    });

    it("keeps the context of a caller who hangs up, as ABANDONED", async () => {
      const h = await start();
      await h.caller("what is your address");
      h.call.end();
      expect(await h.result).toBe("ABANDONED");
      expect(h.call.patches.at(-1)).toMatchObject({ status: "ABANDONED", summarySource: "RULES" });
      expect(h.call.patches.at(-1)?.summary).toContain("our address");
    });

    it("stops writing when the caller does not want it", async () => {
      const h = await start();
      await h.caller("please do not record this");
      await h.caller("what is your address");
      await h.caller("can i talk to a human");
      expect(await h.result).toBe("HANDED_OVER");
      expect([...h.call.turns.values()].filter(({ role }) => role === "CALLER")).toEqual([]);
      expect(h.call.patches.findLast(({ consent }) => consent)?.consent).toMatchObject({ transcript: false });
      expect(h.call.patches.findLast(({ consent }) => consent)?.consent?.disclosedTime).toBeInstanceOf(Date);
      expect(h.call.escalations[0]).toMatchObject({ reason: "ASKED_FOR_HUMAN", summary: "" });
    });

    it("writes a turn again that could not be written, before the next one", async () => {
      const h = await start();
      h.call.failAppends = 1;
      await h.caller("what is your address");
      h.call.end();
      await h.result;
      const texts = [...h.call.turns.values()].map(({ text }) => text);
      expect(texts[2]).toBe("what is your address");
      expect(h.events.some(({ event }) => event === "turns_not_written")).toBe(true);
    });
  });

  describe("interruption", () => {
    it("clears in the frame in which speech is detected and keeps what was heard", async () => {
      const h = await start();
      h.call.autoPlay = false;
      await h.caller("what are your opening hours");
      const before = h.call.log.length;
      h.call.playOut(10 * WORD_MS);
      await h.begin();
      expect(h.call.log.slice(before)).toEqual(["clear"]);
      await h.stop("and your address");
      const cut = [...h.call.turns.values()].find((turn) => turn.interrupted);
      expect(cut?.text).toMatch(/^We are open .* anything else\?$/);
      expect(cut?.heard).toBe("We are open from Monday to Friday, from nine in");
      h.call.end();
      await h.result;
    });

    it("says what was not heard once more when it was only a noise", async () => {
      const h = await start();
      h.call.autoPlay = false;
      await h.caller("what are your opening hours");
      h.said();
      h.call.playOut(24 * WORD_MS);
      await h.begin();
      await h.stop("");
      expect(h.said()).toMatch(/^As I was saying, .*On Sunday we are closed\. Is there anything else\?$/);
      h.call.end();
      await h.result;
    });

    it("answers the caller who goes on speaking once, not twice", async () => {
      const model = new FakeReplyModel();
      let answer: (parts: readonly { kind: "TEXT"; text: string }[]) => void = () => {};
      model.next.push(
        new Promise((resolve) => {
          answer = resolve;
        }),
        [{ kind: "TEXT", text: "Both at once." }],
      );
      const h = await start({ model });
      h.said();
      await h.caller("i would like to");
      await h.begin();
      answer([{ kind: "TEXT", text: "Too early." }]);
      await h.stop("know your address");
      expect(h.said()).toBe("Both at once.");
      expect(model.requests[1]?.turns.slice(-2).map(({ text }) => text)).toEqual([
        "i would like to",
        "know your address",
      ]);
      h.call.end();
      await h.result;
    });
  });

  describe("escalation", () => {
    it.each([
      ["ASKED_FOR_HUMAN", ["can i talk to a real person"]],
      ["FRUSTRATED", ["this is ridiculous"]],
      ["FRUSTRATED", ["it is still not there and the password is annoying", "the password is not working"]],
      ["OUT_OF_SCOPE", ["i want my money back"]],
      ["NOT_UNDERSTOOD", ["purple monkey", "dishwasher"]],
      ["NOT_UNDERSTOOD", ["", ""]],
      ["EMERGENCY", ["there is a fire in the building"]],
      ["FRUSTRATED", ["what is your address", "what is your address", "what is your address"]],
    ] as const)("%s: %j", async (reason, sentences) => {
      const h = await start();
      for (const sentence of sentences) await h.caller(sentence);
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations).toHaveLength(1);
      expect(h.call.escalations[0]).toMatchObject({
        reason,
        after: "PLAYBACK_DRAINED",
        summarySource: "RULES",
      });
      const summary = h.call.escalations[0]?.summary ?? "";
      expect(summary.match(/[.!?](\s|$)/g)?.length).toBeLessThanOrEqual(3);
    });

    it("gives the command behind the announcement, in one piece", async () => {
      const h = await start();
      h.said();
      await h.caller("what is your address");
      h.said();
      await h.caller("can i talk to a human");
      expect(h.said()).toBe("Let me connect you with a specialist. One moment please.");
      expect(h.call.log.at(-1)).toBe(`escalate ASKED_FOR_HUMAN after ${10 * WORD_MS} ms`);
      expect(h.call.escalations[0]?.summary).toBe(
        "The caller asked about our address. The last words of the caller were: can i talk to a human. The caller wants to talk to a human.",
      );
    });

    it("is not stopped by a caller who talks on", async () => {
      const h = await start();
      h.call.autoPlay = false;
      await h.caller("give me a human");
      expect(h.call.log.at(-1)).toMatch(/^escalate/);
      h.call.log.length = 0;
      await h.caller("hello is there anybody");
      expect(h.call.log).not.toContain("clear");
      h.call.playOut();
      expect(await h.result).toBe("HANDED_OVER");
      expect([...h.call.turns.values()].at(-1)?.text).toBe("hello is there anybody");
    });

    it("tries once more when the caller wants to", async () => {
      const h = await start();
      h.call.outcomes = ["UNANSWERED"];
      await h.caller("give me a human");
      expect(h.said()).toContain("Shall I try once more");
      await h.caller("yes please");
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations).toHaveLength(2);
    });

    it("takes a message when nobody answers twice", async () => {
      const h = await start();
      h.call.outcomes = ["UNANSWERED", "UNANSWERED"];
      await h.caller("give me a human");
      await h.caller("yes try again");
      h.said();
      await h.caller("my heating does not work call me in the morning");
      expect(await h.result).toBe("CALLBACK_WANTED");
      expect(h.said()).toBe("Thank you, I have written that down. Somebody will call you back. Goodbye.");
      expect(h.call.patches.at(-1)).toMatchObject({
        status: "CALLBACK_WANTED",
        data: { message: "my heating does not work call me in the morning" },
      });
      expect(h.call.log.at(-1)).toMatch(/^disconnect PLAYBACK_DRAINED/);
    });

    it("wants a call back for a caller who falls silent then", async () => {
      const h = await start();
      h.call.outcomes = ["UNANSWERED"];
      await h.caller("give me a human");
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await h.result).toBe("CALLBACK_WANTED");
      expect(h.call.patches.at(-1)?.status).toBe("CALLBACK_WANTED");
    });

    it("does not ask in an emergency, it tries again", async () => {
      const h = await start();
      h.call.outcomes = ["UNANSWERED"];
      await h.caller("i need an ambulance");
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations.map(({ reason }) => reason)).toEqual(["EMERGENCY", "EMERGENCY"]);
      expect(h.said()).toContain("dial the emergency number");
    });

    it("finishes when the caller leaves while it rings; the gateway writes that", async () => {
      const h = await start();
      h.call.outcomes = ["CALLER_LEFT"];
      await h.caller("give me a human");
      expect(await h.result).toBe("ABANDONED");
      expect(h.call.patches.some(({ status }) => status === "ABANDONED")).toBe(false);
    });

    it("writes ABANDONED itself when the caller leaves before the command", async () => {
      const h = await start();
      const speak = h.tts.speak.bind(h.tts);
      h.tts.speak = async (text) => {
        h.call.end();
        return speak(text);
      };
      await h.caller("give me a human");
      expect(await h.result).toBe("ABANDONED");
      expect(h.call.escalations).toHaveLength(0);
      expect(h.call.patches.at(-1)?.status).toBe("ABANDONED");
    });

    it("waits for the call's end after an unknown outcome, then talks again", async () => {
      const h = await start();
      h.call.outcomes = ["UNKNOWN"];
      await h.caller("give me a human");
      h.said();
      await vi.advanceTimersByTimeAsync(10_000);
      await h.settle();
      expect(h.said()).toContain("Shall I try once more");
      h.call.end();
      await h.result;
    });

    it("escalates when recognition fails", async () => {
      const h = await start();
      await h.caller(FAILED);
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations[0]?.reason).toBe("PROVIDER_FAILED");
    });

    it("escalates when the model fails", async () => {
      const model = new FakeReplyModel();
      model.next.push(FAILED);
      const h = await start({ model });
      await h.caller("tell me something");
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations[0]?.reason).toBe("PROVIDER_FAILED");
    });

    it("escalates when the model does not answer in time", async () => {
      const model = new FakeReplyModel();
      model.next.push(new Promise(() => {}));
      const h = await start({ model });
      await h.caller("tell me something");
      await vi.advanceTimersByTimeAsync(15_000);
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations[0]?.reason).toBe("PROVIDER_FAILED");
    });

    it("escalates without a word when it cannot speak", async () => {
      const h = await start();
      h.tts.fail = true;
      await h.caller("what is your address");
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations[0]?.reason).toBe("PROVIDER_FAILED");
    });

    it("does what the model's tool says, behind the model's words, with its summary", async () => {
      const model = new FakeReplyModel();
      model.next.push([
        { kind: "TEXT", text: "I see." },
        {
          kind: "TOOL_CALL",
          name: "escalate_to_human",
          arguments: { reason: "OUT_OF_SCOPE", summary: "One. Two. Three. Four." },
        },
      ]);
      const h = await start({ model });
      h.said();
      await h.caller("i would like to sell you a boat");
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.said()).toBe(
        "I see. That is something for a specialist. Let me connect you. One moment please.",
      );
      expect(h.call.escalations[0]).toMatchObject({
        reason: "OUT_OF_SCOPE",
        summary: "One. Two. Three.",
        summarySource: "MODEL",
      });
    });

    it("ends the call when the model's tool says so", async () => {
      const model = new FakeReplyModel();
      model.next.push([
        { kind: "TEXT", text: "Farewell." },
        { kind: "TOOL_CALL", name: "end_call", arguments: {} },
      ]);
      const h = await start({ model });
      await h.caller("i am happy now");
      expect(await h.result).toBe("ENDED");
      expect(h.call.log.at(-1)).toMatch(/^disconnect PLAYBACK_DRAINED/);
    });
  });

  describe("silence", () => {
    it("asks twice, then says goodbye and ends the call", async () => {
      const h = await start();
      h.said();
      const heard: string[] = [];
      for (let i = 0; i < 3; i++) {
        await vi.advanceTimersByTimeAsync(5_999);
        expect(h.said()).toBe("");
        await vi.advanceTimersByTimeAsync(1);
        await h.settle();
        heard.push(h.said());
      }
      expect(heard).toEqual([
        "Are you still there?",
        "I cannot hear you. Please say something if you are still there.",
        "I still cannot hear you, so I will end the call now. Goodbye.",
      ]);
      expect(await h.result).toBe("SILENT");
      expect(h.call.log.at(-1)).toMatch(/^disconnect PLAYBACK_DRAINED/);
    });

    it("counts from the end of what was said, and anew after the caller spoke", async () => {
      const h = await start({ call: { autoPlay: false } });
      h.said();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(h.said()).toBe("");
      h.call.playOut();
      await h.settle();
      h.call.autoPlay = true;
      await vi.advanceTimersByTimeAsync(6_000);
      await h.settle();
      expect(h.said()).toBe("Are you still there?");
      await h.caller("what is your address");
      h.said();
      await vi.advanceTimersByTimeAsync(6_000);
      await h.settle();
      expect(h.said()).toBe("Are you still there?");
      h.call.end();
      await h.result;
    });

    it("does not ask a caller who is speaking", async () => {
      const h = await start();
      h.said();
      await h.begin();
      await vi.advanceTimersByTimeAsync(20_000);
      expect(h.said()).toBe("");
      h.call.end();
      await h.result;
    });
  });

  it("ends quietly when the seat goes to another agent", async () => {
    const h = await start();
    h.call.end("SEAT_LOST");
    expect(await h.result).toBe("LOST");
    expect(h.call.patches.some(({ status }) => status === "ABANDONED")).toBe(false);
  });

  it("logs no words of the talk and no numbers", async () => {
    const h = await start();
    await h.caller("my password is swordfish");
    await h.caller("give me a human");
    await h.result;
    const logged = JSON.stringify(h.events);
    expect(logged).not.toContain("swordfish");
    expect(logged).not.toContain("15550100");
  });
});
