import { describe, expect, it } from "vitest";
import { repositoryFiles, textOf } from "../docs/repository.js";
import { FAULTS, markOf } from "./table.js";

/** How many faults the catalogue has. */
const COUNT = 55;

describe("the table of faults", () => {
  it("has every number once, each with its words and at least one test", () => {
    expect(FAULTS.map(({ number }) => number)).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
    for (const row of FAULTS) {
      expect(row.tests.length, `tests of fault ${row.number}`).toBeGreaterThan(0);
      for (const words of [row.fault, row.promise, row.injected, row.limit]) {
        expect(words.length, `words of fault ${row.number}`).toBeGreaterThan(3);
      }
    }
  });

  it.each(FAULTS)("names tests that are there, with its mark: $number, $fault", ({ tests }) => {
    for (const test of tests) {
      // The title as it is written, from a quote (or what a template puts before it) to a quote.
      const written = `${test.title} ${markOf(test)}`;
      const text = textOf(test.file);
      const found = [`"${written}"`, `\`${written}\``, `}${written}\``].some((literal) =>
        text.includes(literal),
      );
      expect(found, `${test.file}: ${written}`).toBe(true);
    }
  });

  it("knows every test that carries a mark", () => {
    const named = new Set(FAULTS.flatMap(({ tests }) => tests.map(({ file }) => file)));
    const marked = repositoryFiles().filter(
      (path) => path.endsWith(".test.ts") && /\(fault \d+(?:, fault \d+)*\)["`]/.test(textOf(path)),
    );
    expect(marked.filter((path) => !named.has(path))).toEqual([]);
    for (const path of marked) {
      const titles = [...textOf(path).matchAll(/["`}]([^"`\n]*) (\((?:fault \d+(?:, )?)+\))["`]/g)];
      const unknown = titles.filter(([, title = "", mark]) => {
        const own = title.includes("}: ") ? title.slice(title.lastIndexOf("}") + 1) : title;
        return markOf({ file: path, title: own }) !== mark;
      });
      expect(
        unknown.map(([literal]) => literal),
        path,
      ).toEqual([]);
    }
  });
});
