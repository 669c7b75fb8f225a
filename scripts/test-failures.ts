/** One test that failed. */
export interface Failure {
  /** What failed, as whoever looks for it would call it. */
  readonly name: string;
  /** Why: of a test its message, of a program the last lines that it printed. */
  readonly why: string;
}

/** The failures of a step. */
export interface FailedStep {
  readonly name: string;
  /** Empty when the step could not name them. */
  readonly failures: readonly Failure[];
}

const MAX_LINES = 25;
const MAX_LENGTH = 240;
const MAX_NAMES = 3;
const MAX_NAME = 100;

/**
 * What failed, once more and in few lines, for logs of which the end alone is kept: at most 25 lines that name each failure and say
 * why, then one line with the steps and the first names of each. Nothing when no step failed.
 */
export function summary(steps: readonly FailedStep[]): string[] {
  if (steps.length === 0) return [];
  const all = steps.flatMap(({ name, failures }) => failures.map((failure) => ({ step: name, failure })));
  const shown = all.length > MAX_LINES ? all.slice(0, MAX_LINES - 1) : all;
  const each = Math.floor(MAX_LINES / Math.max(1, shown.length));
  const lines = shown.flatMap(({ step, failure }) => told(step, failure, each));
  if (shown.length < all.length) lines.push(`  … and ${all.length - shown.length} more`);
  const names = steps.map(({ name, failures }) =>
    failures.length === 0 ? name : `${name} (${namesOf(failures)})`,
  );
  return [...(lines.length > 0 ? ["failed tests:", ...lines] : []), `failed steps: ${names.join(", ")}`];
}

/** A message of one line stands behind the name; of more, the last ones stand below it. */
function told(step: string, { name, why }: Failure, maxLines: number): string[] {
  const lines = linesOf(why);
  const head = `  ${step}: ${clipped(name, MAX_NAME)}`;
  if (lines.length <= 1 || maxLines === 1) return [clipped([head, ...lines.slice(0, 1)].join(": "))];
  return [head, ...lines.slice(-(maxLines - 1)).map((line) => clipped(`    ${line}`))];
}

function namesOf(failures: readonly Failure[]): string {
  const names = failures.slice(0, MAX_NAMES).map(({ name }) => clipped(name, MAX_NAME));
  const more = failures.length - names.length;
  return [...names, ...(more > 0 ? [`${more} more`] : [])].join("; ");
}

/** The lines of a text, without empty ones and without colours. */
export function linesOf(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
  const plain = text.replace(/\u001b\[[0-9;]*m/g, "");
  return plain
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}

function clipped(text: string, length = MAX_LENGTH): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
