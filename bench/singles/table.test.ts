import { describe, expect, it } from "vitest";
import { figure, markdown, milliseconds, repeats, sectionOf } from "./table.js";

describe("tables", () => {
  it("are Markdown with the first row as heading", () => {
    expect(
      markdown([
        ["a", "b"],
        ["1", "2"],
      ]),
    ).toBe("| a | b |\n| --- | --- |\n| 1 | 2 |");
  });

  it("say which targets are missed, also by what is no number", () => {
    const target = (reached: number) => ({ name: "clear, ms", atMost: 20, reached });
    const text = sectionOf({ tables: [], targets: [target(20), target(20.1), target(Number.NaN)] });
    expect(text.split("\n").slice(2)).toEqual([
      "| clear, ms | 20.0 | 20.0 | met |",
      "| clear, ms | 20.0 | 20.1 | **missed** |",
      "| clear, ms | 20.0 | – | **missed** |",
    ]);
  });
});

describe("numbers", () => {
  it("have as many digits as say something", () => {
    expect([1234.5, 12.34, 1.234, -0.5].map(figure)).toEqual(["1235", "12.3", "1.23", "-0.50"]);
    expect(repeats({ median: 12, min: 11, max: 13.55 })).toBe("12.0 [11.0–13.6]");
    expect(milliseconds({ count: 0, p50: 0, p99: 0, max: 0 })).toBe("–");
    expect(milliseconds({ count: 3, p50: 1, p99: 2.25, max: 3 })).toBe("1.0 / 2.3 / 3.0");
  });
});
