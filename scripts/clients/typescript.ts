import { execFileSync } from "node:child_process";
import { command } from "../test-steps.js";
import type { ClientLanguage } from "./client-language.js";

/** ts-proto by buf; the package `@callweave/proto`, which gateway and client share. */
export const typescript: ClientLanguage = {
  name: "typescript",
  needs: [],
  generated: ["proto/src/gen"],
  generate: () => void execFileSync("npx", ["--no-install", "buf", "generate"], { stdio: "inherit" }),
  // Format, lint and unit tests are steps of their own, with those of the whole workspace.
  check: () => command(process.execPath, ["--import", "tsx", "scripts/npm/main.ts", "--check"]),
};
