import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { explainRoute, loadConfig } from "../../gateway/src/config/index.js";
import { CLIENT_LANGUAGES } from "../../scripts/clients/index.js";
import { codeBlocks, ROOT, repositoryFiles, textOf } from "./repository.js";

const README = textOf("README.md");
const documents = repositoryFiles().filter((path) => path.endsWith(".md"));

/** Inside the repository, so that packages are found; ignored by git. */
let folder = "";

beforeAll(() => {
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".cache", "docs-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("commands in documents", () => {
  const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };

  it.each(documents)("of %s are scripts of package.json", (document) => {
    const names = [...textOf(document).matchAll(/\bnpm run (?:-s |--silent )?([a-z][a-z:-]*)/g)].map(
      (m) => m[1] as string,
    );
    expect(names.filter((name) => !(name in scripts))).toEqual([]);
  });

  it("name files that there are", () => {
    const paths = documents.flatMap((document) =>
      [...textOf(document).matchAll(/\bnpx tsx ([\w./-]+\.ts)/g)].map((match) => match[1] as string),
    );
    const known = new Set([...repositoryFiles(), "hello.ts"]);
    expect(paths.filter((path) => !known.has(path))).toEqual([]);
  });

  it("name all steps of npm test in CONTRIBUTING.md", () => {
    const steps = [...textOf("scripts/test.ts").matchAll(/\bname: "([a-z0-9-]+)"/g)].map((match) => match[1]);
    const listed = /single steps: `([^`]+)`/.exec(textOf("CONTRIBUTING.md"))?.[1]?.split(" ");
    expect(listed).toEqual(steps);
  });

  it("name steps of npm test that there are", () => {
    const runner = textOf("scripts/test.ts");
    const clients = CLIENT_LANGUAGES.filter(({ check }) => check).map(({ name }) => `client-${name}`);
    const names = documents.flatMap((document) =>
      [...textOf(document).matchAll(/\bnpm test -- ([a-z][a-z0-9-]*)/g)].map((match) => match[1] as string),
    );
    const isStep = (name: string) => clients.includes(name) || runner.includes(`name: "${name}"`);
    expect(names.filter((name) => !isStep(name))).toEqual([]);
  });
});

/** Documents whose TypeScript is checked without a mark. */
const WHOLE = ["clients/typescript/README.md", "docs/escalation.md", "simulator/README.md"];

/** Names that snippets take as given. */
const GLOBALS = `
declare const greeting: Uint8Array;
declare const announcement: Uint8Array;
declare const nobodyIsThere: Uint8Array;
declare const call: import("callweave").Call;
declare function listen(pcm: Uint8Array): void;
`;

describe("snippets", () => {
  const snippets = documents.flatMap((document) =>
    codeBlocks(textOf(document), "ts")
      .filter(({ info }) => info === "ts check" || WHOLE.includes(document))
      .map(({ code }, i) => ({ name: `${document.replaceAll(/[^\w]/g, "-")}-${i}`, code })),
  );

  it("type-check", () => {
    expect(snippets.length).toBeGreaterThan(0);
    for (const { name, code } of snippets) writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
    writeFileSync(join(folder, "globals.d.ts"), GLOBALS);
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        include: ["*.ts"],
        exclude: [],
        compilerOptions: { noUnusedLocals: false },
      }),
    );
    expect(readdirSync(folder).length).toBe(snippets.length + 2);
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [tsc, "--noEmit", "-p", folder], {
      encoding: "utf8",
    });
    expect(`${stdout}${status}`).toBe("0");
  }, 60_000);

  it("say hello in at most 20 lines", () => {
    const [hello] = codeBlocks(README, "ts").filter(({ info }) => info === "ts check");
    expect(hello?.code.trim().split("\n").length).toBeLessThanOrEqual(20);
  });
});

describe("configurations", () => {
  const env = { TELCOFLOW_API_KEY: "a-key", TELCOFLOW_CONNECTOR_UUID: "a-connector", HOME: "/nowhere" };

  it("of the README takes the one caller and leaves the others", () => {
    const [sample] = codeBlocks(README, "yaml").filter(({ info }) => info === "yaml check");
    const file = join(folder, "callweave.yaml");
    writeFileSync(file, sample?.code ?? "");
    const config = loadConfig({ file, env });
    const route = (from: string) => explainRoute(config, { from, to: "+15550100", at: new Date() });
    expect(route("+15550101")).toContain("result: offered to pool default");
    expect(route("+15550101")).toContain("the original callee rings for 60 s");
    expect(route("+15550199")).toContain("result: left to the provider");
  });

  it("of the trial is good", () => {
    const config = loadConfig({ file: join(ROOT, "deploy/trial.yaml"), env });
    expect(config.connectors.map((connector) => connector.name)).toEqual(["simulator"]);
  });
});
