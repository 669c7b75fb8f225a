import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { ROOT } from "./child.js";

/** The gateway as its image runs it, and what the bench loads into it. */
export interface Bundle {
  /** Arguments of node for `serve` and the other commands. */
  readonly gateway: readonly string[];
  /** Arguments of node that load the probe. */
  readonly probe: readonly string[];
}

let built: Bundle | undefined;

/**
 * Makes the one file that the image runs, with the image's arguments of node: that is what is measured. Run from its
 * sources the gateway has a loader with it, which doubles its memory.
 * @throws Error when it cannot be built
 */
export function bundle(): Bundle {
  if (built) return built;
  const made = spawnSync(process.execPath, ["deploy/bundle.mjs"], { cwd: ROOT, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`the gateway cannot be bundled:\n${made.stderr}`);
  const probe = join(ROOT, ".cache/bench/probe.mjs");
  buildSync({
    entryPoints: [join(ROOT, "bench/processes/probe.ts")],
    outfile: probe,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
  built = {
    gateway: ["--enable-source-maps", "gateway/dist/bin/gateway.mjs"],
    probe: ["--import", probe],
  };
  return built;
}
