import { describe, expect, it } from "vitest";
import { isMediaUrlAllowed } from "./media-host.js";

const base = "wss://wss.example.com";

describe("isMediaUrlAllowed", () => {
  it.each([
    ["wss://wss.example.com/v1/call", base, [], true],
    ["wss://WSS.Example.com:443/v1/call", base, [], true],
    ["wss://wss.example.com:8443/v1/call", base, [], false],
    ["wss://media.example.com/v1/call", base, [], false],
    ["wss://media.example.com/v1/call", base, ["media.example.com"], true],
    ["wss://media.example.com/v1/call", base, [".example.com"], true],
    ["wss://example.com/v1/call", base, [".example.com"], false],
    ["wss://evilexample.com/v1/call", base, [".example.com"], false],
    ["wss://example.com.evil.test/v1/call", base, [".example.com"], false],
    ["wss://media.example.com:8443/", base, ["media.example.com:8443"], true],
    ["wss://media.example.com/", base, ["media.example.com:8443"], false],
    ["ws://wss.example.com/v1/call", base, [], false],
    ["ws://media.example.com/v1/call", base, [".example.com"], false],
    ["https://wss.example.com/v1/call", base, [], false],
    ["file:///etc/passwd", base, [], false],
    ["wss://user:pw@wss.example.com/", base, [], false],
    ["wss://wss.example.com@evil.test/", base, [], false],
    ["not an address", base, [], false],
    ["wss://127.0.0.1:9/", base, [], false],
    ["ws://127.0.0.1:4000/v1", "ws://127.0.0.1:3000", [], true],
    ["ws://localhost:4000/v1", "ws://127.0.0.1:3000", [], true],
    ["ws://[::1]:4000/v1", "ws://localhost:3000", [], true],
    ["ws://169.254.169.254/latest", "ws://127.0.0.1:3000", [], false],
  ])("%s from %s with %j: %s", (url, baseUrl, hosts, allowed) => {
    expect(isMediaUrlAllowed(url, baseUrl, hosts)).toBe(allowed);
  });
});
