import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A workspace that is published on npm. */
export interface NpmPackage {
  /** Its folder in the repository. */
  readonly folder: string;
  /** Files and folders that go along as they are. */
  readonly files: readonly string[];
  /** Entries of `exports` beside ".". */
  readonly moreExports: Readonly<Record<string, string>>;
}

/** What is published, in the order of their dependencies. */
export const NPM_PACKAGES: readonly NpmPackage[] = [
  { folder: "proto", files: ["callweave"], moreExports: { "./*": "./callweave/v1/*" } },
  { folder: "clients/typescript", files: ["README.md", "examples"], moreExports: {} },
];

/** The parts of a package.json that matter here. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/**
 * Packs what is published on npm into a folder: ESM, CommonJS and types from the TypeScript sources, which the workspace itself
 * runs without a build. Answers the paths of the tarballs, those that others need first.
 */
export async function packAll(out: string): Promise<string[]> {
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "callweave-npm-"));
  try {
    const types = join(work, "types");
    declare(types, work);
    const tarballs: string[] = [];
    for (const one of NPM_PACKAGES) tarballs.push(await pack(one, types, work, out));
    return tarballs;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The declarations of all packages, by one run of the compiler. */
function declare(outDir: string, work: string): void {
  const config = join(work, "tsconfig.json");
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, stripInternal: true };
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions: {
        ...options,
        rootDir: ROOT,
        outDir,
        typeRoots: [join(ROOT, "node_modules/@types")],
      },
      include: [],
      files: NPM_PACKAGES.map(({ folder }) => join(ROOT, folder, "src/index.ts")),
    }),
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", config], { stdio: "inherit" });
}

async function pack(one: NpmPackage, types: string, work: string, out: string): Promise<string> {
  const source = join(ROOT, one.folder);
  const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as Manifest;
  const stage = join(work, one.folder);
  for (const format of ["esm", "cjs"] as const) {
    const target = join(stage, format);
    await build({
      entryPoints: [join(source, "src/index.ts")],
      outfile: join(target, "index.js"),
      bundle: true,
      platform: "node",
      target: "node20",
      format,
      sourcemap: true,
      external: Object.keys(manifest.dependencies ?? {}).flatMap((name) => [name, `${name}/*`]),
      logLevel: "warning",
    });
    cpSync(join(types, one.folder, "src"), target, { recursive: true });
    // Says to Node and to TypeScript what the files of the folder are.
    writeFileSync(join(target, "package.json"), json({ type: format === "esm" ? "module" : "commonjs" }));
  }
  for (const file of one.files) cpSync(join(source, file), join(stage, file), { recursive: true });
  cpSync(join(ROOT, "LICENSE"), join(stage, "LICENSE"));
  writeFileSync(join(stage, "package.json"), json(published(manifest, one)));
  const answer = execFileSync("npm", ["pack", "--json", "--pack-destination", out], {
    cwd: stage,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [packed] = JSON.parse(answer) as { filename: string }[];
  if (!packed) throw new Error(`npm packed nothing of ${one.folder}`);
  return join(out, packed.filename);
}

/** The manifest as it is published: of what is built. */
function published(manifest: Manifest, { files, moreExports }: NpmPackage): object {
  const { devDependencies: _, private: __, ...rest } = manifest;
  const engines = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).engines as object;
  return {
    ...rest,
    engines,
    main: "./cjs/index.js",
    module: "./esm/index.js",
    types: "./cjs/index.d.ts",
    exports: {
      ".": {
        import: { types: "./esm/index.d.ts", default: "./esm/index.js" },
        require: { types: "./cjs/index.d.ts", default: "./cjs/index.js" },
      },
      ...moreExports,
    },
    files: ["esm", "cjs", ...files],
    sideEffects: false,
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
