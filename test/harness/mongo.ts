import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freezeProcess } from "./freeze.js";

const SOURCES = fileURLToPath(new URL("./mongo-server/", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/mongo-server/", import.meta.url));
const START_MS = 60_000;

/** A server that speaks MongoDB's wire protocol. */
export interface MongoTestServer {
  /** With a database name of its own. */
  readonly url: string;
  /** 127.0.0.1. */
  readonly port: number;
  readonly pid: number;
  /** Ends it in order and removes its data. */
  stop(): Promise<void>;
  /** Ends it at once; data and port stay for `restart`. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** Why no server can be started here; undefined when it can. */
export function mongoMissing(): string | undefined {
  const missing = ["java", "mvn"].filter((program) => spawnSync(program, ["-version"]).error);
  return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
}

/**
 * For `describe.skipIf`: true where no server can be started, with the reason printed. In CI never, so that the tests
 * fail there.
 */
export function skipWithoutMongo(what: string): boolean {
  const missing = mongoMissing();
  if (!missing) return false;
  console.warn(`${what} skipped: ${missing}`);
  return !process.env.CI;
}

/** The address of a server from outside (MONGODB_URL), with a database name of its own; undefined without. */
export function outsideMongo(): string | undefined {
  const url = process.env.MONGODB_URL;
  return url ? withDatabase(url) : undefined;
}

function withDatabase(text: string): string {
  const url = new URL(text);
  // The users of a server are in the database of its address, unless it says otherwise.
  if (url.username && !url.searchParams.has("authSource"))
    url.searchParams.set("authSource", url.pathname.slice(1) || "admin");
  url.pathname = `/callweave_test_${randomUUID().slice(0, 8)}`;
  return url.toString();
}

/** Starts one on a free port of 127.0.0.1, with data in a folder of its own. The first time it is built (seconds). */
export async function startMongo(): Promise<MongoTestServer> {
  const classes = await build();
  const folder = await mkdtemp(join(tmpdir(), "callweave-mongo-"));
  const file = join(folder, "data.db");
  let running = await launch(classes, file, 0).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const { port } = running;
  return {
    url: withDatabase(`mongodb://127.0.0.1:${port}/?directConnection=true`),
    port,
    get pid() {
      return running.child.pid as number;
    },
    freeze: () => freezeProcess(running.child.pid as number),
    thaw: () => running.child.kill("SIGCONT"),
    kill: () => end(running.child, "SIGKILL"),
    async restart() {
      running = await launch(classes, file, port);
    },
    async stop() {
      running.child.kill("SIGCONT");
      await end(running.child, "SIGTERM");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Launched {
  readonly child: ChildProcess;
  readonly port: number;
}

async function launch(classes: string, file: string, port: number): Promise<Launched> {
  const java = ["-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
  const child = spawn("java", [...java, "-cp", classes, "callweave.TestMongoServer", String(port), file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text: Buffer) => {
    said = (said + text.toString()).slice(-4000);
  });
  const listening = await new Promise<number>((resolve, reject) => {
    let out = "";
    const timer = setTimeout(
      () => reject(new Error(`the MongoDB test server did not start\n${said}`)),
      START_MS,
    );
    child.stdout.on("data", (text: Buffer) => {
      out += text.toString();
      const [, found] = /PORT (\d+)/.exec(out) ?? [];
      if (!found) return;
      clearTimeout(timer);
      resolve(Number(found));
    });
    child.once("error", reject);
    child.once("exit", () => {
      clearTimeout(timer);
      reject(new Error(`the MongoDB test server ended\n${said}`));
    });
  }).catch(async (error: unknown) => {
    await end(child, "SIGKILL");
    throw error;
  });
  return { child, port: listening };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

/**
 * Builds the server once for its sources and answers its class path. Two at once each build their own; the first that is
 * ready is used by both.
 */
async function build(): Promise<string> {
  const done = join(CACHE, await sourceHash());
  const classPath = `${join(done, "classes")}:${join(done, "lib", "*")}`;
  if (await exists(done)) return classPath;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, "building-"));
  try {
    await cp(join(SOURCES, "pom.xml"), join(work, "pom.xml"));
    await cp(join(SOURCES, "src"), join(work, "src"), { recursive: true });
    await maven(work);
    // Another one may have been faster.
    await rename(join(work, "target"), done).catch(async (error: unknown) => {
      if (!(await exists(done))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return classPath;
}

function maven(folder: string): Promise<void> {
  const goals = ["package", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"];
  const child = spawn("mvn", ["-q", "-B", ...goals], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-4000);
    });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 300_000);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`the MongoDB test server could not be built\n${said}`));
    });
  });
}

async function sourceHash(): Promise<string> {
  const hash = createHash("sha256");
  const files = await readdir(join(SOURCES, "src"), { recursive: true, withFileTypes: true });
  const paths = files.filter((f) => f.isFile()).map((f) => join(f.parentPath, f.name));
  for (const path of [join(SOURCES, "pom.xml"), ...paths.sort()]) hash.update(await readFile(path));
  return hash.digest("hex").slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return readdir(path).then(
    () => true,
    () => false,
  );
}
