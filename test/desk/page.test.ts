import { ContextStatus } from "@callweave/proto";
import { tone } from "@callweave/simulator";
import { connect } from "callweave";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { violationsOf } from "../../demo/desk/axe.js";
import { turnsOf } from "../../demo/desk/stage.js";
import { until } from "../harness/until.js";
import { useDesk } from "./desk-rig.js";

const ELSEWHERE = "desk.example.test";
const desk = useDesk({ hosts: [ELSEWHERE] });
const EVIL = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
const KEY = "0123456789abcdef-desk-1";
const OBSERVER = "0123456789abcdef-olga";
const AGENT = "0123456789abcdef-bot";

const missed = {
  callId: "missed-1",
  caller: "+15550147",
  callee: "+15550100",
  status: ContextStatus.CALLBACK_WANTED,
  summary: "Asks to be called back.",
};

describe("the page of the desk", () => {
  it("shows words of callers as words, whatever they are", async () => {
    const stage = await desk.stage();
    await stage.agent({}, async (call) => {
      await call.saveContext({ summary: EVIL, outcome: EVIL, data: { [EVIL]: EVIL } });
      await call.appendTurns(turnsOf([["CALLER", EVIL]]));
    });
    const phone = stage.simulator.placeCall({ from: EVIL });
    const page = await desk.page(`${stage.url}/calls/${phone.id}`);
    await page.locator(".turn-text").getByText(EVIL).waitFor();
    await page.locator(".summary-text").getByText(EVIL).waitFor();
    expect(await page.locator("#app img[src=x], #app script").count()).toBe(0);
    expect(desk.errors).toEqual([]);
  });

  it("keeps both words when two people write the outcome at once", async () => {
    const stage = await desk.stage();
    await stage.saveContext(missed);
    const [first, second] = await Promise.all([
      desk.page(`${stage.url}/calls/missed-1`),
      desk.page(`${stage.url}/calls/missed-1`),
    ]);
    const write = async (page: Page, text: string) => page.getByPlaceholder("How it ended").fill(text);
    await write(first, "told to wait");
    await write(second, "refund sent");
    await first.getByRole("button", { name: "Save" }).click();
    await first.getByText("Saved.").waitFor();
    await second.getByRole("button", { name: "Save" }).click();
    await second.getByText("Somebody changed this while you wrote.").waitFor();
    await second.getByText("told to wait").waitFor();
    await second.getByRole("button", { name: "Keep mine" }).click();
    await second.getByText("Saved.").waitFor();
    const client = connect({ endpoint: stage.address });
    stage.defer(() => client.close());
    const context = await client.contexts.get("missed-1");
    expect(context.outcome).toBe("refund sent");
    expect(context.notes.map(({ text }) => text)).toEqual(["told to wait"]);
  });

  it("lists missed callers, the oldest first, until they are called back", async () => {
    const stage = await desk.stage();
    await stage.saveContext(missed);
    await stage.saveContext({
      ...missed,
      callId: "missed-2",
      caller: "+15550166",
      status: ContextStatus.ABANDONED,
    });
    const page = await desk.page(`${stage.url}/missed`);
    const rows = page.locator(".missed .call-row");
    await rows.nth(1).waitFor();
    expect(await rows.first().textContent()).toContain("47");
    await rows.first().getByRole("button", { name: "Called back" }).click();
    await until(async () => (await rows.count()) === 1, "one caller to be left");
    expect(await rows.first().textContent()).toContain("Hung up while waiting");
    expect(await violationsOf(page, "missed")).toEqual([]);
  });

  it("sends a note to the agent, tells keys and speaks German", async () => {
    const stage = await desk.stage();
    const notes: string[] = [];
    await stage.agent({}, (call) => void call.on("note", ({ text }) => notes.push(text)));
    const phone = stage.simulator.placeCall({ from: "+15550123", caller: [tone(440)] });
    const page = await desk.page(`${stage.url}/calls/${phone.id}`, { locale: "de-DE" });
    await page.getByRole("button", { name: "Anruf übernehmen" }).waitFor();
    await page.keyboard.press("n");
    await page.getByRole("dialog").getByRole("textbox").fill("Frag nach der Bestellnummer.");
    await page.getByRole("button", { name: "Senden" }).click();
    await page.getByText("Der Agent hat sie.").waitFor();
    expect(notes).toEqual(["Frag nach der Bestellnummer."]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Mithören, oder nicht mehr").waitFor();
    expect(await violationsOf(page, "keys")).toEqual([]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("l");
    await page.locator(".wave").waitFor();
    await until(
      () => page.locator(".meter-bar").evaluate((bar) => !bar.outerHTML.includes("scaleX(0)")),
      "a level",
    );
    expect(await violationsOf(page, "listening")).toEqual([]);
    await page.keyboard.press("l");
    await page.locator(".wave").waitFor({ state: "detached" });
    // Single keys can be turned off.
    await page.keyboard.press("?");
    await page.getByLabel("Einzelne Tasten sind Befehle").uncheck();
    await page.keyboard.press("Escape");
    await page.keyboard.press("s");
    expect(new URL(page.url()).pathname).toContain("/calls/");
  });

  it("asks for a key, and says that there is no microphone without HTTPS off this machine", async () => {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const stage = await desk.stage({
      desk: { port, origins: [`http://${ELSEWHERE}:${port}`] },
      keys: [
        { name: "desk-1", key: KEY, role: "desk" },
        { name: "olga", key: OBSERVER, role: "observer" },
        { name: "bot", key: AGENT, role: "agent" },
      ],
    });
    await stage.agent({ token: AGENT }, () => {});
    const phone = stage.simulator.placeCall({ from: "+15550123" });
    const page = await desk.page(`http://${ELSEWHERE}:${port}/calls/${phone.id}`);
    const key = page.getByLabel("Your key");
    await key.fill("not-a-key-of-anybody");
    expect(await violationsOf(page, "sign-in")).toEqual([]);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This key is not known here.").waitFor();
    await key.fill(KEY);
    await page.keyboard.press("Enter");
    await page.getByText("without HTTPS the browser gives no microphone").waitFor();
    // Whoever the key names needs not be chosen; the key is nowhere that a script could read it.
    await page.getByText("desk-1", { exact: true }).waitFor();
    const readable = await page.evaluate(() => {
      const { document, localStorage, sessionStorage } = globalThis as unknown as Record<
        string,
        { cookie?: string }
      >;
      return JSON.stringify([document?.cookie, { ...localStorage }, { ...sessionStorage }]);
    });
    expect(readable).not.toContain(KEY);
    await page.getByRole("button", { name: "Sign out" }).click();
    await key.waitFor();
    await page.reload();
    // Somebody who may only look and listen is offered nothing else.
    await key.fill(OBSERVER);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Listen" }).waitFor();
    expect(await page.getByRole("button", { name: "Take the call" }).isDisabled()).toBe(true);
    expect(await page.getByRole("button", { name: "Note to the agent" }).count()).toBe(0);
  });

  it("holds 500 live calls and a talk of 2,000 turns, and draws what is in sight alone", async () => {
    const stage = await desk.stage();
    const phones = Array.from({ length: 500 }, (_, i) =>
      stage.simulator.placeCall({ from: `+1555${String(1_000 + i)}` }),
    );
    const page = await desk.page(stage.url);
    await page.locator(".queue-title").getByText("500").waitFor({ timeout: 30_000 });
    const first = phones[0]?.id ?? "";
    const turns = Array.from({ length: 2_000 }, (_, i) => ({
      id: `t${i}`,
      role: (1 + (i % 2)) as 1 | 2,
      text: `Sentence ${i}, ${"and so on ".repeat(1 + (i % 7))}`,
    }));
    await stage.saveContext({ callId: first, caller: "+15551000", turns });
    await page.goto(`${stage.url}/calls/${first}`);
    await page.locator(".transcript .count").getByText("2000").waitFor();
    for (const place of [".queue", ".transcript .virtual"]) {
      const { rows, medianMs, worstMs } = await scrolled(page, place);
      expect(rows, `rows of ${place} in the page`).toBeLessThan(60);
      // A frame is 17 ms; CI has two busy cores.
      expect(medianMs, `frame while ${place} scrolls, worst ${worstMs} ms`).toBeLessThan(60);
    }
  });

  it("showed no error in any page", () => {
    expect(desk.errors).toEqual([]);
  });
});

/** Scrolls a place from its beginning to its end in 60 frames. */
function scrolled(page: Page, place: string) {
  return page.locator(place).evaluate(async (box) => {
    const frames: number[] = [];
    let rows = 0;
    let last = performance.now();
    const next = () =>
      new Promise<void>((resolve) =>
        (globalThis as unknown as { requestAnimationFrame(run: () => void): void }).requestAnimationFrame(
          resolve,
        ),
      );
    const view = box as unknown as {
      scrollTop: number;
      scrollHeight: number;
      querySelectorAll(of: string): { length: number };
    };
    for (let i = 0; i <= 60; i++) {
      view.scrollTop = (view.scrollHeight * i) / 60;
      await next();
      const now = performance.now();
      frames.push(now - last);
      last = now;
      rows = Math.max(rows, view.querySelectorAll("li").length);
    }
    frames.sort((a, b) => a - b);
    return { rows, medianMs: frames[30] ?? 0, worstMs: frames.at(-1) ?? 0 };
  });
}
