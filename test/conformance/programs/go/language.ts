import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BUILT, type Language, missingProgram, ROOT } from "../../language.js";

/** A Go program on the client in clients/go, built once. */
export const language: Language = {
  name: "go",
  missing: () => missingProgram("go"),
  async prepare() {
    const program = join(BUILT, "go", "callweave-conformance");
    const cwd = fileURLToPath(new URL("./", import.meta.url));
    execFileSync("go", ["build", "-o", program, "."], { cwd, stdio: "inherit" });
    return { program, args: [], cwd: ROOT };
  },
};
