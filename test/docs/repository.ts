import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Paths of all files that are, or could be, committed; deleted ones left out. */
export function repositoryFiles(): string[] {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).split("\0").filter(Boolean);
  const gone = new Set(git("ls-files", "-z", "--deleted"));
  return git("ls-files", "-z").filter((path) => !gone.has(path));
}

/** A file of the repository as text. */
export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Files that are text and written by hand: no generated code, no lock file, no pictures. */
export function handWritten(files: readonly string[]): string[] {
  return files.filter(
    (path) =>
      !/(?:^|\/)gen\/|_pb2(?:_grpc)?\.pyi?$|\.pb\.go$|package-lock\.json$|\.(?:svg|png|wav|pcm|wasm|ico|sum)$/.test(
        path,
      ),
  );
}

/** The blocks of a Markdown text that begin with three backticks and this word, with what follows it in that line. */
export function codeBlocks(
  text: string,
  language: string,
): { readonly info: string; readonly code: string }[] {
  const blocks = text.matchAll(/^```([^\n`]*)\n([\s\S]*?)^```$/gm);
  return [...blocks]
    .map(([, info = "", code = ""]) => ({ info, code }))
    .filter(({ info }) => info.split(" ")[0] === language);
}
