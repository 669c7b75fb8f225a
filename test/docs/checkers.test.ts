import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ROOT } from "./repository.js";

/** The checkers of this repository, each given a fault that it must find. */

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder with a file of this repository's configuration. */
function folderWith(configuration: string): string {
  const folder = mkdtempSync(join(tmpdir(), "callweave-planted-"));
  folders.push(folder);
  cpSync(configuration, join(folder, configuration));
  return folder;
}

function run(
  program: "biome" | "buf",
  cwd: string,
  ...args: string[]
): { code: number | null; output: string } {
  const file = join(ROOT, "node_modules/.bin", program);
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: "utf8" });
  return { code: status, output: stdout + stderr };
}

function lint(path: string, source: string): string {
  const folder = folderWith("biome.json");
  mkdirSync(join(folder, dirname(path)), { recursive: true });
  writeFileSync(join(folder, path), source);
  return run("biome", folder, "lint", "--vcs-enabled=false", path).output;
}

/** A copy of the contract with one file changed. */
function changedContract(file: string, change: (text: string) => string): string {
  const folder = folderWith("buf.yaml");
  cpSync("proto/callweave", join(folder, "proto/callweave"), { recursive: true });
  const path = join(folder, "proto/callweave/v1", file);
  const before = readFileSync(path, "utf8");
  const after = change(before);
  expect(after, "the fault was planted").not.toBe(before);
  writeFileSync(path, after);
  return folder;
}

const breaking = (folder: string) => run("buf", folder, "breaking", "--against", join(ROOT, "proto"));

describe("the direction of imports", () => {
  it.each([
    ["gateway/src/call/planted.ts", "../grpc/server.js", "The call core knows no socket"],
    ["gateway/src/call/planted.ts", "@callweave/proto", "The call core knows no socket"],
    ["gateway/src/call/planted.ts", "../dispatch/hub.js", "The call core knows no socket"],
    [
      "gateway/src/dispatch/planted.ts",
      "../telephony/telcoflow/index.js",
      "Wires and vendors stay at the edge",
    ],
    ["gateway/src/grpc/planted.ts", "ws", "A wire knows the core"],
    ["agents/escalation/planted.ts", "@callweave/gateway", "Agents and clients know the contract alone"],
  ])("finds %s importing %s", (path, imported, message) => {
    expect(lint(path, `import { x } from "${imported}";\nconsole.log(x);\n`)).toContain(message);
  });

  it("lets a right import pass", () => {
    const source = 'import { Seat } from "./seat.js";\nconsole.log(Seat);\n';
    expect(lint("gateway/src/call/planted.ts", source)).not.toContain("noRestrictedImports");
  });
});

describe("the contract's gates", () => {
  it("find a field that is gone", () => {
    const folder = changedContract("call.proto", (text) => text.replace("  string session_id = 2;\n", ""));
    expect(breaking(folder)).toMatchObject({ code: 100, output: expect.stringContaining("session_id") });
  });

  it("find a field that changed its type", () => {
    const folder = changedContract("audio.proto", (text) =>
      text.replace("uint64 position = 3", "string position = 3"),
    );
    expect(breaking(folder)).toMatchObject({ code: 100, output: expect.stringContaining("position") });
  });

  it("find a field without a comment", () => {
    const comment = "  // The provider's id of the session the call belongs to.\n";
    const folder = changedContract("call.proto", (text) => text.replace(comment, ""));
    expect(run("buf", folder, "lint")).toMatchObject({
      code: 100,
      output: expect.stringContaining("session_id"),
    });
  });

  it("find a file that is not formatted", () => {
    const folder = changedContract("call.proto", (text) => text.replace("message Call {", "message  Call {"));
    expect(run("buf", folder, "format", "-d", "--exit-code").code).toBe(100);
  });

  it("let the contract as it is pass", () => {
    expect(run("buf", ROOT, "lint")).toMatchObject({ code: 0 });
    expect(breaking(ROOT)).toMatchObject({ code: 0 });
  });
});
