// Builds the page into dist/ when it is not there or its sources have changed: `npm run desk:build`, and the gateway
// of a clone at its start. Several at the same time disturb nobody: each builds a folder of its own and renames it.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const desk = fileURLToPath(new URL("./", import.meta.url));
const dist = join(desk, "dist");
const stampFile = join(dist, ".stamp");

function hashOf(paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    const entries =
      existsSync(path) && !/\.[a-z]+$/.test(path) ? readdirSync(path, { recursive: true }) : [""];
    for (const entry of entries.map(String).sort()) {
      const file = join(path, entry);
      if (!/\.[a-z]+$/.test(file) || !existsSync(file)) continue;
      hash.update(entry).update(readFileSync(file));
    }
  }
  return hash.digest("hex");
}

const inputs = ["src", "public", "index.html", "vite.config.ts", "package.json", "../proto/src/gen"];
const stamp = hashOf(inputs.map((input) => join(desk, input)));
const built = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
if (built !== stamp) {
  const { build } = await import("vite");
  const folder = join(desk, `.dist-${process.pid}`);
  await build({ root: desk, logLevel: "warn", build: { outDir: folder, emptyOutDir: true } });
  writeFileSync(join(folder, ".stamp"), stamp);
  const old = `${folder}-old`;
  if (existsSync(dist)) renameSync(dist, old);
  try {
    renameSync(folder, dist);
  } catch {
    // Another one was faster; it built the same.
    rmSync(folder, { recursive: true, force: true });
  }
  rmSync(old, { recursive: true, force: true });
}
