/** How a diagnosis ends; the number is the exit code of the process. */
export const DOCTOR_EXIT = {
  ok: 0,
  unexpected: 1,
  configuration: 2,
  unreachable: 3,
  refused: 4,
  noSignIn: 5,
  noCall: 6,
  callFailed: 7,
  interrupted: 130,
} as const;

/** Name of an end. */
export type DoctorEnd = keyof typeof DOCTOR_EXIT;

/** One step, as it is printed. */
export interface DoctorStep {
  /** Since the start, ms. */
  readonly atMs: number;
  /** note: something to know, neither good nor bad. */
  readonly result: "ok" | "note" | "failed";
  readonly step: "config" | "resolve" | "connect" | "tls" | "sign_in" | "wait" | "call" | "audio" | "end";
  /** A sentence; no secrets, numbers masked. */
  readonly detail: string;
}

/** What was measured of the caller's audio. */
export interface HeardFigures {
  /** Channels that audio came on; 0 is the mix. */
  readonly channels: readonly number[];
  readonly frames: number;
  /** Audio against the time in which it came, 1 when they agree; 0 when there was too little. */
  readonly rate: number;
  readonly audioMs: number;
  /** Usual length of a frame. */
  readonly frameMs: number;
  /** From the answer to the first frame; -1 when none came. */
  readonly firstAfterMs: number;
  /** Longest time between two frames. */
  readonly longestPauseMs: number;
  /** Level of all of it and of its loudest sample, dB below full scale; -120 is silence. */
  readonly rmsDb: number;
  readonly peakDb: number;
}

/** What was measured of our own audio on its way out. */
export interface SpokenFigures {
  readonly audioMs: number;
  /** How much of it the provider took. */
  readonly takenMs: number;
  /** From the answer until the provider took the first of it; -1 when it took nothing. */
  readonly firstTakenAfterMs: number;
  /** From the first to the last that it took: far less than takenMs means that the provider buffers ahead. */
  readonly takenWithinMs: number;
  /** What the provider asked for in all, and in how many requests. */
  readonly askedMs: number;
  readonly requests: number;
}

/** Everything that a diagnosis saw. */
export interface DoctorReport {
  readonly end: DoctorEnd;
  readonly exitCode: number;
  readonly seconds: number;
  readonly connector?: { readonly name: string; readonly address: string; readonly sampleRateHz: number };
  readonly call?: { readonly caller: string; readonly callee: string; readonly endedBy: string };
  readonly heard?: HeardFigures;
  readonly spoken?: SpokenFigures;
  /** Frames of the provider by type. */
  readonly frames: Readonly<Record<string, number>>;
  /** Types and fields of frames that this version does not know; names alone. */
  readonly unknown: readonly string[];
  /** Calls of others that were notified and left alone. */
  readonly callsLeftAlone: number;
  /** What was seen of the assumptions about the provider (docs/limits.md). */
  readonly assumptions: Readonly<Record<"A1" | "A2" | "A3", string>>;
}

/** A step as a line of text. */
export function stepLine({ atMs, result, step, detail }: DoctorStep): string {
  const seconds = (atMs / 1000).toFixed(3).padStart(8);
  return `${seconds} s  ${result.padEnd(6)}  ${step.padEnd(7)}  ${detail}`;
}

/** The report as lines of text, after the steps. */
export function reportLines(report: DoctorReport): string[] {
  const { heard, spoken } = report;
  const lines = ["", `result: ${report.end} (exit code ${report.exitCode})`];
  if (heard) {
    lines.push(
      `heard:  ${heard.frames} frames, ${ms(heard.audioMs)} at ${heard.rate.toFixed(2)} × real time, frames of ${ms(heard.frameMs)}, ` +
        `first after ${ms(heard.firstAfterMs)}, longest pause ${ms(heard.longestPauseMs)}, level ${db(heard.rmsDb)}, peak ${db(heard.peakDb)}`,
    );
  }
  if (spoken) {
    lines.push(
      `spoken: ${ms(spoken.takenMs)} of ${ms(spoken.audioMs)} taken within ${ms(spoken.takenWithinMs)}, first after ${ms(spoken.firstTakenAfterMs)}; ` +
        `${spoken.requests} requests for ${ms(spoken.askedMs)}`,
    );
  }
  const frames = Object.entries(report.frames).map(([name, count]) => `${name} ${count}`);
  if (frames.length > 0) lines.push(`frames: ${frames.join(", ")}`);
  lines.push(
    `not known to this version: ${report.unknown.length > 0 ? report.unknown.join("; ") : "nothing"}`,
  );
  if (report.callsLeftAlone > 0) lines.push(`calls of others left alone: ${report.callsLeftAlone}`);
  for (const [name, text] of Object.entries(report.assumptions)) lines.push(`${name}: ${text}`);
  return lines;
}

const ms = (value: number) => `${Math.round(value)} ms`;
const db = (value: number) => `${value.toFixed(0)} dB`;
