import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { add, type Counts, command } from "../test-steps.js";
import type { ClientLanguage } from "./client-language.js";

const FOLDER = fileURLToPath(new URL("../../clients/rust/", import.meta.url));
const MANIFEST = ["--manifest-path", join(FOLDER, "Cargo.toml")];
const GENERATED = "clients/rust/src/gen";

/** Where cargo builds: one folder outside the work tree for every step, the examples and the conformance program. */
export function cargoTargetDir(): string {
  return join(process.env.CALLWEAVE_CACHE_DIR ?? join(homedir(), ".cache", "callweave"), "cargo");
}

/** The environment of every cargo of this repository. */
export function cargoEnv(): NodeJS.ProcessEnv {
  return { ...process.env, CARGO_TARGET_DIR: cargoTargetDir(), CARGO_TERM_COLOR: "never" };
}

function generate(): void {
  const descriptors = execFileSync("npx", ["--no-install", "buf", "build", "-o", "-#format=binpb"], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const out = join(FOLDER, "src", "gen");
  mkdirSync(out, { recursive: true });
  execFileSync("cargo", ["run", "--quiet", "--locked", ...MANIFEST, "-p", "callweave-generator", "--", out], {
    env: cargoEnv(),
    input: descriptors,
    stdio: ["pipe", "inherit", "inherit"],
  });
}

const STEPS: readonly (readonly string[])[] = [
  ["fmt", ...MANIFEST, "--all", "--check"],
  [
    "clippy",
    ...MANIFEST,
    ...["--locked", "-p", "callweave", "-p", "callweave-conformance"],
    ...["--all-targets", "--all-features", "--", "-D", "warnings"],
  ],
  ["test", ...MANIFEST, "--locked", "--all-features"],
  ["doc", ...MANIFEST, "--locked", "--no-deps", "--all-features"],
  ["package", ...MANIFEST, "--locked", "--allow-dirty", "--all-features"],
];

async function check(): Promise<Counts> {
  let counts: Counts = { passed: 0, failed: 0 };
  const env = { ...cargoEnv(), RUSTDOCFLAGS: "-Dwarnings" };
  for (const step of STEPS) {
    counts = add(counts, await command("cargo", step, { env, timeoutMs: 600_000 }));
  }
  return counts;
}

/** tonic and prost by a generator of the crate's workspace, from descriptors that buf makes: no protoc. */
export const rust: ClientLanguage = {
  name: "rust",
  needs: ["cargo"],
  generated: [GENERATED],
  generate,
  check,
};
