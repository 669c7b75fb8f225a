import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The folder of the page, beside the gateway's own. */
const DESK = fileURLToPath(new URL("../../../desk/", import.meta.url));
/** How long the build may take, ms. */
const BUILD_TIMEOUT_MS = 120_000;

/**
 * The folder of the built page. In a clone the page is built when it is not there or older than its sources, in a
 * process of its own, some two seconds; in an image only what was built is there. Rejects with what to do.
 */
export async function builtPage(desk = DESK): Promise<string> {
  const folder = join(desk, "dist");
  const build = join(desk, "build.mjs");
  if (existsSync(build)) {
    try {
      await promisify(execFile)(process.execPath, [build], { timeout: BUILD_TIMEOUT_MS });
    } catch (error) {
      const { stderr = "" } = error as { stderr?: string };
      throw new Error(`the page of the desk cannot be built; try: npm run desk:build\n${stderr}`.trim(), {
        cause: error,
      });
    }
  }
  if (!existsSync(join(folder, "index.html"))) throw new Error(`the page of the desk is not in ${folder}`);
  return folder;
}
