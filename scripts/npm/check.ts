import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packAll } from "./build.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** TypeDoc does not run on the native compiler yet. */
const TYPEDOC = ["-p", "typedoc@0.28.20", "-p", "typescript@6.0.3"];

/** What a program of each kind does with the packages. */
const USE = `
  const worker = agent({ agentId: "packed", capacity: 2, onStatus: () => {} }, () => {});
  try {
    agent({ agentId: "packed", capacity: 0 }, () => {});
    throw new Error("not refused");
  } catch (error) {
    if (!(error instanceof CallweaveError) || error.reason !== "INVALID_FIELD") throw error;
  }
  if (Request.encode({ items: [] }).finish().length !== 0) throw new Error("wrong bytes");
  void worker.close();
  console.log("works");
`;

/** Programs in a folder where only the packages are, and what they print. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "use.mjs": `import { agent, CallweaveError } from "callweave";
import { ServeRequest as Request } from "@callweave/proto";
${USE}`,
  "use.cjs": `const { agent, CallweaveError } = require("callweave");
const { ServeRequest: Request } = require("@callweave/proto");
require.resolve("@callweave/proto/agent_service.proto");
${USE}`,
};

/** The same typed: it has to compile as both kinds of module. */
const TYPED = `import { agent, type Call, CallweaveError, connect, type WorkerStatus } from "callweave";
import { ServeRequest } from "@callweave/proto";

const statuses: WorkerStatus[] = [];
export const worker = agent({ agentId: "typed", onStatus: (status) => statuses.push(status) }, async (call: Call) => {
  const end: "SENT" | "CLEARED" = await call.play(new Uint8Array(2));
  for await (const chunk of call.audio()) if (chunk.pcm) chunk.pcm.length;
  const { outcome } = await call.escalate({ reason: "ASKED_FOR_HUMAN" });
  if (outcome === "CONNECTED") console.log(end);
});
export const events = connect().calls.watch({});
export const bytes: Uint8Array = ServeRequest.encode({ items: [] }).finish();
export const reason = (error: unknown) => (error instanceof CallweaveError ? error.reason : undefined);
// @ts-expect-error an agent needs an id
agent({}, () => {});
`;

const TSCONFIG = {
  compilerOptions: {
    module: "node16",
    moduleResolution: "node16",
    target: "es2022",
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ["node"],
  },
  files: ["typed.mts", "typed.cts"],
};

/** What is wrong with the packages as npm packs them; empty when nothing is. */
export async function checkPackages(): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "callweave-packed-"));
  try {
    for (const tarball of await packAll(join(folder, "tarballs"))) install(tarball, folder);
    for (const name of ["@grpc", "@bufbuild", "@types"]) {
      symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
    }
    for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(join(folder, name), text);
    for (const name of TSCONFIG.files) writeFileSync(join(folder, name), TYPED);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(TSCONFIG));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    return [
      ...Object.keys(PROGRAMS).flatMap((name) => wrong(name, [name], folder, "works\n")),
      ...wrong("types", [tsc, "-p", "."], folder, ""),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What TypeDoc warns of, or that it failed; empty when nothing. */
export function checkDocumentation(): string[] {
  const out = mkdtempSync(join(tmpdir(), "callweave-typedoc-"));
  try {
    const options = ["--options", "clients/typescript/typedoc.json", "--out", out];
    const args = ["--yes", ...TYPEDOC, "typedoc", ...options];
    const { status, stdout, stderr } = spawnSync("npx", args, { cwd: ROOT, encoding: "utf8" });
    return status === 0 ? [] : [`typedoc: ${stdout}${stderr}`];
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** As `npm install` would: the registry is not asked, what the packages need is linked from here. */
function install(tarball: string, folder: string): void {
  const name = /callweave-proto-/.test(tarball) ? "@callweave/proto" : "callweave";
  const target = join(folder, "node_modules", name);
  mkdirSync(target, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
}

function wrong(what: string, args: readonly string[], cwd: string, wanted: string): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8" });
  return status === 0 && stdout === wanted ? [] : [`${what}: ended with ${status}: ${stdout}${stderr}`];
}
