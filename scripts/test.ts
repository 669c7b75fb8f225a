/**
 * `npm test`: everything that is quick, at most 5 minutes, naming what it leaves out; with `CI=true` everything, and a
 * missing toolchain fails. `npm test -- NAME…` runs single steps. The last line counts all that ran.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLIENT_LANGUAGES } from "./clients/index.js";
import type { Failure } from "./test-failures.js";
import {
  add,
  type CommandOptions,
  type Counts,
  command,
  countLastLine,
  runSteps,
  type Step,
  twice,
} from "./test-steps.js";
import { runVitest, type VitestRun } from "./vitest-run.js";

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
  { name: "unit", what: "unit tests", run: () => vitest("unit", "unit") },
  {
    name: "integration-quick",
    what: "real sockets: say-then-act and refusals",
    containedIn: "integration",
    run: () =>
      vitest("quick", "integration", {
        files: ["test/integration/say-then-act", "test/integration/refusals"],
      }),
  },
  {
    name: "contexts",
    what: "the suite of contexts on the MongoDB of MONGODB_URL, else on one that is started",
    containedIn: "integration",
    ...(process.env.MONGODB_URL
      ? {}
      : { longBecause: "no MONGODB_URL; run: npm test -- contexts", needs: ["java", "mvn"] }),
    run: () => vitest("contexts", "integration", { files: ["test/integration/mongo-contexts"] }),
  },
  {
    name: "demo",
    what: "one whole call in speech",
    containedIn: "demo-matrix",
    run: () => demo("demo", NODE),
  },
  {
    name: "integration",
    what: "all tests with real sockets and processes",
    longBecause: "several minutes; run: npm run integration",
    needs: ["python3", "go", "openssl", "java", "mvn"],
    // What is below test/desk and test/sdk-proof has steps of its own.
    run: () =>
      vitest("integration", "integration", {
        files: ["test/integration/", "test/conformance/", "test/faults/"],
      }),
  },
  {
    name: "desk",
    what: "the page for people, in a Chromium with a microphone",
    longBecause: "two minutes and a Chromium (apt-get install chromium); run: npm test -- desk",
    run: () => vitest("desk", "integration", { files: ["test/desk"] }),
  },
  {
    name: "integration-servers",
    what: "the suite of calls once more, with events in NATS and contexts in MongoDB",
    longBecause: "two minutes and a Java server; run: npm test -- integration-servers",
    needs: ["python3", "java", "mvn"],
    run: () =>
      vitest("servers", "integration", {
        files: ["escalation", "say-then-act", "refusals", "agent-loss"].map(
          (name) => `test/integration/${name}.test`,
        ),
        env: { ...process.env, CALLWEAVE_TEST_STORES: "servers" },
      }),
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
    run: () => vitest("sdk-proof", "integration", { files: ["test/sdk-proof"] }),
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
    run: demoCluster,
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
    what: "two minutes with 20 calls: memory, handles, timers and the event loop stay as they are",
    longBecause: "two and a half minutes; run: npm run soak -- --calls 20 --minutes 2",
    run: () => bench("soak", ["--calls", "20", "--minutes", "2", "--json"], 300_000),
  },
  {
    name: "demo-without-python",
    what: "the demo without Python and with a proxy that leads nowhere",
    longBecause: "a minute; run: npm test -- demo-without-python",
    containedIn: "demo-elsewhere",
    run: () => demoWithoutPython(),
  },
  {
    name: "demo-elsewhere",
    what: "the demo without Python, and beside it on Node 24",
    longBecause: "a minute, and Node 24 from npm; run: npm test -- demo-elsewhere",
    run: demoElsewhere,
  },
  {
    name: "bench",
    what: "what a call costs against the floor, at most a quarter more than recorded; nothing is lost",
    longBecause: "a minute; run: npm run bench -- --gate",
    needs: ["go"],
    run: () =>
      command(process.execPath, ["--import", "tsx", "bench/main.ts", "--gate", "--json"], {
        timeoutMs: 300_000,
      }),
  },
  {
    name: "node-24",
    what: "unit tests on Node 24",
    longBecause: "fetches Node 24 from npm; run: npm test -- node-24",
    run: () => vitest("node24", "unit", { node: NODE_24 }),
  },
];

function demo(label: string, node: readonly string[], { env, hold }: CommandOptions = {}) {
  const [program = "node", ...first] = node;
  return twice(label, CI, async () => {
    // Two that begin in the same second would write to the same folder.
    const out = hold ? ["--out", join(scratch, label)] : [];
    const run = await command(program, [...first, ...DEMO, ...out], {
      timeoutMs: 180_000,
      env: env ?? process.env,
      hold: hold ?? false,
    });
    return { ...run, failures: run.failed > 0 ? checksOf(run) : [] };
  });
}

/** The checks of the demo that failed; of one that did not come so far what it printed. */
function checksOf({ output, failures }: Counts & { readonly output: string }): readonly Failure[] {
  const { checks = [] } = lastObject<{ checks: readonly { name: string; ok: boolean; detail: string }[] }>(
    output,
  );
  const failed = checks.filter(({ ok }) => !ok).map(({ name, detail }) => ({ name, why: detail }));
  return failed.length > 0 ? failed : (failures ?? []);
}

