import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Where the client for Java lives. */
export const JAVA_CLIENT = fileURLToPath(new URL("../../clients/java/", import.meta.url));

/** What is built. */
const TARGET = join(JAVA_CLIENT, "target");
/** Its time is that of the beginning of the last build that was good. */
const STAMP = join(TARGET, "built.txt");

/** Runs Maven in the client's folder, quietly. Throws with what it printed. */
export async function maven(...args: readonly string[]): Promise<void> {
  const begin = new Date();
  try {
    await run("mvn", ["-q", "-B", "-ntp", "-Dstyle.color=never", ...args], {
      cwd: JAVA_CLIENT,
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`mvn ${args.join(" ")} failed:\n${stdout}${stderr}`.trimEnd());
  }
  writeFileSync(STAMP, "");
  utimesSync(STAMP, begin, begin);
}

/** Builds the jar alone, without checks, unless it is newer than its sources; answers the class path for its users. */
export async function buildJavaClient(): Promise<string> {
  const sources = [
    join(JAVA_CLIENT, "pom.xml"),
    join(JAVA_CLIENT, "src/main"),
    join(JAVA_CLIENT, "../../proto"),
  ];
  if (Math.max(...sources.map(changed)) >= changed(STAMP)) {
    await maven("package", "-DskipTests", "-Dfmt.skip", "-Dmaven.javadoc.skip");
  }
  return javaClassPath("runtime");
}

/** When a file, or the newest source below a folder, was changed; 0 when there is none. Milliseconds. */
function changed(path: string): number {
  if (!existsSync(path)) return 0;
  if (!statSync(path).isDirectory()) return statSync(path).mtimeMs;
  const files = readdirSync(path, { recursive: true, encoding: "utf8" });
  const sources = files.filter((name) => /\.(?:java|proto)$/.test(name));
  return Math.max(0, ...sources.map((name) => statSync(join(path, name)).mtimeMs));
}

/** What a program needs that uses the client as it was built last; `test`: with what its tests need too. */
export function javaClassPath(scope: "runtime" | "test"): string {
  const file = scope === "test" ? "test-class-path.txt" : "class-path.txt";
  const rest = readFileSync(join(TARGET, file), "utf8").trim();
  return `${join(TARGET, "classes")}:${rest}`;
}

/** Compiles sources against a class path, without any warning. */
export async function javac(sources: readonly string[], classPath: string, into: string): Promise<void> {
  try {
    await run("javac", [
      "-Xlint:all",
      "-Werror",
      "--release",
      "17",
      "-cp",
      classPath,
      "-d",
      into,
      ...sources,
    ]);
  } catch (error) {
    throw new Error(`javac failed:\n${(error as { stderr?: string }).stderr ?? error}`);
  }
}
