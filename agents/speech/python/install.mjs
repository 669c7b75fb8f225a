// @ts-check
/**
 * Finds or installs a Python that has `pocketsphinx` (speech recognition, English model inside the wheel), for the
 * offline speech of the agents. Plain node, so that it can run as `postinstall` before anything else is there.
 *
 *   node agents/speech/python/install.mjs                 install; exit status 1 when nothing fits
 *   node agents/speech/python/install.mjs --best-effort   the same, one line, always exit status 0
 *
 * Order of interpreters: $CALLWEAVE_PYTHON, python3.13, 3.11, 3.12, 3.10, python3, python, `py -3`. One that has
 * pocketsphinx already is taken. Else, for each: a virtual environment in `.cache/speech-venv`, else
 * `pip --target .cache/python`; at last `uv`. Once the package index cannot be reached, nothing further is tried. All of
 * it has one budget of time, after which what runs is killed: 90 s at install, 60 s at run, or
 * $CALLWEAVE_SPEECH_INSTALL_MS milliseconds. A stamp file makes every later call fast and free of the network.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const STAMP_VERSION = 1;
/** How long all of it may take, ms, by who asks. */
const BUDGET_MS = { install: 90_000, run: 60_000 };
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
/** What pip or uv says when the index, not the package or the interpreter, is to blame. */
const NETWORK =
  /Retrying \(Retry|Max retries exceeded|timed? ?out|NewConnectionError|Connection (?:refused|reset|aborted)|name resolution|nodename nor servname|getaddrinfo|dns error|Network is unreachable|ProxyError|SSLError|error sending request|client error \(Connect\)|Failed to fetch/i;
const NO_NETWORK = "the package index cannot be reached";
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

/** When the time is up. */
class Budget {
  /** @param {number} ms */
  constructor(ms) {
    this.ms = ms;
    this.endsAtMs = performance.now() + ms;
    /** Why to try nothing further; empty while there is a point in it. */
    this.stopped = "";
  }

  get leftMs() {
    return Math.max(0, this.endsAtMs - performance.now());
  }
}

/** Whether a process can be killed with all that it has started. */
const GROUPS = process.platform !== "win32";
/** What runs. It ends with this process. @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
process.on("exit", () => {
  for (const child of running) kill(child);
});

/** @param {import("node:child_process").ChildProcess} child */
function kill(child) {
  try {
    if (GROUPS && child.pid) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // it has ended meanwhile
  }
}

/**
 * Run a program to its end, or to the end of the budget: then it is killed, with all that it has started.
 * @param {Budget} budget @param {string} command @param {string[]} args @param {Record<string, string>} [env]
 * @returns {Promise<{ ok: boolean, stdout: string, stderr: string, why: string }>}
 */
function run(budget, command, args, env = {}) {
  if (budget.stopped) return Promise.resolve({ ok: false, stdout: "", stderr: "", why: budget.stopped });
  return new Promise((done) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
      // A process group of its own, so that what it has started ends with it.
      detached: GROUPS,
    });
    running.add(child);
    child.on("exit", () => running.delete(child));
    let stdout = "";
    let stderr = "";
    const timer = setTimeout(() => {
      budget.stopped = `not done within ${Math.round(budget.ms / 100) / 10} s`;
      kill(child);
      // What it has started may still hold these where there are no groups; nobody waits for that.
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      done({ ok: false, stdout, stderr, why: budget.stopped });
    }, budget.leftMs);
    child.stdout.on("data", (chunk) => {
      stdout = (stdout + chunk).slice(-8192);
    });
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-8192);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      done({ ok: false, stdout, stderr, why: error.message });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      const ok = code === 0;
      done({ ok, stdout, stderr, why: stderr.trim().split("\n").at(-1) || `exit ${code}` });
    });
  });
}

/**
 * Run a program that needs the package index; when that is why it fails, nothing further is tried.
 * @param {Budget} budget @param {string} command @param {string[]} args
 */
async function download(budget, command, args) {
  const result = await run(budget, command, args);
  if (result.ok || budget.stopped || !NETWORK.test(result.stderr)) return result;
  budget.stopped = NO_NETWORK;
  return { ...result, why: NO_NETWORK };
}

/** Interpreters on this machine that a wheel exists for, best first. @param {Budget} budget */
async function interpreters(budget) {
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
    const { ok, stdout } = await run(budget, command, [...args, "-c", ABOUT]);
    const [python, version = "", implementation] = stdout.trim().split(/\r?\n/);
    if (!ok || !python || implementation !== "CPython") continue;
    const requirement = REQUIREMENT_OF[version] ?? (command === own ? "pocketsphinx" : undefined);
    if (!requirement || found.some((other) => other.python === python)) continue;
    found.push({ python, requirement });
  }
  return found;
}

