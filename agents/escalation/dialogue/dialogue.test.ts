import { describe, expect, it } from "vitest";
import { loadPrompts } from "../prompts.js";
import { HelpDesk } from "./help-desk.js";
import { Judge, type Verdict } from "./judge.js";
import { contains, PhraseSet, parsePhrase, sounds, words } from "./phrases.js";
import { atMostThreeSentences, summarise } from "./summary.js";

const prompts = loadPrompts("en");
const desk = new HelpDesk(prompts);
const caller = (text: string) => ({ role: "CALLER" as const, text });
const ai = (text: string) => ({ role: "AI" as const, text });

function judgeOnce(text: string): Verdict {
  return new Judge(prompts, { understands: (turns) => desk.understands(turns) }).judge([caller(text)]);
}

async function reply(turns: Parameters<HelpDesk["understands"]>[0]): Promise<string> {
  let said = "";
  for await (const part of desk.reply({ turns, locale: "en", instructions: "", tools: [] })) {
    said += part.kind === "TEXT" ? part.text : `[${part.name} ${JSON.stringify(part.arguments)}]`;
  }
  return said;
}

describe("phrases", () => {
  it("are words in order with others between them", () => {
    expect(contains(words("I would like to talk to a real person"), parsePhrase("talk person"))).toBe(true);
    expect(contains(words("a person who talks"), parsePhrase("talk person"))).toBe(false);
    expect(contains(words("talk one two three four person"), parsePhrase("talk person"))).toBe(false);
  });

  it("have alternatives, and others that take them back", () => {
    const set = new PhraseSet(["want|need human|person"], ["not want|need"]);
    expect(set.matches(words("I need a person"))).toBe(true);
    expect(set.matches(words("I do not need a person"))).toBe(false);
  });

  it.each([
    ["password", "passwords", true],
    ["passport", "password", true],
    ["representatve", "representative", true],
    ["fire", "hire", false],
    ["for", "four", false],
    ["order", "border", false],
    ["orders", "order", true],
  ])("%s sounds like %s: %s", (said, word, expected) => {
    expect(sounds(said, word)).toBe(expected);
  });

  it("knows words in any script, without punctuation", () => {
    expect(words("Don't! Öffnungszeiten?")).toEqual(["dont", "öffnungszeiten"]);
  });
});

describe("Judge", () => {
  // Sentences of callers and, where it differed, what the offline recogniser made of them.
  it.each([
    ["i want to speak to a human please", "ASKED_FOR_HUMAN"],
    ["can i talk to a real person", "ASKED_FOR_HUMAN"],
    ["can i got to a real person please", "ASKED_FOR_HUMAN"],
    ["please connect me with an agent", "ASKED_FOR_HUMAN"],
    ["give me a human", "ASKED_FOR_HUMAN"],
    ["operator", "ASKED_FOR_HUMAN"],
    ["i do not want to talk to a machine", "ASKED_FOR_HUMAN"],
    ["this is ridiculous you not understand me", "FRUSTRATED"],
    ["i have asked him three times already", "FRUSTRATED"],
    ["i have s q three times already", "FRUSTRATED"],
    ["this is a waste of my time", "FRUSTRATED"],
    ["i want my money back", "OUT_OF_SCOPE"],
    ["i want to complain about the contract", "OUT_OF_SCOPE"],
    ["there is a fire in the building", "EMERGENCY"],
    ["i need an ambulance ride know", "EMERGENCY"],
    ["please help my father is not breathing", "EMERGENCY"],
    // Danger goes before anger and before the wish for a human.
    ["this is ridiculous give me a human there is a fire", "EMERGENCY"],
  ])("%s: %s", (text, reason) => {
    expect(judgeOnce(text)).toEqual({ kind: "ESCALATE", reason });
  });

  it.each([
    ["sorry i had the wrong number", "WRONG_NUMBER"],
    ["no sent you that is all", "GOODBYE"],
    ["no", "GOODBYE"],
    ["please call me back tomorrow morning", "CALLBACK"],
    ["please do not record this", "REFUSES_TRANSCRIPT"],
    ["what are your opening hours", "REPLY"],
    ["are you again on sunday", "REPLY"],
    ["how can my research my password", "REPLY"],
    ["are you a human", "NOT_UNDERSTOOD"],
    ["i do not need a human", "NOT_UNDERSTOOD"],
    ["the weather is nice today", "NOT_UNDERSTOOD"],
    ["", "NOT_UNDERSTOOD"],
  ])("%s: %s", (text, kind) => {
    expect(judgeOnce(text).kind).toBe(kind);
  });

  it("counts misunderstandings in a row only", () => {
    const judge = new Judge(prompts, { understands: (turns) => desk.understands(turns) });
    expect(judge.judge([caller("purple")]).kind).toBe("NOT_UNDERSTOOD");
    expect(judge.judge([caller("what is your address")]).kind).toBe("REPLY");
    expect(judge.judge([caller("purple")]).kind).toBe("NOT_UNDERSTOOD");
    expect(judge.judge([caller("")])).toEqual({ kind: "ESCALATE", reason: "NOT_UNDERSTOOD" });
  });

  it("takes a recogniser that is not sure for not understood", () => {
    const judge = new Judge(prompts);
    expect(judge.judge([caller("what is your address")], 0.1).kind).toBe("NOT_UNDERSTOOD");
  });

  it("adds weak signs of anger up over some turns", () => {
    const judge = new Judge(prompts);
    const turns = [caller("that is annoying")];
    expect(judge.judge(turns).kind).toBe("REPLY");
    turns.push(caller("it is still not there"));
    expect(judge.judge(turns)).toEqual({ kind: "ESCALATE", reason: "FRUSTRATED" });
  });
});

