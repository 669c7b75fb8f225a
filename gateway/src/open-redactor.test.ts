import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRedactor } from "./open-redactor.js";
import type { Logger } from "./util/logger.js";

const config = { cards: true, ibans: true, emails: true, patterns: [] };
const errors: string[] = [];
const logger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (_fields, message) => void errors.push(String(message)),
};
let folder: string;

beforeEach(async () => {
  errors.length = 0;
  folder = await mkdtemp(join(tmpdir(), "callweave-hook-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function hook(source: string): Promise<string> {
  const file = join(folder, "hook.mjs");
  await writeFile(file, source);
  return file;
}

describe("openRedactor", () => {
  it("uses patterns and the hook of the configuration", async () => {
    const hookFile = await hook("export default (text) => text.replaceAll('tulip', '[flower]');");
    const patterns = [{ name: "order", pattern: "\\bA\\d{3}\\b", mark: "[order]" }];
    const redactor = await openRedactor({ ...config, patterns, hookFile }, logger);
    expect(redactor.text("A123, tulip, A12, a@b.example")).toBe("[order], [flower], A12, [e-mail]");
    expect(errors).toEqual([]);
  });

  it("keeps no words when the hook fails, and says so without them", async () => {
    const redactor = await openRedactor(
      { ...config, hookFile: await hook("export default (text) => { throw new Error(text); };") },
      logger,
    );
    expect(redactor.text("words")).toBe("[redacted]");
    expect(errors).toEqual(["redaction hook failed: the text is not kept"]);
  });

  it.each([
    ["export const other = 1;", /hook_file: must export a function as default/],
    ["export default (", /hook_file: cannot be loaded/],
  ])("does not start with %j", async (source, message) => {
    await expect(openRedactor({ ...config, hookFile: await hook(source) }, logger)).rejects.toThrow(message);
  });
});
