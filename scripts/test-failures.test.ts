import { describe, expect, it } from "vitest";
import { type FailedStep, linesOf, summary } from "./test-failures.js";

const failures = (count: number, why = "why") =>
  Array.from({ length: count }, (_, n) => ({ name: `test ${n}`, why }));

describe("the summary of what failed", () => {
  it("is nothing when nothing failed", () => {
    expect(summary([])).toEqual([]);
  });

  it("names a step that could not say what failed", () => {
    expect(summary([{ name: "odd", failures: [] }])).toEqual(["failed steps: odd"]);
  });

  it("shows the last lines of a program below its name, without colours and empty lines", () => {
    const why = "\u001b[31mred\u001b[0m\n\n  two \nthree\n";
    expect(summary([{ name: "go", failures: [{ name: "go test ./...", why }] }])).toEqual([
      "failed tests:",
      "  go: go test ./...",
      "    red",
      "      two",
      "    three",
      "failed steps: go (go test ./...)",
    ]);
    expect(linesOf(why)).toEqual(["red", "  two", "three"]);
  });

  it.each([1, 2, 5, 24, 25])("has at most 25 lines for %i failures, and names each", (count) => {
    const why = Array.from({ length: 40 }, (_, n) => `line ${n}`).join("\n");
    const lines = between(summary([{ name: "unit", failures: failures(count, why) }]));
    expect(lines.length).toBeLessThanOrEqual(25);
    for (const { name } of failures(count)) expect(lines.some((line) => line.includes(name))).toBe(true);
    if (count <= 12) expect(lines).toContain("    line 39");
  });

  it("says how many it leaves out", () => {
    const lines = between(summary([{ name: "unit", failures: failures(100) }]));
    expect(lines).toHaveLength(25);
    expect(lines.at(-1)).toBe("  … and 76 more");
    expect(summary([{ name: "unit", failures: failures(5) }]).at(-1)).toBe(
      "failed steps: unit (test 0; test 1; test 2; 2 more)",
    );
  });

  it("cuts long lines", () => {
    const step: FailedStep = { name: "demo", failures: [{ name: "n".repeat(500), why: "w".repeat(5_000) }] };
    for (const line of summary([step])) expect(line.length).toBeLessThanOrEqual(240);
  });
});

/** The lines between the heading and the line of the steps. */
function between(lines: readonly string[]): readonly string[] {
  return lines.slice(1, -1);
}
