import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { JAVA_CLIENT, javaClassPath, javac } from "../../scripts/clients/java-client.js";
import { language } from "../conformance/programs/java/language.js";
import { describeClient } from "../harness/client-suite.js";

const LOGGING = join(JAVA_CLIENT, "src/test/resources/logging.properties");
const built = mkdtempSync(join(tmpdir(), "callweave-java-readme-"));

afterAll(() => rmSync(built, { recursive: true, force: true }));

describeClient({
  title: "Java",
  language,
  readme: { path: "clients/java/README.md", block: "java", ending: ".java" },
  async prepare(programs) {
    const sources = [...programs].map(([name, code]) => {
      const file = join(built, `${name}.java`);
      writeFileSync(file, code);
      return file;
    });
    await javac(sources, javaClassPath("test"), built);
  },
  command(name) {
    const flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];
    // gRPC has a line of information for each process; the spans of Traced are such lines too.
    if (name !== "Traced") flags.push(`-Djava.util.logging.config.file=${LOGGING}`);
    return { program: "java", args: [...flags, "-cp", `${built}:${javaClassPath("test")}`, name] };
  },
  programs: { hello: "Hello", escalate: "Escalate", watch: "Watching", traced: "Traced" },
  traced: ["'callweave.v1.FleetService/ListPools'", "intercepted callweave.v1.FleetService/ListPools"],
  ended: (callId) => `${callId} ENDED`,
});
