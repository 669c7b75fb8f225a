import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { type BrowserOptions, TestBrowser } from "../../demo/desk/browser.js";
import { Stage, type StageOptions } from "../../demo/desk/stage.js";

/** People of the tests, who share a pool; the first has a number of its own. */
export const USERS = [
  { name: "desk-1", numbers: ["+15550100"], pools: ["people"] },
  { name: "desk-2", numbers: [], pools: ["people"] },
];

/** One Chromium for the tests of a file; stages and windows end with each test. */
export class DeskRig {
  browser: TestBrowser | undefined;
  readonly stages: Stage[] = [];
  readonly contexts: BrowserContext[] = [];
  /** What went wrong inside pages, in all tests of the file. */
  readonly errors: string[] = [];

  async stage(options: StageOptions = {}): Promise<Stage> {
    const stage = await Stage.set({ ...options, desk: { users: USERS, ...options.desk } });
    this.stages.push(stage);
    return stage;
  }

  /** A person's window at a path of the desk. */
  async page(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    if (!this.browser) throw new Error("no browser");
    const context = await this.browser.context(options);
    this.contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) this.errors.push(message.text());
    });
    page.on("dialog", (dialog) => {
      this.errors.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await page.goto(url);
    return page;
  }

  /** The window of somebody by name, on shift. */
  async person(stage: Stage, name: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.page(stage.url, options);
    await page.locator("select.person").selectOption(name);
    await page.locator(".shift").click();
    await page.locator(".shift.on").waitFor();
    return page;
  }

  async clear(): Promise<void> {
    for (const context of this.contexts.splice(0)) await context.close();
    for (const stage of this.stages.splice(0)) await stage.strike();
  }
}

/** A rig for the tests of a file. */
export function useDesk(options: BrowserOptions = {}): DeskRig {
  const rig = new DeskRig();
  beforeAll(async () => {
    rig.browser = await TestBrowser.start(options);
  }, 60_000);
  afterEach(() => rig.clear());
  afterAll(() => rig.browser?.stop());
  return rig;
}
