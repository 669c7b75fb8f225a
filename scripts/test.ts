/**
 * `npm test`: everything that is quick, at most 5 minutes, naming what it leaves out; with `CI=true` everything, and a
 * missing toolchain fails. `npm test -- NAME…` runs single steps. The last line counts all that ran.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Counts {
  passed: number;
  failed: number;
}

interface Step {
  readonly name: string;
  readonly what: string;
  /** Left out outside CI: why, and how to run it. */
  readonly longBecause?: string;
  /** A program that must be there; outside CI the step is skipped without it. */
  readonly needs?: readonly string[];
  readonly run: () => Promise<Counts>;
}

const CI = process.env.CI === "true";
const scratch = mkdtempSync(join(tmpdir(), "callweave-test-"));

const STEPS: readonly Step[] = [
  {
    name: "lint",
    what: "format, lint, direction of imports",
    run: () => command("npx", ["--no-install", "biome", "ci", "."]),
  },
  {
    name: "types",
    what: "strict TypeScript",
    run: () => command("npx", ["--no-install", "tsc", "--noEmit"]),
  },
  {
    name: "contract",
    what: "buf lint and format, no-diff generation",
    run: () => command("npx", ["--no-install", "tsx", "scripts/generate.ts", "--check"]),
  },
  { name: "breaking", what: "the contract against the last release", run: breaking },
  { name: "unit", what: "unit tests", run: () => vitest("unit", ["--project", "unit"]) },
  {
    name: "integration-quick",
    what: "real sockets: say-then-act and refusals",
    run: () =>
      vitest("quick", [
        "--project",
        "integration",
        "test/integration/say-then-act",
        "test/integration/refusals",
      ]),
  },
  {
    name: "demo",
    what: "one whole call in speech",
    run: () => command("npm", ["run", "--silent", "demo", "--", "--once", "--json"], 150_000),
  },
  {
    name: "integration",
    what: "all tests with real sockets and processes",
    longBecause: "several minutes; run: npm run integration",
    needs: ["python3", "go", "openssl"],
    run: () => vitest("integration", ["--project", "integration", "--exclude", "test/sdk-proof/**"]),
  },
  {
    name: "sdk-proof",
    what: "the vendor's own SDK against the simulator",
    longBecause: "installs the SDK from PyPI; run: npm test -- sdk-proof",
    needs: ["python3"],
    run: () => vitest("sdk-proof", ["--project", "integration", "test/sdk-proof"]),
  },
  {
    name: "demo-matrix",
    what: "every caller and callee of the demo",
    longBecause: "several minutes; run: npm test -- demo-matrix",
    run: () => matrix(),
  },
  {
    name: "node-24",
    what: "unit tests and the demo on Node 24",
    longBecause: "fetches Node 24 from npm; run: npm test -- node-24",
    run: async () =>
      add(
        await vitest("node24", ["--project", "unit"], ["npx", "--yes", "-p", "node@24", "node"]),
        await command(
          "npx",
          ["--yes", "-p", "node@24", "node", "--import", "tsx", "demo/main.ts", "--once", "--json"],
          150_000,
        ),
      ),
  },
];

/** Steps whose tests another step of the same run has. */
const CONTAINED: Readonly<Record<string, string>> = {
  "integration-quick": "integration",
  demo: "demo-matrix",
};

