import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkFrozen, FROZEN_FOLDER } from "./frozen.js";

describe("what is frozen", () => {
  it("is what it always was, and nothing beside it is not", () => {
    checkFrozen();
    const sums = readFileSync(join(FROZEN_FOLDER, "SHA256SUMS"), "utf8");
    const files = readdirSync(FROZEN_FOLDER).filter((name) => /\.(?:mjs|py)$/.test(name));
    expect(files.filter((name) => !sums.includes(`  ${name}`))).toEqual([]);
  });

  it("refuses to run when a byte of it changed", () => {
    const folder = mkdtempSync(join(tmpdir(), "callweave-frozen-"));
    try {
      for (const name of ["SHA256SUMS", "floor-relay.mjs", "sdk_echo.py"])
        copyFileSync(join(FROZEN_FOLDER, name), join(folder, name));
      checkFrozen(folder);
      writeFileSync(join(folder, "floor-relay.mjs"), "\n", { flag: "a" });
      expect(() => checkFrozen(folder)).toThrow(/floor-relay\.mjs was changed.*adr/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
