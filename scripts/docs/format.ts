import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A document as the formatter of the repository writes it; it pads tables. */
export function formatted(path: string, text: string): string {
  return execFileSync("npx", ["--no-install", "biome", "format", `--stdin-file-path=${path}`], {
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    encoding: "utf8",
    input: text,
    stdio: ["pipe", "pipe", "inherit"],
  });
}

/** Whether two documents differ in more than the padding of their tables. */
export function sameText(one: string, other: string): boolean {
  return plain(one) === plain(other);
}

/** A document without the padding of its tables. */
export function plain(text: string): string {
  return text
    .replace(/ {2,}/g, " ")
    .replace(/-{3,}/g, "---")
    .replace(/<(https?:[^>]+)>/g, "$1");
}
