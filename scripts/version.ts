/**
 * `npx tsx scripts/version.ts`: writes the version of the root's package.json, the one place where it is changed, to every other
 * place that bears it; `npm install` afterwards brings package-lock.json along. `--check` writes nothing and fails when a place
 * differs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** A file that bears the version. */
export interface VersionPlace {
  /** From the root of the repository. */
  readonly path: string;
  /** Finds the version as group 2, with what is before it as group 1; every match is one. */
  readonly pattern: RegExp;
}

/** The places apart from the workspaces of npm. A new client adds a line. */
const PLACES: readonly VersionPlace[] = [
  { path: "gateway/src/serve.ts", pattern: /(^export const VERSION = ")([^"]*)/gm },
  { path: "docs/asyncapi.yaml", pattern: /(^info:\n(?: {2}.*\n)*? {2}version: )(\S+)/gm },
  { path: "clients/python/src/callweave/_version.py", pattern: /(^__version__ = ")([^"]*)/gm },
  { path: "clients/go/version.go", pattern: /(^const Version = ")([^"]*)/gm },
  // The first version of a pom.xml that is not its parent's: two spaces deep.
  { path: "clients/java/pom.xml", pattern: /(^ {2}<version>)([^<]*)/gm },
  {
    path: "clients/rust/Cargo.toml",
    pattern: /(^\[(?:workspace\.)?package\]\n(?:[^[\n].*\n)*?version = ")([^"]*)/gm,
  },
  { path: "clients/rust/Cargo.lock", pattern: /(^name = "callweave[^"]*"\nversion = ")([^"]*)/gm },
];

/** Of a package.json: its own version and those of the workspaces that it needs. */
const MANIFEST = /(^ {2}"version": "|^ {4}"(?:@callweave\/[^"]+|callweave)": ")(\d[^"]*)/gm;

/** The version of everything here. */
export function version(): string {
  return (JSON.parse(read("package.json")) as { version: string }).version;
}

/** All places there are; those of clients that are not here are left out. */
export function versionPlaces(): VersionPlace[] {
  const { workspaces } = JSON.parse(read("package.json")) as { workspaces: string[] };
  const manifests = workspaces.map((folder) => ({ path: `${folder}/package.json`, pattern: MANIFEST }));
  return [...manifests, ...PLACES].filter(({ path }) => existsSync(join(ROOT, path)));
}

/** The versions in a text. */
export function versionsIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[2] ?? "");
}

/** The text with another version. */
export function withVersion(text: string, pattern: RegExp, wanted: string): string {
  return text.replace(pattern, (_, before: string) => `${before}${wanted}`);
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

function main(): void {
  const wanted = version();
  const check = process.argv.includes("--check");
  for (const { path, pattern } of versionPlaces()) {
    const text = read(path);
    if (versionsIn(text, pattern).length === 0)
      throw new Error(`${path}: there is no version where it should be`);
    const after = withVersion(text, pattern, wanted);
    if (after === text) continue;
    console.log(`${check ? "differs" : "written"}: ${path}`);
    if (check) process.exitCode = 1;
    else writeFileSync(join(ROOT, path), after);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
