import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writePicture } from "../suites/charts.js";
import { bytes } from "./bytes.js";
import { clear } from "./clear.js";
import { events } from "./events.js";
import { memory } from "./memory.js";
import { observers } from "./observers.js";
import { offer } from "./offer.js";
import { setups } from "./setups.js";
import type { Findings, Single, SingleName, SingleOptions } from "./single.js";
import { sectionOf } from "./table.js";

/** All single figures. */
export const SINGLES: readonly Single[] = [clear, offer, setups, events, observers, memory, bytes];

/** What a figure said, as it is kept: of the pictures only the names of their files. */
export interface SingleResult extends Omit<Findings, "pictures"> {
  readonly name: SingleName;
  readonly title: string;
  readonly ok: boolean;
  readonly pictures?: readonly string[];
}

/** Where results go. */
export interface RunSinglesOptions extends SingleOptions {
  /** Folder for pictures. Default: none are drawn. */
  readonly pictures?: string | undefined;
  /** Folder for one JSON file of each figure, from which docs/performance.md is made. Default: none is written. */
  readonly results?: string | undefined;
}

/** Measures figures one after the other. A quick run judges no target. */
export async function runSingles(
  singles: readonly Single[],
  { pictures, results, ...options }: RunSinglesOptions,
): Promise<SingleResult[]> {
  const done: SingleResult[] = [];
  for (const { name, title, measure } of singles) {
    options.say(`\n${name}: ${title}`);
    const again = (error: unknown) => {
      // Most often the machine was so busy that the gateway left calls alone.
      options.say(`FAILED: ${error}; once more`);
      return measure(options).catch(failed);
    };
    const { pictures: drawn = [], ...found } = await measure(options).catch(options.quick ? failed : again);
    const missed = options.quick
      ? []
      : found.targets
          .filter(({ reached, atMost }) => !(reached <= atMost))
          .map(({ name }) => `missed: ${name}`);
    // A busy machine makes a quick run's harness late; that says nothing.
    const problems = [...(options.quick && found.tables.length > 0 ? [] : found.problems), ...missed];
    const files = drawn.map(({ file }) => file);
    const result = { name, title, ok: problems.length === 0, ...found, problems, pictures: files };
    options.say(`\n${sectionOf(found)}\n`);
    options.say(result.ok ? "ok" : `not ok: ${problems.join("; ")}`);
    if (pictures) for (const { file, svg } of drawn) writePicture(file, svg, pictures);
    if (results) {
      mkdirSync(results, { recursive: true });
      writeFileSync(join(results, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
    }
    done.push(result);
  }
  return done;
}

function failed(error: unknown): Findings {
  return { tables: [], targets: [], problems: [String(error)] };
}
