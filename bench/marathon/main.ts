/**
 * Kills and freezes everything under calls in every phase and audits what is left; docs/reliability.md says what came out.
 * Rests on assumption A1 (docs/limits.md) where a gateway dies.
 */
import { writeFileSync } from "node:fs";
import { connect } from "callweave";
import { missingServers } from "../../demo/cluster/servers.js";
import { until } from "../../test/harness/until.js";
import { BatchRun } from "./batch-run.js";
import type { BatchEvidence } from "./evidence.js";
import { HELP, type MarathonOptions, MarathonUsage, parseMarathon } from "./options.js";
import { planOf } from "./plan.js";
import { type MarathonResult, Tally, timelineOf } from "./report.js";
import { playRolling } from "./rolling.js";
import { startMarathonStack } from "./stack.js";

const print = (text: string) => process.stdout.write(`${text}\n`);
const PROGRESS_EVERY_MS = 30_000;
const TIMELINES = 5;

/** What has to be taken down when it is broken off. */
let takeDown: (() => Promise<void>) | undefined;
/** Told to end: the batch that runs is the last, and the figures are those until then. */
let breakOff = false;

async function play(options: MarathonOptions): Promise<MarathonResult> {
  const batches = planOf(options).filter(({ number }) => (options.batch ?? number) === number);
  const tally = new Tally();
  const broken: BatchEvidence[] = [];
  let run: BatchRun | undefined;
  const stack = await startMarathonStack(
    options,
    { onNote: (id, note) => run?.onNote(id, note), onEvent: (event) => run?.onEvent(event) },
    (stop) => {
      takeDown = stop;
    },
  );
  const endpoints = stack.cluster.gateways.map(({ address }) => address);
  const client = connect({ endpoints });
  const startMs = performance.now();
  let saidMs = startMs;
  try {
    for (const batch of batches) {
      if (breakOff) {
        tally.fail("broken off by a signal");
        break;
      }
      run = new BatchRun(stack, batch, client, options.plant !== undefined);
      const { evidence, audit } = await run.play();
      tally.add(evidence, audit);
      if (audit.problems.length > 0) {
        broken.push(evidence);
        print(
          `batch ${batch.number}: again by --seed ${options.seed} --kills ${options.kills} --batch ${batch.number}`,
        );
        if (broken.length <= TIMELINES) {
          print(timelineOf(evidence, audit.problems).join("\n"));
          print(["log of the gateways:", ...run.gatewayLog()].join("\n"));
        }
      }
      if (performance.now() - saidMs > PROGRESS_EVERY_MS) {
        saidMs = performance.now();
        const { kills, failed } = tally.result(options.seed, 0);
        print(`${kills} of ${options.kills} kills, ${failed.length} wrong`);
      }
    }
    const left = async () =>
      (await client.calls.list()).calls.filter(({ state }) => state !== "DISCONNECTED");
    await until(async () => (await left()).length === 0, "no call to be left").catch(() =>
      tally.fail("gateways still have calls"),
    );
  } catch (error) {
    tally.fail(`broken off: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    client.close();
    await stack.stop();
  }
  if (options.out) writeFileSync(options.out, `${JSON.stringify(broken, undefined, 2)}\n`);
  return tally.result(options.seed, (performance.now() - startMs) / 60_000);
}

async function main(): Promise<number> {
  const options = parseMarathon(process.argv.slice(2));
  if (options === "help") {
    print(HELP);
    return 0;
  }
  const missing = await missingServers({ nats: undefined, mongo: undefined });
  if (missing.length > 0) throw new Error(["missing", ...missing].join("\n  "));
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (breakOff || options.rolling)
        void (takeDown?.() ?? Promise.resolve()).finally(() => process.exit(130));
      breakOff = true;
    });
  const result = options.rolling
    ? await playRolling(options.calls, options.seed, print, (stop) => {
        takeDown = stop;
      })
    : await play(options);
  if (!result.ok && !options.json) print(`seed ${options.seed}:\n  ${result.failed.join("\n  ")}`);
  print(options.json ? JSON.stringify(result) : JSON.stringify(result, undefined, 2));
  return result.ok ? 0 : 1;
}

main().then(
  (status) => process.stdout.write("", () => process.exit(status)),
  (error: unknown) => {
    const usage = error instanceof MarathonUsage;
    process.stderr.write(`marathon: ${usage ? `${error.message}\n\n${HELP}` : String(error)}\n`);
    process.exit(usage ? 2 : 1);
  },
);
