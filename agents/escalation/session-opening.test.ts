import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Turn } from "./call-port.js";
import { WORD_MS } from "./testing/fake-speech.js";
import { Harness, type HarnessOptions } from "./testing/harness.js";

async function start(options: HarnessOptions = {}): Promise<Harness> {
  const harness = new Harness(options);
  await harness.settle();
  return harness;
}

describe("EscalationSession, opening", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  describe("opening", () => {
    it("answers, says that it is automated and writes the talk down, and notes that it said so", async () => {
      const h = await start();
      expect(h.call.log[0]).toBe("answer");
      expect(h.said()).toBe(
        "Hello, you are talking to an automated assistant, and our talk is written down. How can I help you?",
      );
      expect(h.call.patches[0]).toMatchObject({ status: "ACTIVE", consent: { transcript: true } });
      expect(h.call.patches[0]?.consent?.disclosedTime).toBeInstanceOf(Date);
      h.call.end();
      await h.result;
    });

    it("says the disclosure to its end, whatever the caller says meanwhile, but not the rest", async () => {
      const h = await start({ call: { autoPlay: false } });
      await h.begin();
      expect(h.call.log).not.toContain("clear");
      h.call.playOut(14 * WORD_MS);
      await h.settle();
      await h.stop("hello");
      await h.begin();
      expect(h.call.log).toContain("clear");
      h.call.end();
      await h.result;
    });

    it("takes up the talk of another agent without a second greeting", async () => {
      const turns: Turn[] = [
        { id: "1-a1", role: "AI", text: "Hello …", locale: "en", time: new Date(0) },
        { id: "1-c1", role: "CALLER", text: "where is my order", locale: "en", time: new Date(1) },
        { id: "1-a2", role: "AI", text: "What is your order number?", locale: "en", time: new Date(2) },
      ];
      const h = await start({
        call: { attempt: 2, context: { turns, summary: "", status: "ACTIVE", transcriptAllowed: true } },
      });
      expect(h.said()).toBe("Sorry about that, we were talking about an order. What is your order number?");
      await h.caller("four seven one two");
      expect(h.said()).toMatch(/^Your order 4 7 1 2/);
      h.call.end();
      await h.result;
      expect([...h.call.turns.keys()]).toEqual(["2-a1", "2-c1", "2-a2"]);
    });

    it("only says goodbye when the agent before it was at that", async () => {
      const turns: Turn[] = [{ id: "1-a1", role: "AI", text: "Hello", locale: "en", time: new Date(0) }];
      const h = await start({
        call: {
          attempt: 2,
          context: { turns, summary: "", status: "CALLBACK_WANTED", transcriptAllowed: true },
        },
      });
      expect(await h.result).toBe("CALLBACK_WANTED");
      expect(h.said()).toBe("Thank you for calling. Goodbye.");
      expect(h.call.patches).toEqual([]);
    });

    it("goes on connecting when the agent before it was at that", async () => {
      const h = await start({
        call: {
          attempt: 2,
          context: {
            turns: [],
            summary: "The caller is upset.",
            status: "ESCALATING",
            escalationReason: "FRUSTRATED",
            transcriptAllowed: true,
          },
        },
      });
      expect(await h.result).toBe("HANDED_OVER");
      expect(h.call.escalations[0]).toMatchObject({ reason: "FRUSTRATED", summary: "The caller is upset." });
    });
  });
});
