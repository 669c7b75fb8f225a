import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveSpeechPython } from "./install.mjs";

const SCRIPT = fileURLToPath(new URL("./install.mjs", import.meta.url));

describe("install.mjs", () => {
  let cache: string;
  const before = { ...process.env };

  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), "speech-python-"));
    process.env.CALLWEAVE_CACHE_DIR = cache;
    delete process.env.CALLWEAVE_PYTHON;
  });
  afterEach(() => {
    process.env = { ...before };
    rmSync(cache, { recursive: true, force: true });
  });

  const stamp = (content: object) => {
    mkdirSync(cache, { recursive: true });
    writeFileSync(
      join(cache, "speech-python.json"),
      JSON.stringify({ version: 1, requested: "", ...content }),
    );
  };

  it("knows nothing before an install", () => {
    expect(resolveSpeechPython()).toBeUndefined();
  });

  it("gives what was found, as long as it is there and was asked for", () => {
    const found = { python: process.execPath, env: {} };
    stamp({ found });
    expect(resolveSpeechPython()).toEqual(found);
    process.env.CALLWEAVE_PYTHON = "another";
    expect(resolveSpeechPython()).toBeUndefined();
    delete process.env.CALLWEAVE_PYTHON;
    stamp({ found: { python: join(cache, "gone"), env: {} } });
    expect(resolveSpeechPython()).toBeUndefined();
    stamp({ found: { python: process.execPath, env: { PYTHONPATH: join(cache, "gone") } } });
    expect(resolveSpeechPython()).toBeUndefined();
  });

  it("never fails an install, prints one line, and is remembered as failed for the same asker only", () => {
    // A machine without any Python: no PATH.
    const env = { ...process.env, PATH: cache, CALLWEAVE_PYTHON: join(cache, "none") };
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [SCRIPT, ...args], { env, encoding: "utf8" });
    const first = run("--best-effort");
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/^callweave: no offline speech recognition \(no CPython .*\n$/);
    expect(run().status).toBe(1);
  });
});
