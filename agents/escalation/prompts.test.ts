import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HelpDesk } from "./dialogue/help-desk.js";
import { Judge } from "./dialogue/judge.js";
import { replyTools } from "./dialogue/reply-tools.js";
import { fill, loadPrompts, PROMPTS_DIR } from "./prompts.js";

const locales = readdirSync(PROMPTS_DIR).map((file) => file.replace(".yaml", ""));

describe("prompts", () => {
  it.each(locales)("%s is complete, and names placeholders that are filled in", (locale) => {
    const prompts = loadPrompts(locale);
    expect(prompts.locale).toBe(locale);
    const known = new Set(["topic", "business", "number", "state", "topics", "words", "message", "facts"]);
    const used = JSON.stringify(prompts).match(/\{(\w+)\}/g) ?? [];
    for (const placeholder of used) expect(known).toContain(placeholder.slice(1, -1));
    expect(replyTools(prompts).map(({ name }) => name)).toEqual(["escalate_to_human", "end_call"]);
  });

  it.each(locales)("%s says first that it is automated and that the talk is written down", (locale) => {
    const { disclosure } = loadPrompts(locale).sentences;
    expect(disclosure).toMatch(/automat/i);
    expect(disclosure).toMatch(/written down|mitgeschrieben/);
  });

  it.each([
    ["ich möchte mit einem Menschen sprechen", "ASKED_FOR_HUMAN"],
    ["das ist eine Unverschämtheit", "FRUSTRATED"],
    ["ich will mein Geld zurück", "OUT_OF_SCOPE"],
    ["das ist ein Notfall", "EMERGENCY"],
  ])("German: %s is %s", (text, reason) => {
    const verdict = new Judge(loadPrompts("de")).judge([{ role: "CALLER", text }]);
    expect(verdict).toEqual({ kind: "ESCALATE", reason });
  });

  it("German topics are found", () => {
    const desk = new HelpDesk(loadPrompts("de"));
    expect(desk.topicOf("Wann haben Sie geöffnet?")?.id).toBe("opening_hours");
    expect(desk.topicOf("Wo ist mein Paket?")?.id).toBe("order_status");
    expect(desk.digitsOf("vier sieben eins zwo")).toBe("4712");
  });

  it("takes the language for a region, and the fallback for what is not there", () => {
    expect(loadPrompts("de-AT").locale).toBe("de");
    expect(loadPrompts("xx").locale).toBe("en");
    expect(loadPrompts("../../etc/passwd").locale).toBe("en");
  });

  it("names the field that is wrong", () => {
    const folder = mkdtempSync(join(tmpdir(), "prompts-"));
    writeFileSync(join(folder, "en.yaml"), "locale: en\nbusiness: us\n");
    expect(() => loadPrompts("en", folder)).toThrow(/en\.yaml: .*sentences/);
    expect(() => loadPrompts("de", join(folder, "none"))).toThrow(/no prompts for/);
    rmSync(folder, { recursive: true });
  });

  it("fills in", () => {
    expect(fill("a {b} {c}", { b: "x" })).toBe("a x ");
  });
});
