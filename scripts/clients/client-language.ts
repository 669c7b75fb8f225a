import type { Counts } from "../test-steps.js";

/** A language with a client under `clients/`: how its code is generated and how it is checked. */
export interface ClientLanguage {
  /** As in `clients/NAME` and `npm test -- client-NAME`. */
  readonly name: string;
  /** Programs that must be there, such as "go". Missing: named and skipped, in CI a failure. */
  readonly needs: readonly string[];
  /** Folders with generated code that is committed; `npm run generate -- --check` fails when they change. */
  readonly generated: readonly string[];
  /** Writes the code generated from `proto/`. Absent when the language generates while it builds. */
  readonly generate?: () => void | Promise<void>;
  /** Formatter, linter, unit tests, documentation without warnings, the package. Absent when other steps do all that. */
  readonly check?: () => Promise<Counts>;
}
