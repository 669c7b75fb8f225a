import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// Runs the commands of docs/generate.md as they stand there, in an empty folder.
const root = fileURLToPath(new URL("../../", import.meta.url));
const venv = join(root, ".cache/examples-venv/bin");
const folder = mkdtempSync(join(tmpdir(), "callweave-generate-"));
const bin = join(folder, "bin");
const page = readFileSync(join(root, "docs/generate.md"), "utf8");

/** The block with this name after its language. */
function block(name: string): string {
  const found = new RegExp(`^\`\`\`\\w+ ${name.replaceAll(".", "\\.")}\n([\\s\\S]*?)^\`\`\``, "m").exec(
    page,
  )?.[1];
  if (found === undefined) throw new Error(`no block ${name} in docs/generate.md`);
  return found;
}

function run(command: string): string {
  const path = [bin, join(root, ".cache/go-bin"), join(folder, "node_modules/.bin"), process.env.PATH].join(
    delimiter,
  );
  return execFileSync("bash", ["-euc", command], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, PATH: path },
  });
}

beforeAll(() => {
  execFileSync("bash", [join(root, "examples/generate-python.sh")], { stdio: "inherit" });
  execFileSync("bash", [join(root, "examples/generate-go.sh")], { stdio: "inherit" });
  mkdirSync(bin);
  // python of the environment; protoc is the one that grpcio-tools brings, unless the machine has its own.
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  script("python", `exec "${venv}/python" "$@"`);
  try {
    execFileSync("protoc", ["--version"], { stdio: "ignore" });
  } catch {
    script("protoc", `exec "${venv}/python" -m grpc_tools.protoc "$@"`);
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const out = join(folder, "proto");
  execFileSync(process.execPath, ["--import", "tsx", "scripts/proto.ts", "--out", out], { cwd: root });
}, 300_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("docs/generate.md", () => {
  it("copies all .proto files", () => {
    const names = (dir: string) => readdirSync(dir).sort();
    expect(names(join(folder, "proto/callweave/v1"))).toEqual(names(join(root, "proto/callweave/v1")));
  });

  it.each([
    ["protoc", "callweave/v1/agent_service_grpc.pb.go"],
    ["grpcio-tools", "callweave/v1/agent_service_pb2_grpc.py"],
    ["buf", "callweave/v1/agent_service.ts"],
    ["ts-proto", "callweave/v1/agent_service.ts"],
  ])("has a command for %s that works", (name, wanted) => {
    rmSync(join(folder, "gen"), { recursive: true, force: true });
    mkdirSync(join(folder, "gen"));
    if (name === "buf") writeFileSync(join(folder, "buf.gen.yaml"), block("buf.gen.yaml"));
    run(block(name));
    expect(existsSync(join(folder, "gen", wanted))).toBe(true);
  });

  it("makes Python stubs that import", () => {
    rmSync(join(folder, "gen"), { recursive: true, force: true });
    mkdirSync(join(folder, "gen"));
    run(block("grpcio-tools"));
    const names = run(
      "cd gen && python -c 'from callweave.v1 import agent_service_pb2_grpc as s; print(s.AgentServiceStub.__name__)'",
    );
    expect(names.trim()).toBe("AgentServiceStub");
  });
});
