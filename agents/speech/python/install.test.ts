import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveSpeechPython } from "./install.mjs";

const SCRIPT = fileURLToPath(new URL("./install.mjs", import.meta.url));

describe("install.mjs", () => {
  let cache: string;
  const before = { ...process.env };

  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), "speech-python-"));
    process.env.CALLWEAVE_CACHE_DIR = cache;
    delete process.env.CALLWEAVE_PYTHON;
  });
  afterEach(() => {
    process.env = { ...before };
    rmSync(cache, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  const stamp = (content: object) => {
    mkdirSync(cache, { recursive: true });
    writeFileSync(
      join(cache, "speech-python.json"),
      JSON.stringify({ version: 1, requested: "", ...content }),
    );
  };

  it("knows nothing before an install", () => {
    expect(resolveSpeechPython()).toBeUndefined();
  });

  it("gives what was found, as long as it is there and was asked for", () => {
    const found = { python: process.execPath, env: {} };
    stamp({ found });
    expect(resolveSpeechPython()).toEqual(found);
    process.env.CALLWEAVE_PYTHON = "another";
    expect(resolveSpeechPython()).toBeUndefined();
    delete process.env.CALLWEAVE_PYTHON;
    stamp({ found: { python: join(cache, "gone"), env: {} } });
    expect(resolveSpeechPython()).toBeUndefined();
    stamp({ found: { python: process.execPath, env: { PYTHONPATH: join(cache, "gone") } } });
    expect(resolveSpeechPython()).toBeUndefined();
  });

  it("never fails an install, prints one line, and is remembered as failed for the same asker only", () => {
    // A machine without any Python: no PATH.
    const env = { ...process.env, PATH: cache, CALLWEAVE_PYTHON: join(cache, "none") };
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [SCRIPT, ...args], { env, encoding: "utf8" });
    const first = run("--best-effort");
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/^callweave: no offline speech recognition \(no CPython .*\n$/);
    expect(run().status).toBe(1);
  });
});

