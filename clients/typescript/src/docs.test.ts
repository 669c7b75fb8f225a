import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const here = new URL("./", import.meta.url);
const sources = readdirSync(here).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));

/** Where the interfaces are that index.ts exports. */
const PUBLIC = [
  "call.ts",
  "calls.ts",
  "connection.ts",
  "contexts.ts",
  "fleet.ts",
  "types.ts",
  "verbs.ts",
  "worker.ts",
];

const exported = readFileSync(new URL("index.ts", here), "utf8");

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

  it.each(PUBLIC)("are on every property of the interfaces of %s", (name) => {
    const text = readFileSync(new URL(name, here), "utf8");
    const interfaces = [...text.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)]
      .filter(([, name = ""]) => new RegExp(`\\b${name}\\b`).test(exported))
      .map(([, , body = ""]) => body);
    expect(interfaces.length).toBeGreaterThan(0);
    const bare = interfaces.flatMap((body) => {
      const lines = body.split("\n");
      return lines.filter(
        (line, at) => /^ {2}(?:readonly )?\w+\??[:(]/.test(line) && !lines[at - 1]?.endsWith("*/"),
      );
    });
    expect(bare).toEqual([]);
  });
});
