import { describe, expect, it } from "vitest";
import {
  DEFAULT_LIMITS,
  maxFrameBytes,
  nextIdentity,
  resolveOptions,
  type TelcoflowOptions,
} from "./options.js";

const auth = { apiKey: "k-secret", connectorUuid: "u" };

describe("resolveOptions", () => {
  it("fills in the defaults", () => {
    const settings = resolveOptions({ name: "main", auth });
    expect(settings).toMatchObject({ sampleRateHz: 16_000, audioMode: "mixed", ...DEFAULT_LIMITS });
    expect(settings.baseUrl).toMatch(/^wss:/);
    expect(settings.identity.headers).toMatchObject({ "x-api-key": "k-secret", "x-connector-uuid": "u" });
    expect(settings.identity.secrets).toEqual(["k-secret"]);
  });

  it("trusts no further media host when the base URL is another", () => {
    expect(resolveOptions({ name: "main", auth, baseUrl: "wss://a.example.com/" })).toMatchObject({
      baseUrl: "wss://a.example.com",
      mediaHosts: [],
    });
  });

  it.each<[string, Partial<TelcoflowOptions>]>([
    ["baseUrl", { baseUrl: "https://a.example.com" }],
    ["baseUrl", { baseUrl: "nonsense" }],
    ["baseUrl", { baseUrl: "wss://u:k-secret@a.example.com" }],
    ["sampleRateHz", { sampleRateHz: 44_100 as never }],
    ["requestTimeoutMs", { requestTimeoutMs: -1 }],
    ["controlPingMs", { controlPingMs: Number.NaN }],
    ["auth.apiKey", { auth: { apiKey: "k-secret\r\nx: y", connectorUuid: "u" } }],
    ["auth.cert", { auth: { cert: "", key: "k-secret" } }],
    ["client certificate", { auth: { cert: "c", key: "k-secret" }, baseUrl: "ws://127.0.0.1:1" }],
  ])("names %s when it is wrong, without its value", (name, options) => {
    const make = () => resolveOptions({ name: "main", auth, ...options });
    expect(make).toThrow(RangeError);
    expect(make).toThrow(name);
    expect(make).not.toThrow(/k-secret/);
  });
});

describe("nextIdentity", () => {
  const next = (apiKey: string, settings = resolveOptions({ name: "main", auth })) =>
    nextIdentity(settings, { auth: { ...auth, apiKey }, ca: "c" });

  it("shows the new key and keeps the last sixteen out of logs", () => {
    const settings = resolveOptions({ name: "main", auth });
    for (let i = 1; i <= 20; i++) settings.identity = next(`key-${i}`, settings);
    expect(settings.identity.headers).toMatchObject({ "x-api-key": "key-20", "x-connector-uuid": "u" });
    expect(settings.identity.tls).toEqual({ ca: "c" });
    expect(settings.identity.secrets).toEqual(Array.from({ length: 16 }, (_, i) => `key-${20 - i}`));
  });

  it("is of the same connector and can be used", () => {
    const settings = resolveOptions({ name: "main", auth });
    const another = () => nextIdentity(settings, { auth: { ...auth, connectorUuid: "v" } });
    expect(another).toThrow("auth.connectorUuid cannot be changed");
    expect(() => nextIdentity(settings, { auth: { cert: "c", key: "k-secret" } })).toThrow(
      "from a key to a certificate",
    );
    expect(() => next("no\nkey")).toThrow("auth.apiKey must be visible ASCII");
  });
});

describe("maxFrameBytes", () => {
  it("is even at every rate", () => {
    expect(maxFrameBytes({ maxFrameMs: 200, sampleRateHz: 16_000 })).toBe(6400);
    expect(maxFrameBytes({ maxFrameMs: 0.1, sampleRateHz: 8000 })).toBe(2);
  });
});
