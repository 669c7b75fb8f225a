import { Command, InvalidArgumentError } from "commander";
import { PAIR_NAMES } from "./pairs/pair.js";
import { SINGLE_NAMES } from "./singles/single.js";
import type { Amounts } from "./suites/suite.js";
import { SUITES } from "./suites/suites.js";
import { VARIANTS } from "./suites/variants.js";

/** The command line of the bench. */
export interface Options extends Amounts {
  readonly only: readonly string[];
  readonly retries: number;
  readonly quietWait: number;
  readonly quick: boolean;
  readonly gate: boolean;
  readonly save: boolean;
  readonly json: boolean;
  readonly profile?: string;
  readonly nodeArgs?: readonly string[];
}

const NAMES = [...SUITES.map(({ name }) => name), "singles", ...SINGLE_NAMES, "pairs", ...PAIR_NAMES];

/** What was asked for. Ends the process, with a line that says why, when it cannot be understood. */
export function optionsOf(argv: readonly string[]): Options {
  const program = new Command("bench")
    .description(
      "what a call costs, how late its audio is and how many one core carries, beside a bare relay and the vendor's SDK",
    )
    .option("--only <names>", `parts, separated by commas: ${NAMES.join(", ")}`, list(NAMES), [])
    .option("--quick", "half a minute; only tells that frames arrive and none is lost", false)
    .option(
      "--gate",
      "a minute; fails when a call costs a quarter more than recorded, against the floor",
      false,
    )
    .option("--save", "keep the results in bench/results and the charts in docs/pictures", false)
    .option("--rounds <n>", "each variant and load so many times, in turn (5)", whole(1, 100))
    .option("--loads <calls>", "calls at a time, separated by commas; with capacity: the rungs", loads)
    .option(
      "--variants <names>",
      `separated by commas: ${VARIANTS.map(({ name }) => name).join(", ")}`,
      list(VARIANTS.map(({ name }) => name)),
    )
    .option("--seconds <n>", "length of the measured window (10)", whole(1, 3_600))
    .option("--warm-up <seconds>", "before the window (10)", whole(0, 600))
    .option(
      "--passes <n>",
      "in each round a rung of capacity has to be passed so many times out of as many (1)",
      whole(1, 20),
    )
    .option(
      "--retries <n>",
      "how often a run is repeated whose load generator was late or busy",
      whole(0, 20),
      2,
    )
    .option(
      "--quiet-wait <seconds>",
      "before each part, wait so long for the rest of the machine to idle",
      whole(0, 3_600),
      0,
    )
    .option("--json", "the last line is one JSON object; the tables go to standard error", false)
    .option("--profile <folder>", "write CPU profiles of the gateway there; figures then mean little")
    .option("--node-args <flags>", "of the gateway's Node, for example what perf needs", (text) =>
      text.split(" ").filter(Boolean),
    );
  const options = program.parse(argv, { from: "user" }).opts<Options>();
  if (options.quick && options.save) program.error("--quick says nothing that could be kept with --save");
  return options;
}

/** Whether a part of that name is to be run. Without `--only` all are, but for --quick and --gate. */
export function wants({ only, quick, gate }: Options, name: string): boolean {
  return only.length > 0 ? only.includes(name) : !quick && !gate;
}

/** What makes one part anew, with what differs from its defaults. */
export function commandOf(part: string, options: Options): string {
  const { rounds, loads, variants, seconds, warmUp, passes } = options;
  const which = part === "quick" || part === "gate" ? [`--${part}`] : ["--only", part];
  const given = { rounds, loads, variants, seconds, "warm-up": warmUp, passes };
  const others = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  );
  return ["npm run bench --", ...which, ...others].join(" ");
}

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
  };
}

function loads(text: string): number[] {
  return text.split(",").map(whole(1, 2_000));
}

function list<T extends string>(known: readonly T[]) {
  return (text: string): T[] =>
    text.split(",").map((name) => {
      const value = known.find((one) => one === name);
      if (value === undefined) throw new InvalidArgumentError(`known are ${known.join(", ")}`);
      return value;
    });
}
