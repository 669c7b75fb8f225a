import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const REQUIREMENTS = join(ROOT, "clients/python/requirements-dev.txt");
/** What is looked for, in this order; `CALLWEAVE_PYTHON` goes before. */
const PYTHONS = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
const IS_FIT = "import sys, venv; sys.exit(sys.version_info < (3, 10))";

/** A Python with all that the Python client needs, and the sources of the client on its path. */
export interface PythonVenv {
  /** Path of the interpreter. */
  readonly python: string;
  /** The folder with the programs of the environment. */
  readonly bin: string;
}

/**
 * The virtual environment `.cache/python-venv`, made once: a stamp holds the hash of its requirements, and a change of those
 * makes it anew. Undefined when there is no Python from 3.10 on.
 * @throws Error when the packages cannot be installed
 */
export function pythonVenv(): PythonVenv | undefined {
  const folder = join(ROOT, ".cache/python-venv");
  const bin = join(folder, process.platform === "win32" ? "Scripts" : "bin");
  const venv = { python: join(bin, "python"), bin };
  const stamp = join(folder, "requirements.sha256");
  // The folder belongs to it: a copied environment still points to the place where it was made.
  const hash = createHash("sha256").update(readFileSync(REQUIREMENTS)).update(folder).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash && works(venv.python)) return venv;
  const base = findPython();
  if (!base) return undefined;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  execFileSync(base, ["-m", "venv", folder], { stdio: "inherit" });
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  execFileSync(venv.python, [...install, "-r", REQUIREMENTS], { stdio: "inherit" });
  const find = "import site; print(site.getsitepackages()[0])";
  const packages = execFileSync(venv.python, ["-c", find], { encoding: "utf8" }).trim();
  writeFileSync(join(packages, "callweave.pth"), `${join(ROOT, "clients/python/src")}\n`);
  writeFileSync(stamp, hash);
  return venv;
}

function findPython(): string | undefined {
  return [process.env.CALLWEAVE_PYTHON, ...PYTHONS].find(
    (name) => name && spawnSync(name, ["-c", IS_FIT]).status === 0,
  );
}

/** Whether its interpreter still starts: the one that it was made from may be gone. */
function works(python: string): boolean {
  return spawnSync(python, ["-c", ""]).status === 0;
}
