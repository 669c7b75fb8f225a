import { shown } from "../report.js";
import type { PairName, PairOptions, SideResult } from "./pair.js";
import { type PairSummary, type Round, type SideSummary, summarizePair } from "./pair-summary.js";
import { PAIRS } from "./sides.js";

/** How the pairs are run. */
export interface RunPairsOptions extends PairOptions {
  readonly rounds: number;
  /** An invalid run is repeated so often. */
  readonly retries: number;
  readonly quick: boolean;
  readonly say: (line: string) => void;
}

/** Runs pairs one after the other; in each the sides take turns, and which one begins changes with the round. */
export async function runPairs(names: readonly PairName[], options: RunPairsOptions): Promise<PairSummary[]> {
  const summaries: PairSummary[] = [];
  for (const pair of PAIRS.filter(({ name }) => names.includes(name))) {
    options.say(`\n${pair.name}: ${pair.title}, ${options.calls} calls`);
    const rounds: Round[] = [];
    const failures: string[] = [];
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
        }
      }
      const [first, second] = results;
      if (first && second) rounds.push([first, second]);
    }
    const summary = summarizePair(pair, rounds, failures, options.quick);
    options.say(`\n${tableOf(summary)}`);
    options.say(summary.ok ? "ok" : `not ok: ${summary.problems.join("; ")}`);
    summaries.push(summary);
  }
  return summaries;
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

/** A table for docs/performance.md. */
export function tableOf({ sides, ...pair }: PairSummary): string {
  const [first, second] = sides;
  const row = (name: string, pick: (side: SideSummary) => string, compared = "") =>
    `| ${name} | ${pick(first)} | ${pick(second)} | ${compared} |`;
  return [
    `| ${pair.title} | ${first.side} | ${second.side} | compared |`,
    "| --- | --- | --- | --- |",
    row("gateways, CPU s per call-minute", (s) => shown(s.gatewayCpu, 3), `× ${shown(pair.cpuRatio, 2)}`),
    row(
      "NATS and database, CPU s per call-minute",
      (s) => shown(s.serverCpu, 3),
      `with gateways × ${shown(pair.cpuRatioWithServers, 2)}`,
    ),
    row("agents, CPU s per call-minute", (s) => shown(s.agentCpu, 3)),
    row("caller → agent p99, ms", (s) => shown(s.upP99Ms, 1), `+ ${shown(pair.addedUpP99Ms, 1)}`),
    row("agent → caller p99, ms", (s) => shown(s.downP99Ms, 1), `+ ${shown(pair.addedDownP99Ms, 1)}`),
    ...(second.saveP99Ms && second.saveP50Ms
      ? [
          `| save p50 / p99, ms | | ${shown(second.saveP50Ms, 1)} / ${shown(second.saveP99Ms, 1)} | ${second.savesSent} saves |`,
        ]
      : []),
    row("frames lost", (s) => `${s.framesLost} of ${s.framesSent}`),
    row("rounds valid (of those noisy)", (s) => `${s.validRounds} of ${s.rounds} (${s.noisyRounds})`),
  ].join("\n");
}
