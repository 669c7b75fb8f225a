import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type PythonVenv, pythonVenv } from "../python-venv.js";
import { add, type Counts, command } from "../test-steps.js";
import type { ClientLanguage } from "./client-language.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CLIENT = join(ROOT, "clients/python");
const PACKAGE = join(CLIENT, "src/callweave");

/** A TypedDict has no bases when it runs, so pdoc cannot tell where an inherited field is from. */
const INHERITED = "ignore:Cannot determine where callweave.";

function venv(): PythonVenv {
  const found = pythonVenv();
  if (!found) throw new Error("there is no Python 3.10 or newer with venv");
  return found;
}

/** grpcio-tools writes the code, mypy-protobuf the stubs with the comments of the contract. */
function generate(): void {
  const { python, bin } = venv();
  const out = mkdtempSync(join(tmpdir(), "callweave-python-gen-"));
  try {
    const files = readdirSync(join(ROOT, "proto/callweave/v1")).map((name) => `callweave/v1/${name}`);
    const protoc = (args: readonly string[]) => {
      const base = ["-m", "grpc_tools.protoc", `-I${join(ROOT, "proto")}`];
      execFileSync(python, [...base, ...args], { stdio: ["ignore", "inherit", "pipe"] });
    };
    const plugin = (name: string) => `--plugin=protoc-gen-${name}=${join(bin, `protoc-gen-${name}`)}`;
    protoc([plugin("mypy"), `--python_out=${out}`, `--mypy_out=quiet:${out}`, ...files]);
    const services = files.filter((name) => name.endsWith("_service.proto"));
    protoc([plugin("mypy_grpc"), `--grpc_python_out=${out}`, `--mypy_grpc_out=quiet:${out}`, ...services]);
    const target = join(PACKAGE, "v1");
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    cpSync(join(out, "callweave/v1"), target, { recursive: true });
    writeFileSync(
      join(target, "__init__.py"),
      '"""The contract: messages and stubs generated from proto/."""\n',
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  writeFileSync(
    join(PACKAGE, "_version.py"),
    `"""Written by \`npm run generate\` from package.json."""\n\n__version__ = "${version}"\n`,
  );
}

/** Format, lint, types, unit tests, documentation without warnings, and the wheel in an environment of its own. */
async function check(): Promise<Counts> {
  const { python } = venv();
  const scratch = mkdtempSync(join(tmpdir(), "callweave-python-check-"));
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const cache = join(ROOT, ".cache");
  const client = ["src", "tests", "examples"].map((name) => `clients/python/${name}`);
  // Programs with modules of the same names are looked at one by one.
  const programs = ["agents/receptionist", "test/conformance/programs/python"];
  const here = (args: readonly string[]) => command(python, args, { env });
  const clean = join(scratch, "clean");
  const inClean = (args: readonly string[]) => command(join(clean, "bin/python"), args, { env });
  const importAll = "import callweave, callweave.v1.agent_service_pb2_grpc; print(callweave.__version__)";
  const config = ["--config", join(CLIENT, "pyproject.toml"), "--cache-dir", join(cache, "ruff")];
  const mypy = ["--config-file", join(CLIENT, "pyproject.toml"), "--cache-dir", join(cache, "mypy")];
  const wheels = join(scratch, "wheels");
  const steps: readonly (() => Promise<Counts>)[] = [
    () => here(["-m", "ruff", "format", "--check", ...config, ...client, ...programs]),
    () => here(["-m", "ruff", "check", ...config, ...client, ...programs]),
    () => here(["-m", "mypy", ...mypy, ...client]),
    ...programs.map((program) => () => here(["-m", "mypy", ...mypy, program])),
    () => here(["-W", "error", "-W", INHERITED, "-m", "pdoc", "-o", join(scratch, "docs"), "callweave"]),
    () => here(["-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, CLIENT]),
    () => command(python, ["-m", "venv", clean]),
    () => inClean(["-m", "pip", "install", "-q", "--disable-pip-version-check", ...built(wheels)]),
    () => inClean(["-I", "-c", importAll]),
  ];
  try {
    let counts: Counts = await pytest(python, scratch, env);
    for (const step of steps) counts = add(counts, await step());
    return counts;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function built(folder: string): string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}

/** Each test of pytest counts. A skipped one has failed in CI. */
async function pytest(python: string, scratch: string, env: NodeJS.ProcessEnv): Promise<Counts> {
  const report = join(scratch, "pytest.xml");
  const args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", CLIENT, `--junitxml=${report}`];
  const config = ["-c", join(CLIENT, "pyproject.toml"), join(CLIENT, "tests")];
  const run = await command(python, [...args, ...config], { env });
  const [, head = ""] = /<testsuite ([^>]*)>/.exec(readFileSync(report, "utf8")) ?? [];
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? Number.NaN);
  const skipped = number("skipped");
  const broken = number("failures") + number("errors");
  const failed = broken + (process.env.CI === "true" ? skipped : 0);
  const passed = number("tests") - broken - skipped;
  return { passed, failed: failed === 0 && run.failed > 0 ? 1 : failed, failures: run.failures ?? [] };
}

/** Code by grpcio-tools in a virtual environment of pinned versions; everything of it is committed. */
export const python: ClientLanguage = {
  name: "python",
  needs: ["python3"],
  generated: ["clients/python/src/callweave/v1", "clients/python/src/callweave/_version.py"],
  generate,
  check,
};
