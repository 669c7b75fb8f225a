import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Measures the lines of the parsers that unit tests and the fuzzer reach; prints the table. Answers the exit code. */
export function measureCoverage(): Promise<number> {
  const child = spawn(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--config", "test/fuzz/coverage.config.ts"],
    { cwd: ROOT, stdio: "inherit" },
  );
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}
