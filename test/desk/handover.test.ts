import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

describe("npm run demo:desk", () => {
  it("hands a caller over to a person in a browser, who is heard and hears", async () => {
    const folder = await mkdtemp(join(tmpdir(), "callweave-demo-desk-"));
    const args = ["--import", "tsx", "demo/desk/main.ts", "--once", "--json", "--pictures", folder];
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, args, { timeout: 150_000 }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
    try {
      const last = output.trim().split("\n").at(-1) ?? "";
      const { screenshots, ...result } = JSON.parse(last.startsWith("{") ? last : "{}");
      expect(result, output).toEqual({
        ok: true,
        contextSeenBeforeTaken: true,
        seatTaken: true,
        callerHeardMicrophone: true,
        deskHeardCaller: true,
        whisperHeardBySpecialistOnly: true,
        axeViolations: 0,
      });
      expect(screenshots.length).toBe(9);
      for (const path of screenshots) expect((await stat(path)).size).toBeGreaterThan(10_000);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 180_000);
});
