import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildJavaClient, javac } from "../../../../scripts/clients/java-client.js";
import { BUILT, type Language, missingProgram, ROOT } from "../../language.js";

const folder = fileURLToPath(new URL("./", import.meta.url));

export const language: Language = {
  name: "java",
  missing: () => missingProgram("java", "mvn"),
  async prepare() {
    const classes = join(BUILT, "java");
    mkdirSync(classes, { recursive: true });
    const classPath = await buildJavaClient();
    const sources = readdirSync(folder).filter((name) => name.endsWith(".java"));
    await javac(
      sources.map((name) => join(folder, name)),
      classPath,
      classes,
    );
    // Many short runs: what starts quickly counts more than what runs fast in the end.
    const flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"];
    return { program: "java", args: [...flags, "-cp", `${classes}:${classPath}`, "Main"], cwd: ROOT };
  },
};
