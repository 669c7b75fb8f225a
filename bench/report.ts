import type { Repeats, Spread } from "./figures.js";
import type { ExtraResult, RunResult } from "./run.js";
import type { BenchSummary, VariantSummary } from "./summary.js";

/** One line of a run, as it ends. */
export function runLine(run: RunResult): string {
  const notes = [
    run.invalid && `INVALID: ${run.invalid}`,
    run.noisy && `noisy: ${run.foreignCores.toFixed(2)} cores used by others`,
    run.stolenCores > 0.02 && `${run.stolenCores.toFixed(2)} cores taken by the host`,
  ].filter(Boolean);
  const cells = [
    run.variant.padEnd(7),
    `${run.cpuSecondsPerCallMinute.toFixed(3)} CPU s/call-min`,
    `core ${run.coreShare.toFixed(2)}`,
    `up ${spread(run.upMs)}`,
    `down ${spread(run.downMs)} ms`,
    `lost ${run.framesLost} of ${run.framesSent}`,
    `RSS ${run.memory.startMb.toFixed(0)} → ${run.memory.middleMb.toFixed(0)} → ${run.memory.endMb.toFixed(0)} MB`,
    `generator late p99 ${run.lateMs.p99.toFixed(1)} ms`,
    `harness ${run.harnessShare.toFixed(2)}`,
  ];
  return `${cells.join(" | ")}${notes.length > 0 ? `  [${notes.join("; ")}]` : ""}`;
}

/** The table of all rounds and what was measured beside it, as Markdown. */
export function tableOf(summary: BenchSummary): string {
  const { gateway, relay } = summary;
  const row = (name: string, pick: (v: VariantSummary) => Repeats, digits: number) =>
    `| ${name} | ${shown(pick(gateway), digits)} | ${shown(pick(relay), digits)} |`;
  const lines = [
    `| ${summary.calls} calls, ${summary.seconds} s, median [range] of the valid rounds | gateway | bare relay |`,
    "| --- | --- | --- |",
    row("CPU seconds per call-minute", (v) => v.cpuSecondsPerCallMinute, 3),
    row("share of one core", (v) => v.coreShare, 2),
    row("caller → agent p50, ms", (v) => v.upP50Ms, 1),
    row("caller → agent p99, ms", (v) => v.upP99Ms, 1),
    row("caller → agent max, ms", (v) => v.upMaxMs, 1),
    row("agent → caller p50, ms", (v) => v.downP50Ms, 1),
    row("agent → caller p99, ms", (v) => v.downP99Ms, 1),
    row("agent → caller max, ms", (v) => v.downMaxMs, 1),
    row("event loop late p99, ms", (v) => v.loopDelayP99Ms, 1),
    row("resident memory at the end, MB", (v) => v.residentEndMb, 0),
    row("its growth in the window, MB", (v) => v.residentGrowthMb, 1),
    `| frames lost, all rounds | ${gateway.framesLost} of ${gateway.framesSent} | ${relay.framesLost} of ${relay.framesSent} |`,
    `| rounds valid (of those noisy) | ${rounds(gateway)} | ${rounds(relay)} |`,
  ];
  const extra = summary.runs.findLast((run) => run.extra && run.invalid === "")?.extra;
  if (extra) lines.push("", ...extraTable(extra));
  if (Number.isFinite(summary.cpuRatio)) {
    lines.push("", `CPU of the gateway over the relay's: ${summary.cpuRatio.toFixed(2)}`);
  }
  return lines.join("\n");
}

function extraTable(extra: ExtraResult): string[] {
  const row = (name: string, s: Spread) =>
    `| ${name} | ${s.count} | ${s.p50.toFixed(1)} | ${s.p99.toFixed(1)} | ${s.max.toFixed(1)} |`;
  return [
    "| with all calls running, ms | times | p50 | p99 | max |",
    "| --- | --- | --- | --- | --- |",
    row("notice → claimed (waits 0 to 50 by chance)", extra.notifyToClaimMs),
    row("claimed → offer at the agent", extra.claimToOfferMs),
    row("offer → assigned, at the agent", extra.offerToAssignedMs),
    row("assigned → answer at the provider", extra.assignedToAnswerMs),
    row("notice → answer, in all", extra.notifyToAnswerMs),
    row("ClearPlayback → interrupt at the provider", extra.clearToInterruptMs),
    row("ClearPlayback → last agent audio at the provider", extra.clearToSilenceMs),
    row("ClearPlayback → PlaybackCleared", extra.clearToClearedMs),
  ];
}

function spread(s: Spread): string {
  return `${s.p50.toFixed(1)}/${s.p99.toFixed(1)}/${s.max.toFixed(1)}`;
}

/** A median with its range, as it stands in a table. */
export function shown(r: Repeats, digits: number): string {
  if (!Number.isFinite(r.median)) return "–";
  const [median, min, max] = [r.median, r.min, r.max].map((value) => value.toFixed(digits));
  return min === max ? `${median}` : `${median} [${min}–${max}]`;
}

function rounds(variant: VariantSummary): string {
  return `${variant.validRounds} of ${variant.rounds} (${variant.noisyRounds})`;
}
