/** Several gateways, a database and agents on both wires, and what becomes of the calls when parts of it die. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../options.js";
import { defaultFolder } from "../recordings.js";
import { checkLines } from "../report.js";
import { type ClusterStack, startClusterStack } from "./cluster-stack.js";
import { Round } from "./course.js";
import { CLUSTER_HELP, type ClusterOptions, parseClusterOptions } from "./options.js";
import { drawCluster } from "./picture.js";
import { Progress } from "./progress.js";
import { missingServers } from "./servers.js";
import { type ClusterResult, verifyCluster } from "./verifier.js";

const print = (text: string) => process.stdout.write(`${text}\n`);
const write = (text: string) => void process.stdout.write(text);

/** What has to be taken down when the demo is broken off. */
let takeDown: (() => Promise<void>) | undefined;

async function playRound(stack: ClusterStack, options: ClusterOptions, folder: string): Promise<boolean> {
  const evidence = await new Round(stack, options.calls, progressOf()).play();
  const result = verifyCluster(evidence);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "cluster.svg"), drawCluster(evidence, result));
  await writeFile(join(folder, "result.json"), `${JSON.stringify({ result, evidence }, null, 2)}\n`);
  print(["", "Checked on recordings, event log and database:", ...checkLines(result.checks)].join("\n"));
  if (!result.ok)
    print(["", "What went wrong on the way:", ...stack.troubles, ...complaints(stack)].join("\n  "));
  print(`\n${result.ok ? "ok" : "NOT ok"}. Picture and evidence: ${folder}`);
  if (options.json) print(JSON.stringify(lineOf(result)));
  return result.ok;
}

/** The result without the single checks, which are in result.json. */
function lineOf({ checks, ...figures }: ClusterResult): object {
  const failed = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);
  return { ...figures, ...(failed.length > 0 ? { failed } : {}) };
}

/** The newest warnings and errors of the gateways. */
function complaints(stack: ClusterStack): string[] {
  return stack.cluster.gateways.flatMap(({ id, child }) =>
    child.lines
      .filter(({ level }) => Number(level) >= 40)
      .slice(-15)
      .map((line) => `${id}: ${JSON.stringify(line)}`),
  );
}

function progressOf(): Progress {
  return new Progress(write, process.stdout.isTTY === true && process.env.CI === undefined);
}

async function run(options: ClusterOptions): Promise<boolean> {
  const missing = await missingServers(options);
  if (missing.length > 0) throw new Error(["missing", ...missing].join("\n  "));
  print("Starting simulated provider, NATS, database and two gateways …");
  const stack = await startClusterStack(options, (stop) => {
    takeDown = stop;
  });
  try {
    const folder = options.out ?? defaultFolder(new Date());
    for (let round = 1; ; round++) {
      const ok = await playRound(stack, options, options.once ? folder : join(folder, `round-${round}`));
      if (options.once || !ok) return ok;
      print("\nA new gateway stands in for the dead one; the next round. Ctrl-C ends the demo.");
      await stack.cluster.add();
    }
  } finally {
    takeDown = undefined;
    await stack.stop();
  }
}

async function main(): Promise<number> {
  const options = parseClusterOptions(process.argv.slice(2));
  if (options === "help") {
    print(CLUSTER_HELP);
    return 0;
  }
  const breakOff = (status: number) => {
    const stopped = takeDown?.() ?? Promise.resolve();
    void stopped.finally(() => process.exit(status));
  };
  process.once("SIGINT", () => breakOff(options.once ? 130 : 0));
  process.once("SIGTERM", () => breakOff(143));
  // Nobody reads any more, as with `| head`.
  process.stdout.once("error", () => breakOff(141));
  try {
    return (await run(options)) ? 0 : 1;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`demo: ${text}\n`);
    if (options.json) print(JSON.stringify({ ok: false, error: text }));
    return 1;
  }
}

/** Ends when all that was printed is out. */
function exit(status: number): void {
  process.stdout.write("", () => process.exit(status));
}

main().then(exit, (error: unknown) => {
  const usage = error instanceof UsageError;
  process.stderr.write(`demo: ${usage ? `${error.message}\n\n${CLUSTER_HELP}` : String(error)}\n`);
  exit(usage ? 2 : 1);
});
