import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { language } from "../conformance/programs/go/language.js";
import { describeClient } from "../harness/client-suite.js";

const modules = fileURLToPath(new URL("../harness/go-readme/", import.meta.url));
const client = fileURLToPath(new URL("../../clients/go/", import.meta.url));
const built = mkdtempSync(join(tmpdir(), "callweave-go-readme-"));

afterAll(() => rmSync(built, { recursive: true, force: true }));

describeClient({
  title: "Go",
  language,
  readme: { path: "clients/go/README.md", block: "go", ending: ".go" },
  prepare(programs) {
    for (const name of ["go.mod", "go.sum"]) copyFileSync(join(modules, name), join(built, name));
    for (const [name, code] of programs) {
      mkdirSync(join(built, name));
      writeFileSync(join(built, name, "main.go"), code);
    }
    const go = (...args: string[]) => execFileSync("go", args, { cwd: built, stdio: "inherit" });
    go("mod", "edit", `-replace=callweave.dev/go=${client}`);
    mkdirSync(join(built, "out"));
    go("build", "-o", "out/", "./...");
  },
  command: (name) => ({ program: join(built, "out", name), args: [] }),
  programs: { hello: "hello", escalate: "escalate", watch: "watch", traced: "traced" },
  traced: [
    '"Name":"callweave.v1.FleetService/ListPools"',
    "intercepted /callweave.v1.FleetService/ListPools <nil>",
  ],
  ended: (callId) => `${callId} *callweavev1.CallEvent_Ended`,
});
