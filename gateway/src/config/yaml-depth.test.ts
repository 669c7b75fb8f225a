import { describe, expect, it } from "vitest";
import { ConfigSource } from "./config-source.js";
import { MAX_YAML_DEPTH, tooDeepAt } from "./yaml-depth.js";

const lists = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("the depth of a configuration", () => {
  it("is taken up to its bound and refused beyond it, with the place", () => {
    expect(tooDeepAt(lists(MAX_YAML_DEPTH))).toBeUndefined();
    expect(tooDeepAt(`a: 1\nb: ${lists(MAX_YAML_DEPTH + 1)}`)).toEqual({
      line: 2,
      column: 4 + MAX_YAML_DEPTH,
    });
    expect(new ConfigSource("f", lists(MAX_YAML_DEPTH), {}).problems).toEqual([]);
  });

  it.each(["? ", "[", "{a: ", "- ", "!!set {", "&a ["])("%s without end is refused at once", (open) => {
    for (const times of [500, 20_000]) {
      const begin = process.cpuUsage();
      const { problems, value } = new ConfigSource("f", open.repeat(times), {});
      expect(problems[0]).toMatchObject({ file: "f", line: 1, rule: expect.stringContaining("deep") });
      expect(value).toEqual({});
      // It took 40 s, or ended the process.
      expect(process.cpuUsage(begin).user / 1000).toBeLessThan(5_000);
    }
  });
});