/** Whether it can really recognise. @param {Budget} budget @param {SpeechPython} candidate @returns {Promise<boolean>} */
const works = async (budget, candidate) =>
  (await run(budget, candidate.python, ["-c", CHECK], candidate.env)).ok;

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
    try {
      rmSync(temporary, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // something that was killed still writes there
    }
  }
}

const inVenv = (/** @type {string} */ venv) =>
  process.platform === "win32" ? join(venv, "Scripts", "python.exe") : join(venv, "bin", "python");

/** @param {Budget} budget @returns {Promise<{ found?: SpeechPython, why: string }>} */
async function install(budget) {
  const cache = speechCacheDir();
  mkdirSync(cache, { recursive: true });
  const venv = join(cache, "speech-venv");
  const target = join(cache, "python");
  const fromVenv = { python: inVenv(venv), env: {} };
  let why = "no CPython 3.8, 3.10, 3.11, 3.12 or 3.13 on this machine";
  const pythons = await interpreters(budget);
  for (const { python } of pythons) {
    if (await works(budget, { python, env: {} })) return { found: { python, env: {} }, why: "" };
  }
  for (const { python, requirement } of pythons) {
    const pip = ["-m", "pip", ...PIP, ...PIP_TIMEOUT];
    const made = await installInto(venv, async (directory) => {
      if (!(await run(budget, python, ["-m", "venv", directory])).ok) return false;
      const result = await download(budget, inVenv(directory), [...pip, requirement]);
      why = result.why;
      return result.ok;
    });
    if (made && (await works(budget, fromVenv))) return { found: fromVenv, why: "" };
    const copied = await installInto(target, async (directory) => {
      const result = await download(budget, python, [...pip, "--target", directory, requirement]);
      why = result.why;
      return result.ok;
    });
    const fromTarget = { python, env: { PYTHONPATH: target } };
    if (copied && (await works(budget, fromTarget))) return { found: fromTarget, why: "" };
    if (budget.stopped) return { why: budget.stopped };
  }
  if (!(await run(budget, "uv", ["--version"])).ok) return { why: budget.stopped || why };
  for (const version of ["3.13", "3.11", "3.12", "3.10"]) {
    const made = await installInto(venv, async (directory) => {
      if (!(await download(budget, "uv", ["venv", "--quiet", "--python", version, directory])).ok)
        return false;
      const requirement = REQUIREMENT_OF[version] ?? "pocketsphinx";
      const only = ["--quiet", "--no-deps", "--only-binary", ":all:"];
      const args = ["pip", "install", ...only, "--python", inVenv(directory), requirement];
      return (await download(budget, "uv", args)).ok;
    });
    if (made && (await works(budget, fromVenv))) return { found: fromVenv, why: "" };
    if (budget.stopped) return { why: budget.stopped };
  }
  return { why };
}

/** How long it may take, ms. @param {"install" | "run"} by @param {number | undefined} asked */
function budgetOf(by, asked) {
  const fromEnv = Number(process.env.CALLWEAVE_SPEECH_INSTALL_MS);
  return asked ?? (fromEnv > 0 ? fromEnv : BUDGET_MS[by]);
}

/**
 * The Python for speech, installed if need be. Never throws.
 * @param {{ by?: "install" | "run", budgetMs?: number }} [options] `by`: who asks; a failure at install time is tried again
 *   at the first run. `budgetMs`: how long it may take in all, ms; default $CALLWEAVE_SPEECH_INSTALL_MS, else 90 000 at
 *   install, 60 000 at run
 * @returns {Promise<{ found?: SpeechPython, why: string }>}
 */
export async function ensureSpeechPython({ by = "run", budgetMs } = {}) {
  const known = resolveSpeechPython();
  if (known) return { found: known, why: "" };
  const failed = readStamp()?.failed;
  if (failed && failed.by === by && Date.now() - failed.at < RETRY_AFTER_MS) return { why: failed.why };
  try {
    const { found, why } = await install(new Budget(budgetOf(by, budgetMs)));
    writeStamp(found ? { found } : { failed: { at: Date.now(), by, why } });
    return found ? { found, why } : { why };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const bestEffort = process.argv.includes("--best-effort");
  // By default these would end it without the event that ends what runs.
  for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }))
    process.once(signal, () => process.exit(code));
  if (!bestEffort) rmSync(stampPath(), { force: true });
  const { found, why } = await ensureSpeechPython({ by: "install" });
  console.log(
    found
      ? "callweave: offline speech recognition is ready (pocketsphinx)"
      : `callweave: no offline speech recognition (${why}); agents understand scripted callers only`,
  );
  process.exitCode = found || bestEffort ? 0 : 1;
}
