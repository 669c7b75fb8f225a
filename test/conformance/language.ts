import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** For what `prepare` builds. Below node_modules, so that packages are found from there. */
export const BUILT = fileURLToPath(
  new URL("../../node_modules/.cache/callweave-conformance/", import.meta.url),
);

/** How a program is started. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A language with a program: exported as `language` by `programs/NAME/language.ts`. */
export interface Language {
  /** As in `--lang` and in `clients/NAME`. */
  readonly name: string;
  /** What is missing on this machine, such as "go is not installed"; undefined when nothing is. */
  missing(): string | undefined;
  /** Builds the program; answers how it is started. Called once per run. Throws when it cannot be built. */
  prepare(): Promise<Command>;
}

/** What is missing when one of these programs is not on the PATH. */
export function missingProgram(...programs: readonly string[]): string | undefined {
  const missing = programs.find((program) => spawnSync(program, ["--version"]).error !== undefined);
  return missing && `${missing} is not installed`;
}