describe("HelpDesk", () => {
  it.each([
    ["hello what are your opening hours", "opening_hours"],
    ["are you open on sunday", "opening_hours"],
    ["i would like to know where my yard areas", "order_status"],
    ["my package has not arrived yet", "order_status"],
    ["where is your office", "address"],
    ["i forgot my password", "password"],
    ["can you tell me how much the delivery costs", "delivery"],
    ["i want to change my delivery address", "delivery"],
    ["can i pay by credit card", "payment"],
    ["hello", "greeting"],
    ["the weather is nice", undefined],
  ])("%s is about %s", (text, topic) => {
    expect(desk.topicOf(text)?.id).toBe(topic);
  });

  it("reads numbers, spoken and misheard", () => {
    expect(desk.digitsOf("four seven one two")).toBe("4712");
    expect(desk.digitsOf("it is for seven won too")).toBe("4712");
    expect(desk.digitsOf("4712 please")).toBe("4712");
  });

  it("asks for the number once, then digit by digit, then looks it up", async () => {
    const turns = [caller("where is my order")];
    turns.push(ai(await reply(turns)) as never);
    expect(turns.at(-1)?.text).toBe("What is your order number?");
    turns.push(caller("well let me see"));
    turns.push(ai(await reply(turns)) as never);
    expect(turns.at(-1)?.text).toContain("digit by digit");
    turns.push(caller("one two three four"));
    expect(await reply(turns)).toBe(
      "Your order 1 2 3 4 is being packed and leaves our warehouse today. Is there anything else?",
    );
  });

  it("takes a number that comes with the question", async () => {
    expect(await reply([caller("where is my order four seven one two")])).toMatch(/^Your order 4 7 1 2/);
  });

  it("hands over when the number is unknown twice", async () => {
    const turns = [ai("What is your order number?"), caller("nine nine nine nine")];
    const first = await reply(turns);
    expect(first).toContain("cannot find");
    turns.push(ai(first), caller("nine nine nine eight"));
    expect(await reply(turns)).toBe('[escalate_to_human {"reason":"OUT_OF_SCOPE"}]');
  });

  it("answers another question in the middle of it", async () => {
    const turns = [
      caller("where is my order"),
      ai("What is your order number?"),
      caller("what is your address"),
    ];
    expect(await reply(turns)).toContain("Station Road");
  });
});

describe("summaries", () => {
  const topicOf = (text: string) => desk.topicOf(text)?.name;

  it("have at most three sentences, whatever the caller said", () => {
    const turns = [
      caller("Where is my order? It is late! Really."),
      ai("…"),
      caller("And your address. Now."),
    ];
    const text = summarise(prompts, turns, topicOf, { reason: "FRUSTRATED" });
    expect(text).toBe(
      "The caller asked about an order and our address. The last words of the caller were: And your address Now. The caller is upset.",
    );
  });

  it("tell a message, and a caller without a matter", () => {
    const text = summarise(prompts, [caller("purple")], topicOf, {
      reason: "NOT_UNDERSTOOD",
      message: "call me",
    });
    expect(text.split(". ")).toHaveLength(3);
    expect(text).toContain("left a message: call me.");
  });

  it("of a model are cut to three sentences", () => {
    expect(atMostThreeSentences("One.  Two!\nThree? Four.")).toBe("One. Two! Three?");
    expect(atMostThreeSentences("no end")).toBe("no end");
    expect(atMostThreeSentences("")).toBe("");
  });
});
