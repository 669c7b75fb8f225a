import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.js";
import type { GatewayConfig } from "./config-types.js";
import { loadConfig } from "./load-config.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "callweave-credentials-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string): GatewayConfig {
  const file = join(folder, "callweave.yaml");
  writeFileSync(file, text);
  return loadConfig({ file, env: {}, cwd: folder });
}

function problem(text: string): string {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

describe("loadConfig / credentials", () => {
  const grpc = (text: string, auth = "{}") => `gateway: { grpc: { ${text} } }\nauth: ${auth}`;
  const issuer = "issuers: [{ issuer: i, audience: a, jwks_url: https://issuer.example/jwks }]";

  it("opens a port beyond this machine only with credentials, or with a sentence", () => {
    expect(problem(grpc("host: 0.0.0.0"))).toMatch(/must be a loopback address/);
    expect(problem(grpc("host: 0.0.0.0", "{ without_keys: true }"))).toMatch(/the sentence "Everybody who/);
    const sentence = "Everybody who reaches this port may hear, command and end every call.";
    expect(load(grpc("host: 0.0.0.0", `{ without_keys: "${sentence}" }`)).auth.withoutKeys).toBe(sentence);
    expect(load(grpc("host: 0.0.0.0", `{ ${issuer} }`)).auth.issuers[0]?.algorithms).toEqual([
      "RS256",
      "ES256",
      "EdDSA",
    ]);
    const key = "keys: [{ name: a, key: 0123456789abcdef }]";
    expect(problem(grpc(key, `{ without_keys: "${sentence}" }`))).toMatch(
      /must be absent where there are keys/,
    );
  });

  it("takes a name twice with the same rights, and knows roles and scopes", () => {
    const two = (rights: string) =>
      grpc(
        `keys: [{ name: a, key: 0123456789abcdef, role: agent }, { name: a, key: 0123456789abcdeg, ${rights} }]`,
      );
    expect(load(two("role: agent")).gateway.grpc.keys).toHaveLength(2);
    expect(problem(two("role: admin"))).toMatch(/twice with different rights/);
    expect(problem(grpc("keys: [{ name: a, key: 0123456789abcdef, role: boss }]"))).toMatch(
      /role: must be one of/,
    );
    expect(problem(grpc("keys: [{ name: a, key: 0123456789abcdef, scopes: [fly] }]"))).toMatch(
      /scope must be one of/,
    );
  });

  it("takes no secret algorithm, no plain http and no certificate without an authority", () => {
    const bad = (text: string) => problem(grpc("port: 0", text));
    expect(bad("{ issuers: [{ issuer: i, audience: a, jwks_url: http://issuer.example/ }] }")).toMatch(
      /https/,
    );
    expect(bad("{ issuers: [{ issuer: i, audience: a }] }")).toMatch(/exactly one of jwks_url and jwks_file/);
    expect(bad(`{ ${issuer.replace("a,", "a, algorithms: [HS256],")} }`)).toMatch(/must be one of RS256/);
    expect(bad("{ certificates: [{ san: DNS:a, role: agent }] }")).toMatch(/client_ca_file/);
    expect(bad("{ certificates: [{ san: DNS:a }] }")).toMatch(/must have a role or scopes/);
    expect(bad("{ certificates: [{ san: CN=a, role: agent }] }")).toMatch(/URI:… or|"URI:…"/);
  });
});
