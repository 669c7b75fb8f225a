import { parseArgs } from "node:util";

/** Where a call is when something breaks under it. */
export const PHASES = [
  "claiming",
  "offered",
  "talking",
  "saving",
  "draining",
  "ringing",
  "picked up",
] as const;
export type PhaseName = (typeof PHASES)[number];

/** What breaks. */
export const VICTIMS = ["agent", "gateway", "nats", "mongodb"] as const;
export type Victim = (typeof VICTIMS)[number];

/** A fault that is built in to see that the auditor finds it. */
export const PLANTS = ["lost-turn", "altered-turn"] as const;
export type Plant = (typeof PLANTS)[number];

/** The command line of the marathon. */
export interface MarathonOptions {
  readonly kills: number;
  readonly seed: number;
  readonly json: boolean;
  /** One phase or one victim; undefined: all. */
  readonly only: PhaseName | Victim | undefined;
  /** Calls at a time, each with two agent processes of its own. */
  readonly lanes: number;
  /** Only this batch of the plan; undefined: all. */
  readonly batch: number | undefined;
  readonly plant: Plant | undefined;
  /** A rolling restart under so many calls instead of kills; undefined: no. */
  readonly rolling: boolean;
  readonly calls: number;
  /** File for all evidence of batches that failed, as JSON. */
  readonly out: string | undefined;
}

/** What is wrong with a command line. */
export class MarathonUsage extends Error {}

/** What `--help` prints. */
export const HELP = `npm run marathon -- [options]

Kills and freezes agents, gateways, nats-server and the MongoDB server under calls in every phase, and has an auditor
compare what callers heard, what agents were told, the event log and the contexts.

  --kills N     1 to 10000   (default 20)
  --seed N      draws phases, victims and lengths   (default 1)
  --only WHAT   one phase (${PHASES.join(", ")}) or one victim (${VICTIMS.join(", ")})
  --lanes N     calls at a time, 1 to 16   (default 8)
  --batch N     only this batch of the plan, to look at a failure again
  --plant WHAT  builds a fault in that the auditor has to find: ${PLANTS.join(", ")}
  --rolling     no kills: two gateways are restarted one after the other under --calls calls
  --calls N     of the rolling restart, 2 to 200   (default 50)
  --out FILE    the evidence of batches that failed, as JSON
  --json        the last line is one JSON object
  --help        this text

Exit status 0: nothing was lost, doubled, stuck or late. Rests on assumption A1 (docs/limits.md) where a gateway dies.`;

/** Reads the command line. Throws MarathonUsage. "help" when that was asked for. */
export function parseMarathon(args: readonly string[]): MarathonOptions | "help" {
  const values = parsed(args);
  if (values.help) return "help";
  return {
    kills: whole("--kills", values.kills, 1, 10_000),
    seed: whole("--seed", values.seed, 0, 2 ** 32 - 1),
    json: values.json,
    only: oneOf("--only", values.only, [...PHASES, ...VICTIMS]),
    lanes: whole("--lanes", values.lanes, 1, 16),
    batch: values.batch === undefined ? undefined : whole("--batch", values.batch, 1, 10_000),
    plant: oneOf("--plant", values.plant, PLANTS),
    rolling: values.rolling,
    calls: whole("--calls", values.calls, 2, 200),
    out: values.out,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        kills: { type: "string", default: "20" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        only: { type: "string" },
        lanes: { type: "string", default: "8" },
        batch: { type: "string" },
        plant: { type: "string" },
        rolling: { type: "boolean", default: false },
        calls: { type: "string", default: "50" },
        out: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new MarathonUsage(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max)
    throw new MarathonUsage(`${name}: a whole number from ${min} to ${max}`);
  return value;
}

function oneOf<T extends string>(
  name: string,
  text: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const found = allowed.find((one) => one === text);
  if (!found) throw new MarathonUsage(`${name}: one of ${allowed.join(", ")}`);
  return found;
}