/** A package index that accepts connections and never answers. */
async function silentIndex() {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`,
    connections: () => sockets.length,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Interpreters, and uv, that are small programs: each notes its arguments; pip does what `pip` says in JavaScript. */
function fakeMachine(dir: string, names: readonly string[], pip: string) {
  const calls = join(dir, "calls");
  for (const name of names) {
    const path = join(dir, name);
    const version = /python(3\.\d+)/.exec(name)?.[1] ?? "3.13";
    const script = `#!${process.execPath}
const fs = require("node:fs");
const args = process.argv.slice(2);
fs.appendFileSync(${JSON.stringify(calls)}, ${JSON.stringify(name)} + " " + args.join(" ").split("\\n")[0] + "\\n");
if (args[0] === "-c" && args[1].includes("platform")) {
  console.log(${JSON.stringify(path)} + "\\n${version}\\nCPython");
} else if (args[1] === "venv") {
  fs.mkdirSync(args[2] + "/bin", { recursive: true });
  fs.copyFileSync(__filename, args[2] + "/bin/python");
} else if (args[1] === "pip") {
  ${pip}
} else process.exit(1);
`;
    writeFileSync(path, script, { mode: 0o755 });
  }
  const all = () => (existsSync(calls) ? readFileSync(calls, "utf8").split("\n").filter(Boolean) : []);
  return { all, count: (part: string) => all().filter((line) => line.includes(part)).length };
}

/** Whether a process is there and has not ended. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}

/** Run it to its end, without blocking the index of this process. */
async function install(env: NodeJS.ProcessEnv, ...args: string[]) {
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [SCRIPT, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  return { status, stdout, tookMs: performance.now() - startedAtMs };
}

describe.runIf(process.platform !== "win32")("install.mjs without a package index", () => {
  let dir: string;
  let env: NodeJS.ProcessEnv;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "speech-python-"));
    env = { ...process.env, PATH: dir, CALLWEAVE_CACHE_DIR: join(dir, "cache") };
    delete env.CALLWEAVE_PYTHON;
  });
  afterEach(async () => {
    // What was killed may be at its last write.
    await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  it("ends when its time is up with all that runs, and tries no other interpreter and no uv then", async () => {
    // pip waits for the index, and so does a process that it has started.
    const hang = (
      note: string,
    ) => `const { pid } = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  fs.writeFileSync(${JSON.stringify(note)}, String(pid));
  require("node:net").connect(Number(new URL(process.env.PIP_INDEX_URL).port), "127.0.0.1");`;
    // How long a machine takes until pip runs is not known: with more time, until it has.
    for (const seconds of [2, 8, 24]) {
      const index = await silentIndex();
      const home = mkdtempSync(join(dir, "home-"));
      const note = join(home, "started");
      const machine = fakeMachine(home, ["python3.13", "python3.11", "uv"], hang(note));
      Object.assign(env, { PATH: home, CALLWEAVE_CACHE_DIR: join(home, "cache") });
      env.PIP_INDEX_URL = index.url;
      env.CALLWEAVE_SPEECH_INSTALL_MS = String(seconds * 1000);
      const { status, stdout, tookMs } = await install(env, "--best-effort");
      await index.close();
      expect(status).toBe(0);
      expect(stdout).toContain(`callweave: no offline speech recognition (not done within ${seconds} s)`);
      expect(stdout.trim().split("\n")).toHaveLength(1);
      expect(tookMs).toBeLessThan(seconds * 1000 + 20_000);
      expect(machine.count("uv ")).toBe(0);
      if (index.connections() === 0) continue;
      expect(index.connections()).toBe(1);
      expect(machine.count(" -m pip ")).toBe(1);
      const pid = Number(readFileSync(note, "utf8"));
      await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
      return;
    }
    expect.fail("pip was never started");
  }, 120_000);

  it("tries no other interpreter after one could not reach the index", async () => {
    const fail = `console.error("WARNING: Retrying (Retry(total=0)) after connection broken by 'ReadTimeoutError'");
  console.error("ERROR: No matching distribution found for pocketsphinx");
  process.exit(1);`;
    const machine = fakeMachine(dir, ["python3.13", "python3.11", "uv"], fail);
    const { status, stdout } = await install(env);
    expect(status).toBe(1);
    expect(stdout).toContain("(the package index cannot be reached)");
    expect(machine.count(" -m pip ")).toBe(1);
    expect(machine.count("uv ")).toBe(0);
  }, 60_000);

  it("tries the others after a failure of another kind, and asks once whether there is uv", async () => {
    const fail = `console.error("ERROR: No matching distribution found for pocketsphinx"); process.exit(1);`;
    const machine = fakeMachine(dir, ["python3.13", "python3.11", "uv"], fail);
    const { status, stdout } = await install(env);
    expect(status).toBe(1);
    expect(stdout).toContain("(ERROR: No matching distribution");
    expect(machine.count(" -m pip ")).toBe(4);
    expect(machine.all().filter((line) => line.startsWith("uv "))).toEqual(["uv --version"]);
  }, 60_000);

  it("ends in time with the pip of this machine", async (context) => {
    const python = spawnSync("python3", ["-c", "import sys, pip; print(sys.executable)"], {
      encoding: "utf8",
    });
    if (python.status !== 0) return context.skip("no python3 with pip on this machine");
    const index = await silentIndex();
    Object.assign(env, {
      CALLWEAVE_PYTHON: python.stdout.trim(),
      CALLWEAVE_SPEECH_INSTALL_MS: "6000",
      PIP_INDEX_URL: index.url,
      PIP_CONFIG_FILE: process.platform === "win32" ? "nul" : "/dev/null",
      PIP_NO_CACHE_DIR: "1",
      no_proxy: "127.0.0.1",
    });
    delete env.PIP_EXTRA_INDEX_URL;
    const { status, stdout, tookMs } = await install(env, "--best-effort");
    await index.close();
    expect(status).toBe(0);
    // A Python that has pocketsphinx already needs no index.
    if (!stdout.includes("is ready")) expect(stdout).toMatch(/not done within|cannot be reached|no CPython/);
    expect(tookMs).toBeLessThan(40_000);
  }, 60_000);
});
