import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.js";
import { describeServing } from "./describe-serving.js";
import { loadConfig } from "./load-config.js";
import { printConfig } from "./print-config.js";

const folder = mkdtempSync(join(tmpdir(), "webhooks-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(yaml: string) {
  const file = join(folder, "callweave.yaml");
  writeFileSync(file, yaml);
  return loadConfig({ file, env: { HOME: folder }, cwd: folder });
}

function problemsOf(yaml: string): string[] {
  try {
    load(yaml);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ key, rule }) => `${key}: ${rule}`);
  }
}

const SECRET = "s".repeat(24);
const hook = (more: string) =>
  `webhooks_allowed_hosts: [hooks.example.com]\nwebhooks: [{ name: crm, url: "https://hooks.example.com/x?token=word", ${more} }]`;

describe("webhooks in the configuration", () => {
  it("have defaults, and read their secrets from files", () => {
    writeFileSync(join(folder, "secret"), `${SECRET}\n`);
    const config = load(hook(`secret_file: secret, previous_secret: ${SECRET}2, events: [ended]`));
    expect(config.webhooks).toEqual([
      {
        name: "crm",
        tenant: "default",
        url: "https://hooks.example.com/x?token=word",
        secret: SECRET,
        previousSecret: `${SECRET}2`,
        events: ["ended"],
        pools: [],
        includeContext: "none",
        maxContextBytes: 32_768,
        timeoutMs: 5_000,
        maxConcurrent: 16,
        maxWaiting: 1_000,
        firstRetryMs: 500,
        maxRetryMs: 30_000,
        maxAgeSeconds: 86_400,
        maxDeadLetters: 10_000,
        leaseMs: 5_000,
      },
    ]);
    const shown = `${printConfig(config)}${describeServing(config).join("\n")}`;
    expect(shown).toContain("webhook default/crm to hooks.example.com: ended");
    expect(shown).not.toMatch(/sssss|token=word/);
  });

  it.each([
    ["no secret", "events: []", "webhooks[0]: must have exactly one of secret and secret_file"],
    [
      "two",
      `secret: ${SECRET}, secret_file: a`,
      "webhooks[0]: must have exactly one of secret and secret_file",
    ],
    ["a short one", `secret: ${SECRET.slice(1)}`, "webhooks[0].secret: must have 24 characters at least"],
    [
      "no such event",
      `secret: ${SECRET}, events: [rang]`,
      "webhooks[0].events[0]: must be one of arrived, unserved",
    ],
    [
      "no such pool",
      `secret: ${SECRET}, pools: [sales]`,
      "webhooks[0].pools[0]: must be a pool of tenant default",
    ],
    [
      "pauses that do not fit",
      `secret: ${SECRET}, first_retry_ms: 100, max_retry_ms: 99`,
      "webhooks[0].max_retry_ms: must be at least first_retry_ms",
    ],
    [
      "no patience",
      `secret: ${SECRET}, timeout_ms: 99`,
      "webhooks[0].timeout_ms: must be a whole number from 100",
    ],
    [
      "too much of it",
      `secret: ${SECRET}, timeout_ms: 60001`,
      "webhooks[0].timeout_ms: must be a whole number",
    ],
    [
      "no lane",
      `secret: ${SECRET}, max_concurrent: 0`,
      "webhooks[0].max_concurrent: must be a whole number from 1",
    ],
    [
      "no room",
      `secret: ${SECRET}, max_waiting: 5001`,
      "webhooks[0].max_waiting: must be a whole number from 1 to 5000",
    ],
  ])("%s is refused", (_name, more, problem) => {
    const problems = problemsOf(hook(more));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).not.toContain("sssss");
  });

  it.each([
    ["http://hooks.example.com/", "must be https://, or http:// to a loopback address"],
    ["https://elsewhere.example.com/", "must be of a host in webhooks_allowed_hosts"],
    ["https://10.0.0.1/", "must be of a host in webhooks_allowed_hosts"],
  ])("%s is no target", (url, rule) => {
    const yaml = `webhooks_allowed_hosts: [hooks.example.com]\nwebhooks: [{ name: crm, url: "${url}", secret: ${SECRET} }]`;
    expect(problemsOf(yaml)).toEqual([`webhooks[0].url: ${rule}`]);
  });

  it("two of one name and a host that is none are refused", () => {
    const one = `{ name: crm, url: "https://a.example/", secret: ${SECRET} }`;
    expect(problemsOf(`webhooks_allowed_hosts: [a.example]\nwebhooks: [${one}, ${one}]`)).toEqual([
      "webhooks[1].name: must not be given twice",
    ]);
    expect(problemsOf('webhooks_allowed_hosts: ["*.example.com"]')[0]).toContain("must be a host name");
  });
});
