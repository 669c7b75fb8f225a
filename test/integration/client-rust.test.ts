import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { cargoEnv, cargoTargetDir } from "../../scripts/clients/rust.js";
import { language } from "../conformance/programs/rust/language.js";
import { ROOT, textOf } from "../docs/repository.js";
import { describeClient } from "../harness/client-suite.js";

describeClient({
  title: "Rust",
  language,
  readme: { path: "clients/rust/README.md", block: "rust", ending: ".rs" },
  prepare(programs) {
    // The README's programs are the examples of the crate.
    for (const [name, code] of programs) expect(code, name).toBe(textOf(`clients/rust/examples/${name}.rs`));
    const manifest = ["--manifest-path", join(ROOT, "clients/rust/Cargo.toml")];
    const args = ["build", "--quiet", "--locked", "--examples", "--all-features", ...manifest];
    execFileSync("cargo", args, { env: cargoEnv(), stdio: "inherit" });
  },
  command: (name) => ({ program: join(cargoTargetDir(), "debug/examples", name), args: [] }),
  programs: { hello: "01_answer", escalate: "02_escalate", watch: "03_watch", traced: "04_traced" },
  greets: true,
  traced: ["a request trace=", 'a pool pool.name="default"'],
  ended: (callId) => `${callId} ended`,
  escalated: (connectedId, aloneId) => [`${connectedId}: CONNECTED`, `${aloneId}: UNANSWERED`],
});
