import { describe, expect, it } from "vitest";
import { handWritten, repositoryFiles, textOf } from "./repository.js";

/** Files longer than a reader likes, each with the reason why it is not split. */
const LONGER: Readonly<Record<string, string>> = {
  "simulator/src/call.ts": "one call of the simulator; a few lines over, its parts are split off already",
};

const MAX_LINES = 500;

/** Vendor's name: its adapter, the one place that makes connectors, simulator, demo, documents, tests and configuration. */
const VENDOR_MAY = [
  /^gateway\/src\/telephony\/telcoflow\//,
  /^gateway\/src\/connectors\.ts$/,
  /^gateway\/src\/config\/config-types\.ts$/,
  /^(?:simulator|demo|docs|deploy|test|bench)\//,
  /^scripts\/(?:docs\/|notices\.ts$)/,
  /\.test\.ts$/,
  /^[^/]+\.(?:md|txt)$/,
];

const files = handWritten(repositoryFiles());

describe("the repository", () => {
  // "/home/user" is the made-up home folder of tests.
  it("holds no paths of a machine and no addresses of registries", () => {
    const forbidden =
      /(?:^|[\s"'`(=:])\/(?:work|root|home)\/(?!user\b)[\w.-]|\b(?:registry\.npmjs\.org|files\.pythonhosted\.org|pypi\.org|proxy\.golang\.org)\b/m;
    const found = repositoryFiles()
      .filter((path) => path !== "test/docs/repository.test.ts" && !/\.(?:png|wav|wasm|pcm)$/.test(path))
      .flatMap((path) => linesWith(path, forbidden));
    expect(found).toEqual([]);
  });

  it.each([
    ["agents/receptionist/receptionist.py", 100],
    ["agents/coach/main.go", 120],
  ])("keeps the agent in %s within %i lines", (path, most) => {
    expect(textOf(path).trimEnd().split("\n").length).toBeLessThanOrEqual(most);
  });

  it("has no file over 500 lines without a reason", () => {
    const long = files.filter(
      (path) =>
        /\.(?:ts|mts|mjs|js|py|go|proto)$/.test(path) && textOf(path).split("\n").length > MAX_LINES + 1,
    );
    expect(long.filter((path) => !LONGER[path])).toEqual([]);
  });

  it("names the vendor only where it may", () => {
    const code = files.filter((path) => /\.(?:ts|mts|mjs|js|py|go|proto)$/.test(path));
    const elsewhere = code.filter((path) => !VENDOR_MAY.some((may) => may.test(path)));
    expect(elsewhere.flatMap((path) => linesWith(path, /telcoflow|agentao/i))).toEqual([]);
  });

  it("has a contract that imports nothing of others", () => {
    const protos = files.filter((path) => path.startsWith("proto/") && path.endsWith(".proto"));
    expect(protos.length).toBe(13);
    const imports = protos.flatMap((path) =>
      [...textOf(path).matchAll(/^import (?:public |weak )?"([^"]+)";/gm)].map((match) => match[1] as string),
    );
    expect(imports.filter((name) => !/^(?:google\/protobuf|callweave\/v1)\//.test(name))).toEqual([]);
  });
});

function linesWith(path: string, pattern: RegExp): string[] {
  return textOf(path)
    .split("\n")
    .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : []));
}
