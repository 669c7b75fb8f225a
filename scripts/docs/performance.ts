import type { Machine } from "../../bench/machine.js";
import { PAIR_NAMES } from "../../bench/pairs/pair.js";
import { PAIRS_PICTURE, readPairs } from "../../bench/pairs/pair-results.js";
import { tableOf } from "../../bench/pairs/pair-table.js";
import type { SingleResult } from "../../bench/singles/run-singles.js";
import { SINGLE_NAMES } from "../../bench/singles/single.js";
import { sectionOf } from "../../bench/singles/table.js";
import { chartsOf } from "../../bench/suites/charts.js";
import { RESULTS_FOLDER, readKept, readResult } from "../../bench/suites/results.js";
import { targetsOf, targetsTable } from "../../bench/suites/targets.js";

/** Every target beside what was reached, from the results that were kept. */
export function benchTargets(): string {
  return targetsTable(
    targetsOf({
      cpu: readResult("cpu"),
      capacity: readResult("capacity"),
      latency: readResult("latency"),
      singles: singles(),
    }),
  );
}

/** What a suite found, with its charts. */
export function benchSuite(suite: string): () => string {
  return () => {
    const result = readResult(suite);
    if (!result) return notMeasured(suite);
    const pictures = Object.keys(chartsOf(result)).map((file) => `![${altOf(file)}](pictures/${file})`);
    return [`${headOf(result)}\n`, result.table, ...pictures.map((line) => `\n${line}`)].join("\n");
  };
}

/** The single figures that were kept. */
export function benchSingles(): string {
  const kept = singles();
  if (kept.length === 0) return notMeasured("singles");
  return kept
    .map((single) => {
      const problems = single.problems.filter((problem) => !problem.startsWith("missed: "));
      const doubts = problems.length > 0 ? `\n\nRead it with doubt: ${problems.join("; ")}.` : "";
      const pictures = (single.pictures ?? []).map((file) => `\n\n![${altOf(file)}](pictures/${file})`);
      const heading = `**${single.title}** (\`npm run bench -- --only ${single.name}\`)`;
      return `${heading}\n\n${sectionOf(single)}${doubts}${pictures.join("")}`;
    })
    .join("\n\n");
}

/** The pairs that were kept, with their chart, and which were not. */
export function benchPairs(folder = RESULTS_FOLDER): string {
  const kept = readPairs(folder);
  const tables = PAIR_NAMES.map((name) => {
    const pair = kept.find((one) => one.name === name);
    return pair ? `${headOf(pair)}\n\n${tableOf(pair)}` : notMeasured(name);
  });
  const pictures = kept.length > 0 ? [`![${altOf(PAIRS_PICTURE)}](pictures/${PAIRS_PICTURE})`] : [];
  return [...tables, ...pictures].join("\n\n");
}

/** The ratio that the gate in CI compares with. */
export function benchGate(): string {
  const gate = readResult("gate");
  const ratio = gate?.gate?.ratio;
  if (!gate || !ratio) return "Not recorded yet: `npm run bench -- --gate --save`.";
  const rounds = gate.cells?.[0]?.validRounds ?? 0;
  return (
    `Recorded on ${gate.date}: a call costs ${ratio.median.toFixed(2)} × the floor, ` +
    `${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)} in ${rounds} rounds.`
  );
}

function notMeasured(part: string): string {
  return `Not measured yet: \`npm run bench -- --only ${part} --save\`.`;
}

/** What every kept result says about how it was made. */
interface Origin extends Machine {
  readonly command: string;
  readonly thrownAway: number;
  readonly problems: readonly string[];
}

function headOf({ date, node, cores, cpu, thrownAway, command, problems }: Origin): string {
  const thrown = thrownAway === 1 ? "1 run was thrown away" : `${thrownAway} runs were thrown away`;
  const bad = problems.length > 0 ? ` Not as it has to be: ${problems.join("; ")}.` : "";
  return `\`${command}\`, ${date}, ${cores} cores (${cpu}), Node ${node.replace("v", "")}; ${thrown}.${bad}`;
}

function altOf(file: string): string {
  return file.replace(/^bench-|\.svg$/g, "").replaceAll("-", " ");
}

function singles(): SingleResult[] {
  return SINGLE_NAMES.flatMap((name) => readKept<SingleResult>(name) ?? []);
}
