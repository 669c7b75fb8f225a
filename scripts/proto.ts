/**
 * `npm run proto -- --out DIR`: copies the .proto files of the contract to DIR/callweave/v1, for a project of its own
 * that generates code from them. They import google/protobuf/* alone, which every protoc brings along.
 */
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const at = process.argv.indexOf("--out");
const out = at > 0 ? process.argv[at + 1] : undefined;
if (out === undefined || out.startsWith("--") || process.argv.length !== at + 2) {
  console.error("usage: npm run proto -- --out DIR");
  process.exit(2);
}
// npm changes to the workspace root; a relative DIR means where the command was typed.
const target = resolve(process.env.INIT_CWD ?? process.cwd(), out, "callweave", "v1");
const source = fileURLToPath(new URL("../proto/callweave/v1/", import.meta.url));
if (resolve(source) === target) {
  console.error("DIR is where the contract itself lives; name another folder");
  process.exit(2);
}
const files = readdirSync(source).filter((name) => name.endsWith(".proto"));
mkdirSync(target, { recursive: true });
for (const name of files) cpSync(join(source, name), join(target, name));
console.log(`${files.length} files copied to ${target}`);
