import { thisMachine } from "../machine.js";
import type { Pair, PairName, PairOptions, SideResult } from "./pair.js";
import { keepPair, type PairResult } from "./pair-results.js";
import { type Round, summarizePair } from "./pair-summary.js";
import { tableOf } from "./pair-table.js";

/** How the pairs are run. */
export interface RunPairsOptions extends PairOptions {
  readonly rounds: number;
  /** An invalid run is repeated so often. */
  readonly retries: number;
  readonly quick: boolean;
  /** Whether each result is kept as soon as it is there. */
  readonly save: boolean;
  /** What makes a pair anew. */
  readonly commandOf: (name: PairName) => string;
  readonly say: (line: string) => void;
}

/** Starting and ending one run: servers, gateways, agents, calls. For the estimate. */
const AROUND_RUN_SECONDS = 7;

/** How long one pair takes, in seconds, when nothing has to be run again. */
export function estimatePairSeconds(options: Pick<RunPairsOptions, "rounds" | "warmUpSeconds" | "seconds">) {
  return 2 * options.rounds * (options.warmUpSeconds + options.seconds + AROUND_RUN_SECONDS);
}

/** Runs pairs one after the other; in each the sides take turns, and which one begins changes with the round. */
export async function runPairs(pairs: readonly Pair[], options: RunPairsOptions): Promise<PairResult[]> {
  const found: PairResult[] = [];
  for (const pair of pairs) {
    options.say(`\n${pair.name}: ${pair.title}, ${options.calls} calls`);
    const rounds: Round[] = [];
    const failures: string[] = [];
    let thrownAway = 0;
    for (let number = 1; number <= options.rounds; number++) {
      const results: (SideResult | undefined)[] = [undefined, undefined];
      for (const index of number % 2 === 1 ? [0, 1] : [1, 0]) {
        const side = pair.sides[index as 0 | 1];
        for (let attempt = 0; attempt <= options.retries; attempt++) {
          const result = await side.run(options).catch(String);
          if (typeof result === "string") {
            options.say(`${number}/${options.rounds} ${side.name} FAILED: ${result}`);
            if (attempt === options.retries) failures.push(`${side.name}: ${result.split("\n", 1)[0]}`);
            continue;
          }
          results[index] = result;
          options.say(`${number}/${options.rounds} ${lineOf(result)}`);
          if (result.invalid === "") break;
          thrownAway++;
        }
      }
      const [first, second] = results;
      if (first && second) rounds.push([first, second]);
    }
    const result = {
      ...summarizePair(pair, rounds, failures, options.quick),
      command: options.commandOf(pair.name),
      ...thisMachine(),
      thrownAway,
    };
    options.say(`\n${tableOf(result)}`);
    options.say(result.ok ? "ok" : `not ok: ${result.problems.join("; ")}`);
    if (options.save) for (const path of keepPair(result)) options.say(`kept: ${path}`);
    found.push(result);
  }
  return found;
}

function lineOf(run: SideResult): string {
  const { side, cpuSecondsPerCallMinute: cpu, serverCpuPerCallMinute: servers, upMs, downMs } = run;
  const marks = [run.invalid, run.noisy ? "noisy" : ""].filter((mark) => mark !== "");
  const saves = run.saves
    ? `, ${run.saves.sent} saves p99 ${run.saves.tookMs.p99.toFixed(1)} ms${run.saves.failed > 0 ? ` (${run.saves.failed} failed: ${run.saves.lastError})` : ""}`
    : "";
  const claims = run.claims.length > 1 ? `, claims ${run.claims.join("/")}` : "";
  return (
    `${side}: CPU s/call-minute ${cpu.toFixed(3)} (servers ${servers.toFixed(3)}), p99 ms ` +
    `${upMs.p99.toFixed(1)} up ${downMs.p99.toFixed(1)} down, lost ${run.framesLost}${claims}${saves}` +
    (marks.length > 0 ? `  [${marks.join("; ")}]` : "")
  );
}
