/**
 * `npm run generate [-- LANGUAGE…]`: formats the contract and generates the code of every language. `--check` fails when that
 * would change anything. A language whose toolchain is absent is named and skipped; with CI=true that fails.
 */
import { execFileSync } from "node:child_process";
import { CLIENT_LANGUAGES } from "./clients/index.js";
import { missingPrograms } from "./test-steps.js";

const check = process.argv.includes("--check");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const unknown = wanted.find((name) => !CLIENT_LANGUAGES.some((language) => language.name === name));
if (unknown)
  fail(`no such language: ${unknown}; there are ${CLIENT_LANGUAGES.map((l) => l.name).join(", ")}`);

const run = (command: string, args: string[]) => execFileSync(command, args, { stdio: "inherit" });
if (check) run("npx", ["--no-install", "buf", "format", "-d", "--exit-code"]);
else run("npx", ["--no-install", "buf", "format", "-w"]);
run("npx", ["--no-install", "buf", "lint"]);

for (const { name, needs, generate, generated } of CLIENT_LANGUAGES) {
  if (!generate || (wanted.length > 0 && !wanted.includes(name))) continue;
  const missing = missingPrograms(needs);
  if (missing) {
    const words = `${name}: not generated, ${missing}`;
    if (process.env.CI === "true" || wanted.length > 0) fail(words);
    console.log(`skipped: ${words}`);
    continue;
  }
  await generate();
  if (!check) continue;
  const changed = execFileSync("git", ["status", "--porcelain", "--", ...generated], { encoding: "utf8" });
  if (changed.trim() !== "")
    fail(`${name}: generated code differs from what is committed. Run: npm run generate\n${changed}`);
}

function fail(words: string): never {
  console.error(words);
  process.exit(1);
}
