/** Names of the single figures, as `--only` takes them. */
export const SINGLE_NAMES = ["clear", "offer", "setups", "events", "observers", "memory", "bytes"] as const;
export type SingleName = (typeof SINGLE_NAMES)[number];

/** How much is measured. */
export interface SingleOptions {
  /** A few seconds each: only tells that it works; no target is judged. */
  readonly quick: boolean;
  /** How often what is repeated is repeated. */
  readonly rounds: number;
  /** Calls at a time, instead of the figure's own numbers. */
  readonly calls?: number | undefined;
  readonly say: (line: string) => void;
}

/** A target and what was reached. */
export interface Target {
  /** With its unit. */
  readonly name: string;
  readonly atMost: number;
  readonly reached: number;
}

/** A picture, as SVG. */
export interface Picture {
  /** Without folder: bench-….svg */
  readonly file: string;
  readonly svg: string;
}

/** What a figure says. */
export interface Findings {
  /** Rows of Markdown tables, each with its heading; `- ` where there is nothing. */
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** What makes the figure worthless: lost frames, failed calls, a saturated harness. */
  readonly problems: readonly string[];
  readonly pictures?: readonly Picture[];
}

/** A table of a figure: the first row is the heading. */
export type Table = readonly (readonly string[])[];

/** A figure of its own: what it costs or how long it takes, measured from outside. */
export interface Single {
  readonly name: SingleName;
  readonly title: string;
  /** How long it takes, in seconds, when nothing has to be run again. */
  estimateSeconds(options: SingleOptions): number;
  measure(options: SingleOptions): Promise<Findings>;
}
