import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Authenticator, isLoopback } from "./authenticator.js";

const KEY = "test-key-0123456789";
const bearer = (value: string) => [value];

describe("Authenticator", () => {
  const keys = new Authenticator([
    { name: "desk", tenant: "acme", key: KEY },
    {
      name: "agents",
      tenant: "other",
      keySha256: createHash("sha256").update("another-key-012345").digest("hex"),
    },
  ]);

  it("gives the tenant and name of the key, plain or hashed", () => {
    expect(keys.authenticate(bearer(`Bearer ${KEY}`), "192.0.2.1:5")).toEqual({
      tenant: "acme",
      name: "desk",
    });
    expect(keys.authenticate(bearer("bearer another-key-012345"), "[::1]:5")).toEqual({
      tenant: "other",
      name: "agents",
    });
    expect(keys.authenticateToken(KEY, "127.0.0.1:1").name).toBe("desk");
  });

  it("refuses everything else, on loopback too, without repeating it", () => {
    const double = [...bearer(`Bearer ${KEY}`), ...bearer(`Bearer ${KEY}`)];
    for (const metadata of [
      [],
      bearer(KEY),
      bearer("Bearer "),
      bearer("Bearer wrong"),
      bearer(`Basic ${KEY}`),
      bearer(`Bearer ${KEY} ${KEY}`),
      double,
    ]) {
      let error: unknown;
      try {
        keys.authenticate(metadata, "127.0.0.1:5");
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ reason: "UNAUTHENTICATED", metadata: {} });
      expect(String(error)).not.toContain("wrong");
      expect(String(error)).not.toContain(KEY);
    }
  });

  it("serves this machine alone when there are no keys", () => {
    const open = new Authenticator([]);
    for (const peer of ["127.0.0.1:5", "127.9.9.9:5", "::1:5", "::ffff:127.0.0.1:5"]) {
      expect(open.authenticate([], peer)).toEqual({ tenant: "default", name: "local" });
    }
    for (const peer of ["192.0.2.1:5", "unknown", "", "[2001:db8::1]:5", "127.0.0.1.example:5"]) {
      expect(() => open.authenticate([], peer)).toThrow("only this machine");
    }
  });

  it("refuses keys that protect nothing", () => {
    const make = (key: object) => () => new Authenticator([{ name: "a", tenant: "t", ...key }]);
    expect(make({})).toThrow("16 characters");
    expect(make({ key: "short" })).toThrow("16 characters");
    expect(make({ key: "" })).toThrow("16 characters");
    expect(make({ keySha256: "abc" })).toThrow("64 hexadecimal");
    expect(make({ key: KEY, keySha256: "0".repeat(64) })).toThrow("both");
    expect(make({ key: KEY, tenant: "" })).toThrow("tenant");
    expect(() => new Authenticator([0, 1].map((i) => ({ name: `k${i}`, tenant: "t", key: KEY })))).toThrow(
      "same",
    );
    expect(make({ key: "short" })).not.toThrow("short-");
  });

  it("knows loopback addresses", () => {
    expect(["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "10.0.0.1", "", "127.0.0.1.example", "::ffff:10.0.0.1"].some(isLoopback)).toBe(
      false,
    );
  });
});
