/**
 * `npx tsx scripts/npm/main.ts [--out FOLDER]`: packs the npm packages (default: dist/npm). `--check` packs them to a scratch
 * folder, uses them there as ESM, as CommonJS and by their types, and makes the documentation without a warning.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { packAll } from "./build.js";
import { checkDocumentation, checkPackages } from "./check.js";

const { values } = parseArgs({
  options: { out: { type: "string", default: "dist/npm" }, check: { type: "boolean", default: false } },
});
if (values.check) {
  const wrong = [...(await checkPackages()), ...checkDocumentation()];
  for (const line of wrong) console.error(line);
  console.log(wrong.length === 0 ? "packages and documentation are good" : `${wrong.length} wrong`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} else {
  for (const tarball of await packAll(resolve(values.out))) console.log(tarball);
}
