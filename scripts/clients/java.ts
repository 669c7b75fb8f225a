import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Counts } from "../test-steps.js";
import type { ClientLanguage } from "./client-language.js";
import { JAVA_CLIENT, maven } from "./java-client.js";

const REPORTS = join(JAVA_CLIENT, "target/surefire-reports");

/**
 * Java generates while it builds: Maven copies the contract below `target/`, where it gets its Java package, and runs protoc
 * from Maven Central.
 */
export const java: ClientLanguage = {
  name: "java",
  needs: ["java", "mvn"],
  generated: [],
  // Format, warnings, tests, documentation and the package are parts of one build; the tests are counted one by one.
  async check() {
    rmSync(REPORTS, { recursive: true, force: true });
    let failed: Error | undefined;
    await maven("package").catch((error) => {
      failed = error as Error;
    });
    const counts = readReports();
    if (failed) {
      console.error(failed.message);
      const failures = [{ name: "mvn package", why: failed.message }];
      return { passed: counts.passed, failed: Math.max(1, counts.failed), failures };
    }
    if (counts.passed === 0) throw new Error("Maven ran no test");
    return counts;
  },
};

/** Adds up what Surefire wrote. */
function readReports(): Counts {
  let passed = 0;
  let failed = 0;
  const files = (() => {
    try {
      return readdirSync(REPORTS).filter((name) => name.endsWith(".xml"));
    } catch {
      return [];
    }
  })();
  for (const file of files) {
    const [head = ""] = readFileSync(join(REPORTS, file), "utf8").match(/<testsuite [^>]*>/s) ?? [];
    const count = (name: string) => Number(new RegExp(`\\s${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
    const bad = count("errors") + count("failures");
    failed += bad;
    passed += count("tests") - bad - count("skipped");
  }
  return { passed, failed };
}
