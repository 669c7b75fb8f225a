import { execFile } from "node:child_process";
import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The vendor's SDK this proof is about. */
export const SDK_REQUIREMENT = "telcoflow==1.0.0";

const CACHE = fileURLToPath(new URL("../../.cache/sdk-proof", import.meta.url));

async function findPython(): Promise<string | undefined> {
  for (const name of ["python3", "python3.13", "python3.12", "python3.11"]) {
    try {
      const { stdout } = await run(name, ["-c", "import sys; print(sys.version_info >= (3, 11))"]);
      if (stdout.trim() === "True") return name;
    } catch {
      // not installed
    }
  }
  return undefined;
}

/**
 * Path of a Python that has the SDK, in a virtual environment under `.cache/`, made once. Returns the reason
 * instead when there is no Python from 3.11 on.
 * @throws Error when the SDK cannot be installed, and, with CI=true, when there is no Python
 */
export async function sdkPython(): Promise<{ python: string } | { skip: string }> {
  const python = join(CACHE, "bin", "python");
  const stamp = join(CACHE, `installed-${SDK_REQUIREMENT}`);
  try {
    await access(stamp);
    await access(python);
    return { python };
  } catch {
    // to be made
  }
  const base = await findPython();
  if (!base) {
    const reason = "no Python 3.11 or newer: the vendor's SDK cannot run here";
    if (process.env.CI === "true") throw new Error(reason);
    return { skip: reason };
  }
  await rm(CACHE, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  await run(base, ["-m", "venv", CACHE]);
  await run(python, ["-m", "pip", "install", "--quiet", SDK_REQUIREMENT]);
  await writeFile(stamp, "");
  return { python };
}
