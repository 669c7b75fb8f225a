import { parseArgs } from "node:util";

/** What the synthetic caller does. */
export const CALLERS = [
  "asks",
  "angry",
  "out-of-scope",
  "mumbles",
  "silent",
  "wrong-number",
  "hangs-up",
] as const;
export type CallerKind = (typeof CALLERS)[number];

/** What the person called does. */
export const CALLEES = ["picks-up", "no-answer", "voicemail"] as const;
export type CalleeKind = (typeof CALLEES)[number];

/** One course of the demo. */
export interface Variant {
  readonly caller: CallerKind;
  readonly callee: CalleeKind;
}

/** The command line of the demo. */
export interface DemoOptions extends Variant {
  /** Folder for recordings and picture; undefined: `recordings/<time>`. */
  readonly out: string | undefined;
  /** Play-out buffer of the simulated provider, ms, 20 to 10 000. Default 1000. */
  readonly playOutMs: number;
  /** No closing hints. */
  readonly once: boolean;
  /** The last line is one JSON object. */
  readonly json: boolean;
  /** No synthetic people: prints links for people in a browser, and runs until it is ended. */
  readonly open: boolean;
  /** Fails where no speech recognition is on this machine. */
  readonly requireSpeech: boolean;
}

export const HELP = `npm run demo -- [options]

A synthetic caller phones, an agent answers, understands, helps and hands over to a specialist: simulated
provider, gateway and agent on this machine, without network, telephone or sound device.

  --caller KIND      ${CALLERS.slice(0, 5).join(" | ")} |
                     ${CALLERS.slice(5).join(" | ")}   (default: asks)
  --callee KIND      ${CALLEES.join(" | ")}   (default: picks-up)
  --out DIR          where recordings and call.svg go   (default: recordings/<time>)
  --play-out-ms N    audio the provider buffers before it is heard, 20 to 10000   (default: 1000)
  --open             no synthetic people: links to be the caller, the specialist and at the desk in a browser,
                     until Ctrl-C
  --once             nothing but the run, for scripts
  --json             the last line is one JSON object with the result
  --require-speech   fail where no speech recognition (Python with pocketsphinx) is; so does CI=true
  --help             this text

Exit status 0: everything was as it has to be, checked on the recordings and on what the gateway's API says.`;

/** A mistake on the command line. */
export class UsageError extends Error {}

/**
 * Reads the command line.
 * @throws UsageError with what is wrong
 * @returns "help" when that was asked for
 */
export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DemoOptions | "help" {
  const { values } = parsed(args);
  if (values.help) return "help";
  const playOutMs = Number(values["play-out-ms"]);
  if (!Number.isInteger(playOutMs) || playOutMs < 20 || playOutMs > 10_000) {
    throw new UsageError("--play-out-ms: a whole number from 20 to 10000");
  }
  return {
    caller: oneOf("--caller", values.caller, CALLERS),
    callee: oneOf("--callee", values.callee, CALLEES),
    out: values.out,
    playOutMs,
    once: values.once,
    open: values.open,
    json: values.json,
    requireSpeech: values["require-speech"] || env.CI === "true",
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        caller: { type: "string", default: "asks" },
        callee: { type: "string", default: "picks-up" },
        out: { type: "string" },
        "play-out-ms": { type: "string", default: "1000" },
        once: { type: "boolean", default: false },
        open: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        "require-speech": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The value if it is one of the known ones. @throws UsageError */
export function oneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  const found = known.find((item) => item === value);
  if (found === undefined) throw new UsageError(`${name}: one of ${known.join(", ")}`);
  return found;
}
