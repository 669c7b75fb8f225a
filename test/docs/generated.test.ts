import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { REASON_STATUS } from "../../gateway/src/call/call-error.js";
import { clientDependencies } from "../../scripts/client-dependencies.js";
import { plain } from "../../scripts/docs/format.js";
import { enumValues } from "../../scripts/docs/proto-comments.js";
import { documents, regenerated } from "../../scripts/docs.js";
import { directDependencies } from "../../scripts/notices.js";
import { repositoryFiles, textOf } from "./repository.js";

describe("generated documents", () => {
  it.each(documents())("are as the code is: %s (npx tsx scripts/docs.ts)", (path) => {
    const text = readFileSync(path, "utf8");
    expect(plain(regenerated(text))).toBe(plain(text));
  });

  it("have the same reasons in contract, gateway and docs/errors.md", () => {
    const contract = enumValues("error.proto", "ErrorReason").map((value) => value.name);
    const documented = [...textOf("docs/errors.md").matchAll(/^### ([A-Z_]+)$/gm)].map((match) => match[1]);
    expect([...Object.keys(REASON_STATUS)].sort()).toEqual([...contract].sort());
    expect(documented).toEqual(contract);
  });

  it("name every variable that programs read from the environment", () => {
    const documented = textOf("docs/configuration.md");
    const sources = repositoryFiles().filter(
      (path) => /^(?:gateway|clients|agents)\/.*\.(?:ts|mjs|py)$/.test(path) && !/\.test\.ts$/.test(path),
    );
    const names = new Set(sources.flatMap((path) => textOf(path).match(/\bCALLWEAVE_[A-Z_]*[A-Z]\b/g) ?? []));
    const missing = [...names].filter((name) => !documented.includes(name.replace(/_FILE$/, "")));
    expect(missing).toEqual([]);
  });
});

describe("THIRD_PARTY_NOTICES.md", () => {
  it("names every direct dependency (npx tsx scripts/notices.ts)", () => {
    const text = plain(textOf("THIRD_PARTY_NOTICES.md"));
    const missing = directDependencies().filter(({ name }) => !text.includes(`| ${name} | `));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it("names what the clients in Python, Go, Java and Rust need, with its licence", () => {
    const text = plain(textOf("THIRD_PARTY_NOTICES.md"));
    const needed = clientDependencies();
    expect(new Set(needed.map(({ user }) => user)).size).toBe(4);
    const missing = needed.filter(
      ({ name, registry, license }) => !text.includes(`| ${name} | ${registry} | ${license} |`),
    );
    expect(missing).toEqual([]);
  });
});
