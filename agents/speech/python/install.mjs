// @ts-check
/**
 * Finds or installs a Python that has `pocketsphinx` (speech recognition, English model inside the wheel), for the
 * offline speech of the agents. Plain node, so that it can run as `postinstall` before anything else is there.
 *
 *   node agents/speech/python/install.mjs                 install; exit status 1 when nothing fits
 *   node agents/speech/python/install.mjs --best-effort   the same, one line, always exit status 0
 *
 * Order of interpreters: $CALLWEAVE_PYTHON, python3.13, 3.11, 3.12, 3.10, python3, python, `py -3`. For each: a virtual
 * environment in `.cache/speech-venv`, else `pip --target .cache/python`; at last `uv`. A stamp file makes every later
 * call fast and free of the network.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const STAMP_VERSION = 1;
const STEP_TIMEOUT_MS = 180_000;
/** A failed try at run time is not repeated for so long; one at install time is repeated at the first run. */
const RETRY_AFTER_MS = 60 * 60 * 1000;
const PIP = [
  "install",
  "--no-deps",
  "--only-binary=:all:",
  "--disable-pip-version-check",
  "-q",
  "--retries",
  "1",
];
const PIP_TIMEOUT = ["--timeout", "20"];
const CHECK = "from pocketsphinx import Decoder; Decoder(samprate=16000, loglevel='FATAL')";
const ABOUT =
  "import sys, platform; print(sys.executable); print('%d.%d' % sys.version_info[:2]); print(platform.python_implementation())";

/** Which release has a wheel for which CPython. @type {Record<string, string>} */
const REQUIREMENT_OF = {
  3.13: "pocketsphinx==5.1.1",
  3.11: "pocketsphinx==5.1.1",
  3.12: "pocketsphinx==5.0.4",
  "3.10": "pocketsphinx==5.0.4",
  3.8: "pocketsphinx==5.0.4",
};

/** @typedef {{ python: string, env: Record<string, string> }} SpeechPython */
/** @typedef {{ version: number, requested: string, found?: SpeechPython, failed?: { at: number, by: string, why: string } }} Stamp */

/** Where what is installed goes. @returns {string} */
export function speechCacheDir() {
  return process.env.CALLWEAVE_CACHE_DIR ? resolve(process.env.CALLWEAVE_CACHE_DIR) : join(ROOT, ".cache");
}

const stampPath = () => join(speechCacheDir(), "speech-python.json");
const requested = () => process.env.CALLWEAVE_PYTHON ?? "";

/** @returns {Stamp | undefined} */
function readStamp() {
  try {
    const stamp = JSON.parse(readFileSync(stampPath(), "utf8"));
    return stamp.version === STAMP_VERSION && stamp.requested === requested() ? stamp : undefined;
  } catch {
    return undefined;
  }
}

