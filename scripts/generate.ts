/** `npm run generate`: formats the contract and generates its code. `--check` fails when that would change anything. */
import { execFileSync } from "node:child_process";

const check = process.argv.includes("--check");
const run = (command: string, args: string[]) => execFileSync(command, args, { stdio: "inherit" });
// The protoc plugins are started by buf from the workspace root.
if (check) run("npx", ["--no-install", "buf", "format", "-d", "--exit-code"]);
else run("npx", ["--no-install", "buf", "format", "-w"]);
run("npx", ["--no-install", "buf", "lint"]);
run("npx", ["--no-install", "buf", "generate"]);
if (check) {
  const changed = execFileSync("git", ["status", "--porcelain", "--", "proto/src/gen"], { encoding: "utf8" });
  if (changed.trim() !== "") {
    console.error(`Generated code differs from what is committed. Run: npm run generate\n${changed}`);
    process.exit(1);
  }
}
