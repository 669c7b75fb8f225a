import { fileURLToPath } from "node:url";
import { pythonVenv } from "../../../../scripts/python-venv.js";
import { type Language, missingProgram, ROOT } from "../../language.js";

/** The client's own virtual environment, which has its sources on the path. */
export const language: Language = {
  name: "python",
  missing: () => missingProgram("python3"),
  async prepare() {
    const venv = pythonVenv();
    if (!venv) throw new Error("there is no Python 3.10 or newer with venv");
    const main = fileURLToPath(new URL("./main.py", import.meta.url));
    return { program: venv.python, args: ["-u", main], cwd: ROOT };
  },
};
