/**
 * `npx tsx scripts/docs.ts`: writes the generated parts of the documents anew, between their markers. `--check` writes
 * nothing and fails when that would change anything.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as callStates from "./docs/call-states.js";
import { configurationKeys } from "./docs/configuration.js";
import { errorReasons } from "./docs/errors.js";
import { faultTable } from "./docs/faults.js";
import { formatted, sameText } from "./docs/format.js";
import { metrics } from "./docs/metrics.js";
import { benchGate, benchPairs, benchSingles, benchSuite, benchTargets } from "./docs/performance.js";

/** What can stand between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. */
const PARTS: Readonly<Record<string, () => string>> = {
  "agent-modes": callStates.agentModes,
  "bench-agents": benchSuite("agents"),
  "bench-capacity": benchSuite("capacity"),
  "bench-cpu": benchSuite("cpu"),
  "bench-gate": benchGate,
  "bench-latency": benchSuite("latency"),
  "bench-pairs": () => benchPairs(),
  "bench-singles": benchSingles,
  "bench-targets": benchTargets,
  "bench-variants": benchSuite("variants"),
  "configuration-keys": configurationKeys,
  "end-reasons": callStates.endReasons,
  "error-reasons": errorReasons,
  "escalation-outcomes": callStates.escalationOutcomes,
  "escalation-reasons": callStates.escalationReasons,
  faults: faultTable,
  metrics,
  states: callStates.states,
  transitions: callStates.transitions,
  "verb-meanings": callStates.verbMeanings,
  "verbs-by-state": callStates.verbsByState,
};

const MARKED = /<!-- generated: ([a-z-]+) -->\n[\s\S]*?<!-- end: \1 -->/g;

/** A document with its generated parts made anew. Throws on a name that is not known. */
export function regenerated(text: string): string {
  return text.replace(MARKED, (_all, name: string) => {
    const part = PARTS[name];
    if (!part) throw new Error(`no generated part is called ${name}`);
    return `<!-- generated: ${name} -->\n\n${part()}\n\n<!-- end: ${name} -->`;
  });
}

/** The documents, as paths. */
export function documents(): string[] {
  const folder = fileURLToPath(new URL("../docs/", import.meta.url));
  return readdirSync(folder)
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}${name}`);
}

function main(): void {
  const check = process.argv.includes("--check");
  const stale: string[] = [];
  for (const path of documents()) {
    const before = readFileSync(path, "utf8");
    const after = regenerated(before);
    if (sameText(before, after)) continue;
    stale.push(path);
    if (!check) writeFileSync(path, formatted(path, after));
  }
  for (const path of stale) console.log(`${check ? "stale" : "written"}: ${path}`);
  if (check && stale.length > 0) process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
