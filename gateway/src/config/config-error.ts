/** One thing that is wrong, and where. */
export interface ConfigProblem {
  /** The file, or "environment". */
  readonly file: string;
  /** From 1; 0 where there is none (the environment). */
  readonly line: number;
  readonly column: number;
  /** "pools[0].offer_timeout_ms", or the name of an environment variable. */
  readonly key: string;
  /** What holds there. Never contains a value of a secret. */
  readonly rule: string;
}

/** The configuration cannot be used; the message has one line for each problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(problems.map(describeProblem).join("\n"));
  }
}

function describeProblem({ file, line, column, key, rule }: ConfigProblem): string {
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return key === "" ? `${place}: ${rule}` : `${place}: ${key}: ${rule}`;
}
