import { describe, expect, it } from "vitest";
import {
  advisoryFaults,
  billFaults,
  type LockedPackage,
  licenceFaults,
  lockFaults,
  older,
  permits,
  scriptFaults,
} from "./checks.js";

const good: LockedPackage = { version: "1.2.3", integrity: "sha512-abc", license: "MIT" };
const lock = (more: Record<string, LockedPackage> = {}) => ({
  lockfileVersion: 3,
  packages: {
    "": {},
    gateway: {},
    "node_modules/@callweave/gateway": { link: true },
    "node_modules/a": good,
    ...more,
  },
});

describe("supply chain", () => {
  it("finds nothing wrong with pinned packages of a registry", () => {
    expect(lockFaults(lock())).toEqual([]);
    expect(scriptFaults(lock(), {})).toEqual([]);
    expect(licenceFaults(lock(), ["MIT"], {})).toEqual([]);
  });

  it.each([
    ["no hash", { "node_modules/b": { version: "1.0.0" } }, "node_modules/b has no sha512"],
    ["a weak hash", { "node_modules/b": { integrity: "sha1-abc" } }, "node_modules/b has no sha512"],
    [
      "a repository",
      { "node_modules/a/node_modules/b": { ...good, resolved: "git+ssh://git@example.com/b.git" } },
      "node_modules/a/node_modules/b comes from git+ssh://git@example.com/b.git",
    ],
  ])("finds a package with %s", (_, packages, fault) => {
    expect(lockFaults(lock(packages))).toEqual([fault]);
  });

  it("finds install scripts that nobody decided on, and decisions left over", () => {
    const packages = { "node_modules/@x/b": { ...good, hasInstallScript: true } };
    expect(scriptFaults(lock(packages), { gone: false })).toEqual([
      "@x/b has an install script; package.json's allowScripts says nothing of it",
      "allowScripts names gone, which has no install script",
    ]);
    expect(scriptFaults(lock(packages), { "@x/b": false })).toEqual([]);
  });

  it("finds licences that are not on the list, and overrides left over", () => {
    const packages = {
      "node_modules/b": { ...good, license: "SSPL-1.0" },
      "node_modules/c": { integrity: "x" },
    };
    expect(licenceFaults(lock(packages), ["MIT"], { a: "why" })).toEqual([
      "node_modules/b: SSPL-1.0",
      "node_modules/c: no licence",
      "the override for a is not needed",
    ]);
    expect(licenceFaults(lock(packages), ["MIT"], { b: "why", c: "why" })).toEqual([]);
  });

  it.each([
    ["MIT", true],
    ["(MIT OR GPL-3.0-only)", true],
    ["(MIT AND GPL-3.0-only)", false],
    ["(MIT AND ISC)", true],
    ["GPL-3.0-only", false],
    ["", false],
    ["((MIT OR ISC) AND GPL-3.0-only)", false],
  ])("judges the licence %j", (expression, allowed) => {
    expect(permits(expression, ["MIT", "ISC"])).toBe(allowed);
  });

  it("finds versions with a known weakness, also below another package", () => {
    const advisory = { package: "b", fixed: "2.0.0", id: "CVE-1", what: "crashes" };
    const packages = {
      "node_modules/b": { ...good, version: "2.0.0" },
      "node_modules/a/node_modules/b": { ...good, version: "1.9.9" },
    };
    expect(advisoryFaults(lock(packages), [advisory])).toEqual([
      "node_modules/a/node_modules/b 1.9.9: CVE-1, crashes; 2.0.0 mends it",
    ]);
  });

  it.each([
    ["1.2.3", "1.2.3", false],
    ["1.2.3", "1.10.0", true],
    ["2.0.0-rc.1", "2.0.0", true],
    ["2.0.0", "2.0.0-rc.1", false],
    ["8.21.0", "8.20.1", false],
  ])("takes %s as older than %s: %s", (version, than, expected) => {
    expect(older(version, than)).toBe(expected);
  });

  it("finds what a bill of materials leaves out", () => {
    const packages = { "node_modules/@x/b": good };
    const components = [{ group: "@x", name: "b", version: "1.2.3", hashes: [{}] }];
    expect(billFaults(lock(packages), { components })).toEqual([
      "the bill of materials does not name a@1.2.3 with its hash",
    ]);
    expect(billFaults(lock(), { components: [{ name: "a", version: "1.2.3", hashes: [{}] }] })).toEqual([]);
  });
});
