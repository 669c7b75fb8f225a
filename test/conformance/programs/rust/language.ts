import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cargoEnv, cargoTargetDir } from "../../../../scripts/clients/rust.js";
import { type Language, missingProgram } from "../../language.js";

const FOLDER = fileURLToPath(new URL("./", import.meta.url));

/** Built in the folder that all steps of the Rust client share. */
export const language: Language = {
  name: "rust",
  missing: () => missingProgram("cargo"),
  async prepare() {
    const manifest = ["--manifest-path", join(FOLDER, "Cargo.toml")];
    execFileSync("cargo", ["build", "--quiet", "--locked", ...manifest], {
      env: cargoEnv(),
      stdio: "inherit",
    });
    return { program: join(cargoTargetDir(), "debug", "callweave-conformance"), args: [], cwd: FOLDER };
  },
};
