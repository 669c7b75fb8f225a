/**
 * `npm test`: everything that is quick, at most 5 minutes, naming what it leaves out; with `CI=true` everything, and a
 * missing toolchain fails. `npm test -- NAME…` runs single steps. The last line counts all that ran.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { CLIENT_LANGUAGES } from "./clients/index.js";
import {
  type Counts,
  command,
  countLastLine,
  countVitest,
  failedTests,
  runSteps,
  type Step,
} from "./test-steps.js";

const CI = process.env.CI === "true";
const scratch = mkdtempSync(join(tmpdir(), "callweave-test-"));
const NODE = [process.execPath];
const NODE_24 = ["npx", "--yes", "-p", "node@24", "node"];
const DEMO = ["--import", "tsx", "demo/main.ts", "--once", "--json"];
const npx = (...args: string[]) => command("npx", ["--no-install", ...args]);

const STEPS: readonly Step[] = [
  { name: "lint", what: "format, lint, direction of imports", run: () => npx("biome", "ci", ".") },
  {
    name: "types",
    what: "strict TypeScript",
    run: async () => add(await npx("tsc", "--noEmit"), await npx("tsc", "-p", "desk", "--noEmit")),
  },
  {
    name: "contract",
    what: "buf lint and format, no-diff generation",
    run: () => npx("tsx", "scripts/generate.ts", "--check"),
  },
  { name: "breaking", what: "the contract against the last release", run: breaking },
  { name: "documents", what: "generated documents and notices", run: documents },
  {
    name: "supply-chain",
    what: "lock file, install scripts, licences, known weaknesses, bill of materials",
    run: async () => {
      const run = await npx("tsx", "scripts/supply-chain/main.ts");
      return countLastLine(run.output, run.failed === 0);
    },
  },
  { name: "unit", what: "unit tests", run: () => vitest("unit", ["--project", "unit"]) },
  {
    name: "integration-quick",
    what: "real sockets: say-then-act and refusals",
    containedIn: "integration",
    run: () =>
      vitest("quick", [
        "--project",
        "integration",
        "test/integration/say-then-act",
        "test/integration/refusals",
      ]),
  },
  {
    name: "contexts",
    what: "the suite of contexts on the MongoDB of MONGODB_URL, else on one that is started",
    containedIn: "integration",
    ...(process.env.MONGODB_URL
      ? {}
      : { longBecause: "no MONGODB_URL; run: npm test -- contexts", needs: ["java", "mvn"] }),
    run: () => vitest("contexts", ["--project", "integration", "test/integration/mongo-contexts"]),
  },
  { name: "demo", what: "one whole call in speech", containedIn: "demo-matrix", run: () => demo(NODE) },
  {
    name: "integration",
    what: "all tests with real sockets and processes",
    longBecause: "several minutes; run: npm run integration",
    needs: ["python3", "go", "openssl", "java", "mvn"],
    run: () =>
      vitest("integration", [
        "--project",
        "integration",
        ...["--exclude", "test/sdk-proof/**", "--exclude", "test/desk/**"],
      ]),
  },
  {
    name: "desk",
    what: "the page for people, in a Chromium with a microphone",
    longBecause: "two minutes and a Chromium (apt-get install chromium); run: npm test -- desk",
    run: () => vitest("desk", ["--project", "integration", "test/desk"]),
  },
  {
    name: "integration-servers",
    what: "the suite of calls once more, with events in NATS and contexts in MongoDB",
    longBecause: "two minutes and a Java server; run: npm test -- integration-servers",
    needs: ["python3", "java", "mvn"],
    run: () =>
      vitest(
        "servers",
        [
          "--project",
          "integration",
          ...["escalation", "say-then-act", "refusals", "agent-loss"].map(
            (name) => `test/integration/${name}.test`,
          ),
        ],
        NODE,
        { ...process.env, CALLWEAVE_TEST_STORES: "servers" },
      ),
  },
  ...CLIENT_LANGUAGES.flatMap(({ name, needs, check }) =>
    check
      ? [
          {
            name: `client-${name}`,
            what: `the ${name} client: format, lint, unit tests, documentation, package`,
            longBecause: `builds a toolchain's worth; run: npm test -- client-${name}`,
            needs,
            run: check,
          },
        ]
      : [],
  ),
  {
    name: "conformance",
    what: "every scenario with the client of each language",
    longBecause: "builds a program in each language; run: npm run conformance -- --lang NAME",
    run: conformance,
  },
  {
    name: "sdk-proof",
    what: "the vendor's own SDK against the simulator",
    longBecause: "installs the SDK from PyPI; run: npm test -- sdk-proof",
    needs: ["python3", "openssl"],
    run: () => vitest("sdk-proof", ["--project", "integration", "test/sdk-proof"]),
  },
  {
    name: "fuzz",
    what: "hostile input: 20,000 inputs, twenty planted defects, lines of the parsers",
    longBecause: "two minutes; run: npm run fuzz",
    needs: ["python3"],
    run: fuzz,
  },
  {
    name: "demo-matrix",
    what: "every caller and callee of the demo",
    longBecause: "several minutes; run: npm test -- demo-matrix",
    needs: ["python3"],
    run: matrix,
  },
  {
    name: "demo-cluster",
    what: "several gateways: a database and a gateway are killed under 20 calls",
    longBecause: "half a minute and a Java server; run: npm run demo:cluster -- --once",
    needs: ["python3", "java", "mvn"],
    run: () =>
      command(
        process.execPath,
        ["--import", "tsx", "demo/cluster/main.ts", "--once", "--json", "--out", join(scratch, "cluster")],
        { timeoutMs: 180_000 },
      ),
  },
  {
    name: "marathon",
    what: "20 kills and freezes under calls in every phase, audited; and that the audit finds a fault that is built in",
    longBecause: "a minute and a Java server; run: npm run marathon -- --kills 20",
    needs: ["python3", "java", "mvn"],
    run: marathon,
  },
  {
    name: "rolling",
    what: "both gateways restarted under 20 calls: none is dropped",
    longBecause: "half a minute; run: npm run marathon -- --rolling",
    needs: ["python3"],
    run: () => bench("marathon", ["--rolling", "--calls", "20", "--json"], 180_000),
  },
  {
    name: "soak",
    what: "a minute with 30 calls: memory, handles, timers and the event loop stay as they are",
    longBecause: "a minute and a half; run: npm run soak -- --calls 30 --minutes 1",
    run: () => bench("soak", ["--calls", "30", "--minutes", "1", "--json"], 240_000),
  },
  {
    name: "demo-without-python",
    what: "the demo without Python and with a proxy that leads nowhere",
    longBecause: "a minute; run: npm test -- demo-without-python",
    run: demoWithoutPython,
  },
  {
    name: "bench",
    what: "a short benchmark: it runs and loses nothing",
    longBecause: "half a minute; run: npm run bench -- --quick",
    run: () => command(process.execPath, ["--import", "tsx", "bench/main.ts", "--quick", "--json"]),
  },
  {
    name: "node-24",
    what: "unit tests and the demo on Node 24",
    longBecause: "fetches Node 24 from npm; run: npm test -- node-24",
    run: async () => add(await vitest("node24", ["--project", "unit"], NODE_24), await demo(NODE_24)),
  },
];

async function demo(node: readonly string[], env = process.env): Promise<Counts> {
  const [program = "node", ...first] = node;
  return command(program, [...first, ...DEMO], { timeoutMs: 180_000, env });
}

/** With nothing but node on the PATH: the caller's words are handed to the agent, and the demo says so. */
async function demoWithoutPython(): Promise<Counts> {
  const bin = join(scratch, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  const { CI: _, CALLWEAVE_PYTHON: __, ...env } = process.env;
  const proxy = "http://127.0.0.1:9";
  const run = await command(process.execPath, DEMO, {
    timeoutMs: 180_000,
    env: {
      ...env,
      PATH: [bin].join(delimiter),
      CALLWEAVE_CACHE_DIR: join(scratch, "cache"),
      http_proxy: proxy,
      https_proxy: proxy,
    },
  });
  const result = JSON.parse(run.output.trim().split("\n").at(-1) ?? "{}") as { speechToText?: string };
  if (result.speechToText === "scripted") return run;
  console.error(`speechToText is ${result.speechToText}, not "scripted"`);
  return { passed: 0, failed: 1 };
}

async function vitest(
  label: string,
  args: readonly string[],
  node: readonly string[] = NODE,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Counts> {
  const output = join(scratch, `${label}.json`);
  const [program = "node", ...first] = node;
  const live = process.stdout.isTTY && !CI ? ["--reporter=default"] : [];
  const json = ["--reporter=json", `--outputFile.json=${output}`, "--reporter=./scripts/vitest-errors.mjs"];
  const reporters = [...live, ...json, "--silent=passed-only"];
  const run = [...first, "node_modules/vitest/vitest.mjs", "run", ...reporters, ...args];
  const once = async () => {
    const { failed } = await command(program, run, { timeoutMs: 1_500_000, env });
    return {
      counts: countVitest(output, failed === 0, CI),
      outside: failed > 0 && failedTests(output) === 0,
    };
  };
  const result = await once();
  if (!result.outside) return result.counts;
  // A process of vitest that breaks off at its end, with every test passed. Seen now and then; twice in a row it counts.
  console.log(`${label}: every test passed, but vitest failed outside of them; once more`);
  return (await once()).counts;
}

/** Every variant of the demo is a test. */
async function matrix(): Promise<Counts> {
  const args = ["--import", "tsx", "demo/matrix.ts", "--times", "1", "--parallel", "2"];
  const run = await command(process.execPath, args, { timeoutMs: 1_200_000 });
  return countLastLine(run.output, run.failed === 0);
}

/** Every scenario of every language is a test. */
async function conformance(): Promise<Counts> {
  const args = ["--import", "tsx", "test/conformance/main.ts", "--lang", "all", "--again", "--json"];
  const run = await command(process.execPath, args, { timeoutMs: 1_200_000 });
  return countLastLine(run.output, run.failed === 0);
}

/** Fuzzing, its proof, and what of the parsers it reaches: three tests. */
async function fuzz(): Promise<Counts> {
  const run = (...args: string[]) =>
    command(process.execPath, ["--import", "tsx", "test/fuzz/main.ts", "--json", ...args], {
      timeoutMs: 300_000,
    });
  const found = await run("--inputs", "20000", "--seed", "1");
  return add(add(found, await run("--prove", "--seed", "2")), await run("--coverage"));
}

/** A program below bench/, in a process of its own. */
function bench(name: string, args: readonly string[], timeoutMs: number) {
  return command(process.execPath, ["--import", "tsx", `bench/${name}/main.ts`, ...args], { timeoutMs });
}

/** The kills, and two more with an agent that says of a turn that it is stored when it is not: that has to be found. */
async function marathon(): Promise<Counts> {
  const kills = await bench("marathon", ["--kills", "20", "--seed", "1", "--json"], 300_000);
  const planted = await bench(
    "marathon",
    ["--kills", "2", "--lanes", "2", "--only", "agent", "--plant", "lost-turn", "--json"],
    120_000,
  );
  const line = planted.output.trim().split("\n").at(-1) ?? "";
  const { zeros } = JSON.parse(line.startsWith("{") ? line : "{}") as { zeros?: { contextsLost?: number } };
  const found = planted.failed > 0 && (zeros?.contextsLost ?? 0) > 0;
  if (!found) console.error("the audit did not find the turn that was lost on purpose");
  return add(kills, { passed: found ? 1 : 0, failed: found ? 0 : 1 });
}

async function documents(): Promise<Counts> {
  return add(
    await npx("tsx", "scripts/docs.ts", "--check"),
    await npx("tsx", "scripts/notices.ts", "--check"),
  );
}

/** Against the newest tag `v*`; before the first release there is nothing to break. */
async function breaking(): Promise<Counts> {
  const tag = spawnSync("git", ["describe", "--tags", "--abbrev=0", "--match", "v*"], { encoding: "utf8" });
  const name = tag.stdout?.trim() ?? "";
  if (tag.status !== 0 || name === "") {
    console.log("no release tag yet: the contract is compared with itself, so that the gate is known to run");
    return npx("buf", "breaking", "--against", "proto");
  }
  return npx("buf", "breaking", "--against", `.git#tag=${name},subdir=proto`);
}

function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed };
}

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
try {
  process.exitCode = await runSteps(STEPS, { ci: CI, wanted, print: (line) => console.log(line) });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
