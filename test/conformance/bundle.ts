import { join } from "node:path";
import { build } from "esbuild";
import { BUILT, type Command, ROOT } from "./language.js";

/** Bundles a TypeScript program, so that it starts quickly. */
export async function bundle(source: string, name: string): Promise<Command> {
  const outfile = join(BUILT, `${name}.mjs`);
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["@grpc/grpc-js", "@bufbuild/protobuf", "@bufbuild/protobuf/*", "@opentelemetry/api"],
    logLevel: "error",
  });
  return { program: process.execPath, args: [outfile], cwd: ROOT };
}