async function main(): Promise<void> {
  const wanted = process.argv.slice(2).filter((a) => !a.startsWith("-"));
  const unknown = wanted.filter((name) => !STEPS.some((s) => s.name === name));
  if (unknown.length > 0)
    throw new Error(`no such step: ${unknown.join(", ")}; steps: ${STEPS.map((s) => s.name).join(", ")}`);
  const total: Counts = { passed: 0, failed: 0 };
  const failedSteps: string[] = [];
  for (const step of STEPS) {
    if (wanted.length > 0 ? !wanted.includes(step.name) : CI && CONTAINED[step.name] !== undefined) continue;
    const skip = wanted.length === 0 && !CI ? reasonToSkip(step) : undefined;
    if (skip) {
      console.log(`- ${step.name} (${step.what}): skipped, ${skip}`);
      continue;
    }
    const startMs = performance.now();
    console.log(`> ${step.name}: ${step.what}`);
    const counts = await step.run().catch((error: unknown) => {
      console.error(String(error));
      return { passed: 0, failed: 1 };
    });
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    console.log(
      `${counts.failed > 0 ? "FAILED" : "ok"} ${step.name}: ${counts.passed} passed, ${counts.failed} failed in ${seconds} s`,
    );
    if (counts.failed > 0) failedSteps.push(step.name);
    total.passed += counts.passed;
    total.failed += counts.failed;
  }
  rmSync(scratch, { recursive: true, force: true });
  if (failedSteps.length > 0) console.log(`failed steps: ${failedSteps.join(", ")}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exit(total.failed > 0 ? 1 : 0);
}

function reasonToSkip(step: Step): string | undefined {
  if (step.longBecause) return step.longBecause;
  const missing = (step.needs ?? []).filter((program) => spawnSync(program, ["--version"]).error);
  return missing.length > 0 ? `${missing.join(", ")} is not installed` : undefined;
}

/** A command as one test: passed when it exits with 0. */
function command(program: string, args: readonly string[], timeoutMs = 600_000): Promise<Counts> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
    const timer = setTimeout(() => {
      console.error(`${program} ${args.join(" ")}: ended after ${timeoutMs / 1000} s`);
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", (error) => {
      clearTimeout(timer);
      console.error(String(error));
      resolve({ passed: 0, failed: 1 });
    });
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
    });
  });
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A vitest run, counted test by test: live on a terminal, else only what failed. In CI a skipped test is a failed one. */
async function vitest(
  label: string,
  args: readonly string[],
  node: readonly string[] = ["node"],
): Promise<Counts> {
  const output = join(scratch, `${label}.json`);
  const [program = "node", ...first] = node;
  const live = process.stdout.isTTY && !CI ? ["--reporter=default"] : [];
  const reporters = [...live, "--reporter=json", `--outputFile.json=${output}`, "--silent=passed-only"];
  const run = [...first, "node_modules/vitest/vitest.mjs", "run", ...reporters, ...args];
  const exit = await command(program, run, 1_500_000);
  const report = JSON.parse(readFileSync(output, "utf8")) as VitestReport;
  for (const file of report.testResults) {
    if (file.status === "failed" && file.message) console.log(`FAILED ${file.name}\n${file.message}`);
    for (const test of file.assertionResults) {
      if (test.status === "failed")
        console.log(`FAILED ${test.fullName}\n${test.failureMessages.join("\n")}`);
      if (test.status === "pending" || test.status === "skipped") console.log(`skipped ${test.fullName}`);
    }
  }
  const failed = report.numFailedTests + (CI ? report.numPendingTests : 0);
  // A file that could not be loaded fails the run without a failed test.
  return { passed: report.numPassedTests, failed: failed === 0 && exit.failed > 0 ? 1 : failed };
}

/** Every variant of the demo is a test. */
function matrix(): Promise<Counts> {
  return new Promise((resolve) => {
    const child = spawn("npx", ["--no-install", "tsx", "demo/matrix.ts", "--times", "1", "--parallel", "2"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      process.stdout.write(chunk);
    });
    child.on("exit", (code) => {
      const last = text.trim().split("\n").at(-1) ?? "";
      try {
        const { passed, failed } = JSON.parse(last) as Counts;
        resolve({ passed, failed: failed === 0 && code !== 0 ? 1 : failed });
      } catch {
        resolve({ passed: 0, failed: 1 });
      }
    });
  });
}

/** Against the newest tag `v*`; before the first release there is nothing to break. */
async function breaking(): Promise<Counts> {
  const tag = spawnSync("git", ["describe", "--tags", "--abbrev=0", "--match", "v*"], { encoding: "utf8" });
  const name = tag.stdout.trim();
  if (tag.status !== 0 || name === "") {
    console.log("no release tag yet: the contract is compared with itself, so that the gate is known to run");
    return command("npx", ["--no-install", "buf", "breaking", "--against", "proto"]);
  }
  return command("npx", ["--no-install", "buf", "breaking", "--against", `.git#tag=${name},subdir=proto`]);
}

function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed };
}

await main();
