import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.js";
import { loadConfig } from "./load-config.js";

const folder = mkdtempSync(join(tmpdir(), "config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HOME = { HOME: "/home/user" };
let count = 0;

function load(yaml: string, env: Record<string, string> = HOME) {
  const file = join(folder, `c${count++}.yaml`);
  writeFileSync(file, yaml);
  return loadConfig({ file, env, cwd: folder, platform: "linux" });
}

function problemsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ line, column, key, rule }) => `${line}:${column} ${key}: ${rule}`);
  }
  return [];
}

describe("the desk", () => {
  it("lets pages that are named plainly frame its cards, and nothing else into the header", () => {
    const good = ["https://crm.example.com", "https://*.example.org:8443", "http://localhost:3000"];
    expect(load(`desk: { embed: { frame_ancestors: ${JSON.stringify(good)} } }`).desk?.embed).toEqual({
      frameAncestors: good,
      linkMs: 60_000,
      maxLinks: 1_000,
      sessionMs: 14_400_000,
      maxSessions: 1_000,
    });
    for (const bad of [
      "*",
      "https://*",
      "https://a.example/x",
      "https://a.example; script-src *",
      "'self'",
      "data:",
    ])
      expect(
        problemsOf(() => load(`desk: { embed: { frame_ancestors: [${JSON.stringify(bad)}] } }`)),
        bad,
      ).toHaveLength(1);
  });

  it("is not there unless it is asked for, and then for this machine", () => {
    expect(load("").desk).toBeUndefined();
    expect(load("desk: {}").desk).toMatchObject({
      host: "127.0.0.1",
      origins: [],
      users: [],
      ticketMs: 30_000,
    });
    expect(load("", { ...HOME, CALLWEAVE_DESK_PORT: "7000" }).desk?.port).toBe(7000);
  });

  it("is opened to others with keys and origins alone", () => {
    const keys = "gateway: { grpc: { keys: [{ name: desk-1, key: 0123456789abcdef }] } }\n";
    const open = (desk: string) => problemsOf(() => load(`${keys}desk: ${desk}`));
    expect(problemsOf(() => load("desk: { host: 0.0.0.0, origins: ['https://d.example'] }"))).toEqual([
      expect.stringContaining("desk.host: must be a loopback address"),
      expect.stringContaining("desk.origins[0]: must be of a loopback address"),
    ]);
    expect(open("{ host: 0.0.0.0 }")).toEqual([
      expect.stringContaining(
        "desk.origins: must name the addresses of the page when host is not a loopback",
      ),
    ]);
    expect(open("{ host: 0.0.0.0, origins: ['https://d.example'] }")).toEqual([]);
    expect(open("{ origins: ['https://d.example/desk'] }")[0]).toContain("must be an origin");
  });

  it("knows its people once, their pools and numbers", () => {
    const wrong = load.bind(
      undefined,
      `desk:
  users:
    - { name: desk-1, pools: [nowhere] }
    - { name: desk-1, numbers: ["15550100"] }
`,
    );
    expect(problemsOf(wrong)).toEqual([
      expect.stringContaining("desk.users[1].numbers[0]: must be a number in E.164"),
    ]);
    expect(
      problemsOf(() => load("desk: { users: [{ name: desk-1, pools: [nowhere] }, { name: desk-1 }] }")),
    ).toEqual([
      expect.stringContaining("desk.users[1].name: must not be given twice"),
      expect.stringContaining("desk.users[0].pools[0]: must be a pool of tenant default"),
    ]);
  });
});