/** The object on the last line of an output; empty when there is none. */
function lastObject<T>(output: string): Partial<T> {
  const line = output.trim().split("\n").at(-1) ?? "";
  return line.startsWith("{") && line.endsWith("}") ? (JSON.parse(line) as Partial<T>) : {};
}

/** With nothing but node on the PATH: the caller's words are handed to the agent, and the demo says so. */
async function demoWithoutPython(hold = false): Promise<Counts> {
  const bin = join(scratch, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  const { CI: _, CALLWEAVE_PYTHON: __, ...env } = process.env;
  const proxy = "http://127.0.0.1:9";
  const poor = { ...env, PATH: bin, CALLWEAVE_CACHE_DIR: join(scratch, "cache") };
  const label = "demo-without-python";
  const run = await demo(label, NODE, {
    env: { ...poor, http_proxy: proxy, https_proxy: proxy },
    hold,
  });
  const { speechToText } = lastObject<{ speechToText: string }>(run.output);
  if (speechToText === "scripted") return run;
  const why = `speechToText is ${speechToText}, not "scripted"`;
  console.error(why);
  return { passed: 0, failed: 1, failures: [...(run.failures ?? []), { name: label, why }] };
}

/** Two demos that mostly wait for what is said, side by side. */
async function demoElsewhere(): Promise<Counts> {
  const both = [demoWithoutPython(true), demo("demo on Node 24", NODE_24, { hold: true })] as const;
  return (await Promise.all(both)).reduce(add);
}

/** A run of vitest; its label is that of its report. */
function vitest(
  label: string,
  project: VitestRun["project"],
  more: Partial<VitestRun> = {},
): Promise<Counts> {
  return runVitest({ label, project, ci: CI, scratch, ...more });
}

function demoCluster() {
  const args = ["demo/cluster/main.ts", "--once", "--json", "--out", join(scratch, "cluster")];
  return twice("demo-cluster", CI, () =>
    command(process.execPath, ["--import", "tsx", ...args], { timeoutMs: 180_000 }),
  );
}

interface MatrixRun {
  readonly name: string;
  readonly ok: boolean;
  /** What was wrong with it. */
  readonly failed: readonly string[];
}

/** Every variant of the demo is a test. In CI one that failed has a second try, alone. */
async function matrix(): Promise<Counts> {
  const run = async (...more: string[]): Promise<Counts> => {
    const args = ["--import", "tsx", "demo/matrix.ts", "--times", "1", ...more];
    const { output, failed } = await command(process.execPath, args, { timeoutMs: 1_200_000 });
    const { runs = [] } = lastObject<{ runs: readonly MatrixRun[] }>(output);
    const failures = runs
      .filter(({ ok }) => !ok)
      .map(({ name, failed: why }) => ({ name, why: why.join("\n") }));
    return { ...countLastLine(output, failed === 0), failures };
  };
  const { passed, failures = [], failed } = await run("--parallel", "3");
  if (!CI || failures.length === 0) return { passed, failed, failures };
  let counts: Counts = { passed, failed: failed - failures.length };
  for (const failure of failures) {
    const second = await run("--only", failure.name);
    if (second.failed === 0)
      console.log(`passed at the second try: ${failure.name}\n  first: ${failure.why}`);
    counts = add(counts, second);
  }
  return counts;
}

/** Every scenario of every language is a test. */
async function conformance(): Promise<Counts> {
  const args = [
    "--import",
    "tsx",
    "test/conformance/main.ts",
    "--lang",
    "all",
    "--parallel",
    "8",
    "--again",
    "--json",
  ];
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

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
try {
  process.exitCode = await runSteps(STEPS, { ci: CI, wanted, print: (line) => console.log(line) });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