/** @param {Omit<Stamp, "version" | "requested">} content */
function writeStamp(content) {
  mkdirSync(speechCacheDir(), { recursive: true });
  const temporary = `${stampPath()}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify({ version: STAMP_VERSION, requested: requested(), ...content }));
  renameSync(temporary, stampPath());
}

/**
 * The Python found by an earlier install, or undefined. Reads one small file, starts nothing, needs no network.
 * @returns {SpeechPython | undefined}
 */
export function resolveSpeechPython() {
  const found = readStamp()?.found;
  if (!found || !existsSync(found.python)) return undefined;
  if (found.env.PYTHONPATH && !existsSync(found.env.PYTHONPATH.split(delimiter)[0] ?? "")) return undefined;
  return found;
}

/**
 * Run a program to its end.
 * @param {string} command @param {string[]} args @param {Record<string, string>} [env]
 * @returns {Promise<{ ok: boolean, stdout: string, why: string }>}
 */
function run(command, args, env = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    let stdout = "";
    let stderr = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), STEP_TIMEOUT_MS);
    child.stdout.on("data", (chunk) => {
      stdout = (stdout + chunk).slice(-8192);
    });
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-8192);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      done({ ok: false, stdout, why: error.message });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ ok: code === 0, stdout, why: stderr.trim().split("\n").at(-1) ?? `exit ${code}` });
    });
  });
}

/** Interpreters on this machine that a wheel exists for, best first. */
async function interpreters() {
  const own = requested();
  const candidates = [
    ...(own ? [[own]] : []),
    ["python3.13"],
    ["python3.11"],
    ["python3.12"],
    ["python3.10"],
    ["python3"],
    ["python"],
    ...(process.platform === "win32" ? [["py", "-3"]] : []),
  ];
  /** @type {Array<{ python: string, requirement: string }>} */
  const found = [];
  for (const [command = "", ...args] of candidates) {
    const { ok, stdout } = await run(command, [...args, "-c", ABOUT]);
    const [python, version = "", implementation] = stdout.trim().split(/\r?\n/);
    if (!ok || !python || implementation !== "CPython") continue;
    const requirement = REQUIREMENT_OF[version] ?? (command === own ? "pocketsphinx" : undefined);
    if (!requirement || found.some((other) => other.python === python)) continue;
    found.push({ python, requirement });
  }
  return found;
}

/** @param {SpeechPython} candidate @returns {Promise<boolean>} whether it can really recognise */
const works = async (candidate) => (await run(candidate.python, ["-c", CHECK], candidate.env)).ok;

/** Make `make(directory)` appear at `target` at once and whole, whoever else tries the same at the same time.
 * @param {string} target @param {(directory: string) => Promise<boolean>} make */
async function installInto(target, make) {
  const temporary = `${target}.${process.pid}`;
  try {
    if (!(await make(temporary))) return false;
    rmSync(target, { recursive: true, force: true });
    renameSync(temporary, target);
    return true;
  } catch {
    return existsSync(target);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const inVenv = (/** @type {string} */ venv) =>
  process.platform === "win32" ? join(venv, "Scripts", "python.exe") : join(venv, "bin", "python");

/** @returns {Promise<{ found?: SpeechPython, why: string }>} */
async function install() {
  const cache = speechCacheDir();
  mkdirSync(cache, { recursive: true });
  const venv = join(cache, "speech-venv");
  const target = join(cache, "python");
  let why = "no CPython 3.8, 3.10, 3.11, 3.12 or 3.13 on this machine";
  for (const { python, requirement } of await interpreters()) {
    if (await works({ python, env: {} })) return { found: { python, env: {} }, why: "" };
    const made = await installInto(venv, async (directory) => {
      if (!(await run(python, ["-m", "venv", directory])).ok) return false;
      const result = await run(inVenv(directory), ["-m", "pip", ...PIP, ...PIP_TIMEOUT, requirement]);
      why = result.why;
      return result.ok;
    });
    const fromVenv = { python: inVenv(venv), env: {} };
    if (made && (await works(fromVenv))) return { found: fromVenv, why: "" };
    const copied = await installInto(target, async (directory) => {
      const result = await run(python, [
        "-m",
        "pip",
        ...PIP,
        ...PIP_TIMEOUT,
        "--target",
        directory,
        requirement,
      ]);
      why = result.why;
      return result.ok;
    });
    const fromTarget = { python, env: { PYTHONPATH: target } };
    if (copied && (await works(fromTarget))) return { found: fromTarget, why: "" };
  }
  for (const version of ["3.13", "3.11", "3.12", "3.10"]) {
    const made = await installInto(venv, async (directory) => {
      if (!(await run("uv", ["venv", "--quiet", "--python", version, directory])).ok) return false;
      const requirement = REQUIREMENT_OF[version] ?? "pocketsphinx";
      const args = [
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--python",
        inVenv(directory),
      ];
      return (await run("uv", [...args, requirement])).ok;
    });
    const fromVenv = { python: inVenv(venv), env: {} };
    if (made && (await works(fromVenv))) return { found: fromVenv, why: "" };
  }
  return { why };
}

/**
 * The Python for speech, installed if need be. Never throws.
 * @param {{ by?: "install" | "run" }} [options] who asks: a failure at install time is tried again at the first run
 * @returns {Promise<{ found?: SpeechPython, why: string }>}
 */
export async function ensureSpeechPython({ by = "run" } = {}) {
  const known = resolveSpeechPython();
  if (known) return { found: known, why: "" };
  const failed = readStamp()?.failed;
  if (failed && failed.by === by && Date.now() - failed.at < RETRY_AFTER_MS) return { why: failed.why };
  try {
    const { found, why } = await install();
    writeStamp(found ? { found } : { failed: { at: Date.now(), by, why } });
    return found ? { found, why } : { why };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const bestEffort = process.argv.includes("--best-effort");
  if (!bestEffort) rmSync(stampPath(), { force: true });
  const { found, why } = await ensureSpeechPython({ by: "install" });
  console.log(
    found
      ? "callweave: offline speech recognition is ready (pocketsphinx)"
      : `callweave: no offline speech recognition (${why}); agents understand scripted callers only`,
  );
  process.exitCode = found || bestEffort ? 0 : 1;
}
