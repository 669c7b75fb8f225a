import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./child.js";

let built: string | undefined;

/**
 * The load generator and the agents of bench/go, as a program; `go build` makes it when its sources changed. Undefined when
 * there is no Go.
 * @throws Error when it cannot be built, and, with CI=true, when there is no Go
 */
export function goProgram(): string | undefined {
  if (built) return built;
  if (spawnSync("go", ["version"]).status !== 0) {
    if (process.env.CI === "true") throw new Error("no Go: the load generator cannot be built");
    return undefined;
  }
  const folder = join(ROOT, ".cache/bench");
  mkdirSync(folder, { recursive: true });
  const binary = join(folder, "callweave-bench");
  const build = spawnSync("go", ["build", "-o", binary, "."], {
    cwd: join(ROOT, "bench/go"),
    encoding: "utf8",
  });
  if (build.status !== 0) throw new Error(`bench/go cannot be built:\n${build.stderr}`);
  built = binary;
  return binary;
}
