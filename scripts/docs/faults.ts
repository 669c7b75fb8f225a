import type { FaultTest } from "../../test/faults/fault-row.js";
import { FAULTS } from "../../test/faults/table.js";
import { table } from "./proto-comments.js";

/** Every fault, what the product promises, the tests that show it, and what is not promised. */
export function faultTable(): string {
  const rows = FAULTS.map(({ number, fault, promise, injected, tests, limit }) => [
    String(number),
    `**${fault}.** Injected: ${injected}.`,
    promise,
    shown(tests),
    limit,
  ]);
  return table(["no.", "fault", "promise", "shown by", "limit"], rows);
}

function shown(tests: readonly FaultTest[]): string {
  const files = [...new Set(tests.map(({ file }) => file))];
  return files
    .map((file) => {
      const count = tests.filter((test) => test.file === file).length;
      const name = file.replace(/^.*\/(?:src\/)?/, "").replace(/\.test\.ts$/, "");
      return `[${name}](../${file})${count > 1 ? ` (${count})` : ""}`;
    })
    .join(", ");
}
