import { fileURLToPath } from "node:url";
import { bundle } from "../../bundle.js";
import type { Language } from "../../language.js";

/** Node is always there: the runner runs on it. */
export const language: Language = {
  name: "typescript",
  missing: () => undefined,
  prepare: () => bundle(fileURLToPath(new URL("./main.ts", import.meta.url)), "typescript"),
};
