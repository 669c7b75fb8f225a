import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { repositoryFiles, textOf } from "./repository.js";

const documents = repositoryFiles().filter((path) => path.endsWith(".md") || path === "llms.txt");

describe("links", () => {
  it.each(documents)("of %s lead somewhere", (document) => {
    const broken = linksOf(textOf(document)).filter((link) => !leadsSomewhere(document, link));
    expect(broken).toEqual([]);
  });
});

function linksOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] as string)
    .filter((link) => !/^(?:https?|mailto):/.test(link));
}

function leadsSomewhere(document: string, link: string): boolean {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? document : normalize(join(dirname(document), path));
  if (target.startsWith("..") || !isCommitted(target)) return false;
  if (anchor === undefined || !target.endsWith(".md")) return true;
  return anchorsOf(textOf(target)).has(anchor);
}

const committed = repositoryFiles();

/** A file of the repository, or a folder of it: not one that is only on this machine. */
function isCommitted(target: string): boolean {
  const folder = target.endsWith("/") ? target : `${target}/`;
  return target === "." || committed.some((path) => path === target || path.startsWith(folder));
}

/** The names that a reader of Markdown gives to headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map((match) => match[1] as string);
  return new Set(
    headings.map((h) =>
      h
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-"),
    ),
  );
}
