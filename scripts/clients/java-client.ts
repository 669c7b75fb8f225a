import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Where the client for Java lives. */
export const JAVA_CLIENT = fileURLToPath(new URL("../../clients/java/", import.meta.url));

/** Runs Maven in the client's folder, quietly. Throws with what it printed. */
export async function maven(...args: readonly string[]): Promise<void> {
  try {
    await run("mvn", ["-q", "-B", "-ntp", "-Dstyle.color=never", ...args], {
      cwd: JAVA_CLIENT,
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`mvn ${args.join(" ")} failed:\n${stdout}${stderr}`.trimEnd());
  }
}

/** Builds the jar alone, without checks, if it is older than its sources; answers the class path of a program that uses it. */
export async function buildJavaClient(): Promise<string> {
  const built = ["callweave-*.jar", "class-path.txt", "test-class-path.txt"];
  const sources = ["pom.xml", "src/main/**/*.java", "../../proto/**/*.proto"];
  if (newest(sources) >= oldest(built)) await maven("package", "-DskipTests", "-Dfmt.skip", "-Dmaven.javadoc.skip");
  return javaClassPath("runtime");
}

/** What a program needs that uses the client as it was built last; `test`: with what its tests need too. */
export function javaClassPath(scope: "runtime" | "test"): string {
  const file = scope === "test" ? "test-class-path.txt" : "class-path.txt";
  const rest = readFileSync(join(JAVA_CLIENT, "target", file), "utf8").trim();
  return `${join(JAVA_CLIENT, "target/classes")}:${rest}`;
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
