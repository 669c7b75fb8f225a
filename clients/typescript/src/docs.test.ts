import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const here = new URL("./", import.meta.url);
const sources = readdirSync(here).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));

describe("doc comments", () => {
  it.each(sources.filter((name) => name !== "index.ts"))("are on every export of %s", (name) => {
    const lines = readFileSync(new URL(name, here), "utf8")
      .split("\n")
      .filter((line) => !line.startsWith("// biome-ignore"));
    const bare = lines.filter(
      (line, at) =>
        /^export (async |abstract )?(function|class|interface|type|const) /.test(line) &&
        !lines[at - 1]?.endsWith("*/"),
    );
    expect(bare).toEqual([]);
  });
});
