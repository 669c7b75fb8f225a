import { shown } from "../report.js";
import type { PairSummary, SideSummary } from "./pair-summary.js";

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
