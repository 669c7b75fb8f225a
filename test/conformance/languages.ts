import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Language } from "./language.js";

const FOLDER = fileURLToPath(new URL("./programs/", import.meta.url));

/** The order of the matrix; others follow by name. */
const ORDER = ["typescript", "python", "go", "java", "rust"];

/** All languages that have a program. */
export async function loadLanguages(): Promise<Language[]> {
  const names = readdirSync(FOLDER).filter((name) => existsSync(join(FOLDER, name, "language.ts")));
  const known = ORDER.filter((name) => names.includes(name));
  const others = names.filter((name) => !ORDER.includes(name)).sort();
  return Promise.all([...known, ...others].map(load));
}

async function load(name: string): Promise<Language> {
  const url = pathToFileURL(join(FOLDER, name, "language.ts")).href;
  const module = (await import(/* @vite-ignore */ url)) as { language?: Language };
  if (module.language?.name !== name) {
    throw new Error(`programs/${name}/language.ts must export a "language" named "${name}"`);
  }
  return module.language;
}

/** The languages of `--lang`: names with commas between, or "all". Throws an error that names those there are. */
export function choose(wanted: string, all: readonly Language[]): Language[] {
  if (wanted === "all") return [...all];
  return wanted.split(",").map((name) => {
    const found = all.find((language) => language.name === name);
    if (found) return found;
    const there = [...all.map((language) => language.name), "all"].join(", ");
    throw new Error(`--lang: there is no program in "${name}"; there are ${there}`);
  });
}
