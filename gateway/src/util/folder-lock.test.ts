import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FolderInUse, lockFolder } from "./folder-lock.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("lockFolder", () => {
  it("can be released and taken again, also by the same process", async () => {
    const first = await lockFolder(folder);
    const second = await lockFolder(folder);
    await first.release();
    await second.release();
    await (await lockFolder(folder)).release();
  });

  it("is refused while another process has it, and taken over when that one is gone", async () => {
    const file = JSON.stringify(new URL("./folder-lock.ts", import.meta.url).href);
    const script = `import(${file}).then((m) => m.lockFolder(${JSON.stringify(folder)})).then(() => { console.log("locked"); setInterval(() => {}, 1000); })`;
    const other = spawn(process.execPath, ["--import", "tsx", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await new Promise((resolve) => other.stdout.once("data", resolve));
      await expect(lockFolder(folder)).rejects.toThrow(FolderInUse);
      await expect(lockFolder(folder)).rejects.toThrow(new RegExp(`in use by process ${other.pid}`));
    } finally {
      const gone = new Promise((resolve) => other.once("exit", resolve));
      other.kill("SIGKILL");
      await gone;
    }
    await (await lockFolder(folder)).release();
  });

  it("takes over what a process left whose number another one has now", async () => {
    await writeFile(join(folder, "owner"), `${process.ppid} another-boot 1`);
    await lockFolder(folder);
    expect(await readFile(join(folder, "owner"), "utf8")).toMatch(new RegExp(`^${process.pid}\\b`));
  });

  it.each(["", "nonsense", "0"])("takes over a broken file: %s", async (text) => {
    await writeFile(join(folder, "owner"), text);
    await (await lockFolder(folder)).release();
  });
});
