// Makes one file of the gateway, so that the image needs neither tsx nor the sources: `node deploy/bundle.mjs [ROOT]`.
// What is in node_modules stays there. The place matters: the contract is read from ../../../proto/ beside it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../", import.meta.url));
const target = process.argv[2] ?? root;
const { dependencies } = JSON.parse(readFileSync(join(root, "gateway/package.json"), "utf8"));

await build({
  entryPoints: [join(root, "gateway/src/main.ts")],
  outfile: join(target, "gateway/dist/bin/gateway.mjs"),
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: true,
  external: Object.keys(dependencies).filter((name) => !name.startsWith("@callweave/")),
  logLevel: "warning",
});
