import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeLogger } from "../contract/testing.js";
import { ReloadOnChange } from "./reload-on-change.js";

let folder: string;
const stops: (() => void)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "callweave-reload-"));
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  rmSync(folder, { recursive: true, force: true });
});

function rig(files: readonly string[], more: readonly string[] = []) {
  const state = { reads: 0, applied: 0, fail: false };
  const logger = new FakeLogger();
  const reload = new ReloadOnChange({
    read: (onFile) => {
      state.reads++;
      if (state.fail) throw new Error("not now");
      for (const file of [...files, ...more]) onFile(file);
      return state.reads;
    },
    apply: async () => {
      state.applied++;
    },
    files,
    intervalMs: 5,
    logger,
  });
  stops.push(() => reload.stop());
  return { state, logger, reload };
}

describe("ReloadOnChange", () => {
  it("reads again when a file is written, replaced, or is behind a link that was turned", async () => {
    const [plain, link] = [join(folder, "plain"), join(folder, "link")];
    for (const name of ["plain", "v1", "v2"]) writeFileSync(join(folder, name), "1");
    symlinkSync(join(folder, "v1"), link);
    const { state } = rig([plain, link]);
    writeFileSync(plain, "22");
    await expect.poll(() => state.applied).toBe(1);
    writeFileSync(join(folder, "new"), "33");
    renameSync(join(folder, "new"), plain);
    await expect.poll(() => state.applied).toBe(2);
    unlinkSync(link);
    symlinkSync(join(folder, "v2"), link);
    await expect.poll(() => state.applied).toBeGreaterThanOrEqual(3);
  });

  it("keeps what there is when it cannot be read, and goes on when it can (fault 51)", async () => {
    const file = join(folder, "plain");
    writeFileSync(file, "1");
    const { state, logger } = rig([file]);
    state.fail = true;
    writeFileSync(file, "22");
    await expect.poll(() => state.reads).toBe(1);
    expect(state.applied).toBe(0);
    expect(logger.lines.at(-1)).toMatchObject({ level: "error", fields: { err: "not now", why: "file" } });
    state.fail = false;
    writeFileSync(file, "333");
    await expect.poll(() => state.applied).toBe(1);
  });

  it("watches the files that the newest reading named", async () => {
    const [first, second] = [join(folder, "a"), join(folder, "b")];
    for (const file of [first, second]) writeFileSync(file, "1");
    const { state, reload } = rig([first], [second]);
    writeFileSync(second, "22");
    await reload.reload("SIGHUP");
    expect(state.applied).toBe(1);
    writeFileSync(second, "333");
    await expect.poll(() => state.applied).toBe(2);
  });

  it("takes what comes while it reads as one more reading", async () => {
    const { state, reload } = rig([]);
    await Promise.all([reload.reload("a"), reload.reload("b"), reload.reload("c")]);
    expect(state.reads).toBe(2);
  });
});
