/**
 * `npm run supply-chain`: what is installed is pinned, allowed and known. Checks the lock file, install scripts, licences and
 * known weaknesses, and makes `dist/sbom.cdx.json` (CycloneDX). `--json`: last line one object with `ok`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  advisoryFaults,
  billFaults,
  type LockFile,
  licenceFaults,
  lockFaults,
  scriptFaults,
} from "./checks.js";
import { ADVISORIES, LICENCE_OVERRIDES, LICENCES } from "./policy.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => JSON.parse(readFileSync(`${root}${path}`, "utf8"));
const lock = read("package-lock.json") as LockFile;
const { allowScripts = {} } = read("package.json") as { allowScripts?: Record<string, boolean> };

const results = [
  { check: "lock file: pinned by hash, from a registry", faults: lockFaults(lock) },
  { check: "install scripts: each decided on", faults: scriptFaults(lock, allowScripts) },
  {
    check: "licences: on the list, or with a recorded override",
    faults: licenceFaults(lock, LICENCES, LICENCE_OVERRIDES),
  },
  { check: "known weaknesses: none", faults: [...advisoryFaults(lock, ADVISORIES), ...audit()] },
  { check: "bill of materials: complete", faults: billOfMaterials() },
];

for (const { check, faults } of results) {
  console.log(`${faults.length === 0 ? "ok" : "FAILED"} ${check}`);
  for (const fault of faults) console.log(`  ${fault}`);
}
const failed = results.filter(({ faults }) => faults.length > 0).length;
console.log(JSON.stringify({ ok: failed === 0, passed: results.length - failed, failed }));
process.exitCode = failed === 0 ? 0 : 1;

/** Asks the registry's index of weaknesses; where there is none, says so and relies on the list kept here. */
function audit(): string[] {
  const run = spawnSync("npm", ["audit", "--omit=dev", "--audit-level=high", "--json"], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  const report = parsed(run.stdout) as {
    vulnerabilities?: Record<string, { name: string; severity: string; range: string }>;
  };
  if (!report.vulnerabilities) {
    console.log(
      `the registry in use answers no questions about weaknesses; ${ADVISORIES.length} are kept here`,
    );
    return [];
  }
  return Object.values(report.vulnerabilities)
    .filter(({ severity }) => severity === "high" || severity === "critical")
    .map(({ name, severity, range }) => `${name} ${range}: ${severity}`);
}

function billOfMaterials(): string[] {
  const run = spawnSync("npm", ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (run.status !== 0) return [`npm sbom: ${(run.stderr ?? String(run.error)).trim()}`];
  mkdirSync(`${root}dist`, { recursive: true });
  writeFileSync(`${root}dist/sbom.cdx.json`, run.stdout);
  return billFaults(lock, parsed(run.stdout) as object);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
