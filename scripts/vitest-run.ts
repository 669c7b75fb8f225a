import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import { type Counts, command } from "./test-steps.js";
import {
  countVitest,
  failedOutside,
  filesToRepeat,
  passedAtSecondTry,
  readReport,
  type VitestReport,
  withSecondTry,
} from "./vitest-report.js";

/** A run of vitest as a step of the test command. */
export interface VitestRun {
  /** Names the run in what is printed. */
  readonly label: string;
  /** Of vitest.config.ts. Tests of `integration` have a second try each in CI; files of `unit` have one here. */
  readonly project: "unit" | "integration";
  /** Only files whose path contains one of these. Default: all. */
  readonly files?: readonly string[];
  /** The program that runs vitest, and its first arguments. Default: this Node. */
  readonly node?: readonly string[];
  /** Default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  /** In CI there are second tries, and a skipped test is a failed one. */
  readonly ci: boolean;
  /** A folder for the report. */
  readonly scratch: string;
}

/** More failed files than this have no second try: that is no accident. */
const MAX_REPEATED = 5;

/** Runs it. What passed at the second try alone is named, with why it failed at the first. */
export async function runVitest(run: VitestRun): Promise<Counts> {
  const { label, project, files = [], ci } = run;
  let { report, well } = await once(run, files);
  if (failedOutside(report, well)) {
    // A process of vitest that breaks off at its end, with every test passed. Seen now and then; twice in a row it counts.
    console.log(`${label}: every test passed, but vitest failed outside of them; once more`);
    ({ report, well } = await once(run, files));
  }
  const repeated = ci ? filesToRepeat(report, project === "integration") : [];
  if (repeated.length === 0 || repeated.length > MAX_REPEATED) return countVitest(report, well, ci);
  const paths = repeated.map((path) => relative(process.cwd(), path));
  console.log(`${label}: once more ${paths.join(", ")}`);
  const second = await once(run, paths);
  for (const { name, why } of passedAtSecondTry(report, second.report))
    console.log(`passed at the second try: ${name}\n  first: ${why}`);
  return countVitest(withSecondTry(report, second.report), second.well, ci);
}

async function once(
  { label, project, node = [process.execPath], env = process.env, ci, scratch }: VitestRun,
  files: readonly string[],
): Promise<{ report: VitestReport; well: boolean }> {
  const output = join(scratch, `${label}.json`);
  rmSync(output, { force: true });
  const [program = "node", ...first] = node;
  const live = process.stdout.isTTY && !ci ? ["--reporter=default"] : [];
  const json = ["--reporter=json", `--outputFile.json=${output}`, "--reporter=./scripts/vitest-errors.mjs"];
  const what = ["--project", project, ...files];
  const { failed } = await command(
    program,
    [...first, "node_modules/vitest/vitest.mjs", "run", ...live, ...json, "--silent=passed-only", ...what],
    { timeoutMs: 1_500_000, env },
  );
  return { report: readReport(output), well: failed === 0 };
}
