import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.js";
import { connectionConfig, isLoopback } from "./connection.js";

describe("isLoopback", () => {
  it.each([
    "127.0.0.1:7070",
    "localhost:1",
    "[::1]:7070",
    "ipv4:127.0.0.1:7070",
    "dns:///localhost:70",
    "unix:/run/x",
  ])("%s is this machine", (endpoint) => expect(isLoopback(endpoint)).toBe(true));
  it.each(["10.0.0.1:7070", "localhost.example.com:7070", "gateway:7070"])("%s is not", (endpoint) =>
    expect(isLoopback(endpoint)).toBe(false),
  );
});

describe("connectionConfig()", () => {
  it("takes the endpoint of the options before that of the environment", () => {
    expect(connectionConfig({ endpoint: "a:1" }).endpoints).toEqual(["a:1"]);
    expect(connectionConfig({ endpoint: "a:1", endpoints: ["b:1", "c:1"] }).endpoints).toEqual([
      "b:1",
      "c:1",
    ]);
    expect(() => connectionConfig({ endpoints: [] })).toThrow(
      expect.objectContaining({ reason: "INVALID_FIELD" }),
    );
  });
  it("does not probe more often than servers allow", () => {
    expect(() => connectionConfig({ keepaliveMs: 1_000 })).toThrow("keepaliveMs");
  });
});

describe("Backoff", () => {
  it("grows from 50 ms to 2 s with jitter and begins anew", () => {
    const low = new Backoff(50, 2_000, () => 0);
    const high = new Backoff(50, 2_000, () => 1);
    expect(Array.from({ length: 8 }, () => low.next())).toEqual([25, 50, 100, 200, 400, 800, 1_000, 1_000]);
    expect(Array.from({ length: 8 }, () => high.next())).toEqual([
      50, 100, 200, 400, 800, 1_600, 2_000, 2_000,
    ]);
    low.reset();
    expect(low.next()).toBe(25);
  });
});
