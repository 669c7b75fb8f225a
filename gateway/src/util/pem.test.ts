import { describe, expect, it } from "vitest";
import { checkPem, firstEndOf } from "./pem.js";

describe("checkPem", () => {
  const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";

  it.each([
    ["an authority that is no certificate", { ca: "nonsense" }, /no certificate of an authority/],
    ["an empty authority", { ca: "" }, /no certificate of an authority/],
    [
      "half an authority",
      { ca: `-----BEGIN CERTIFICATE-----\n${secret}\n-----END CERTIFICATE-----\n` },
      /asn1|wrong tag|too long|header/i,
    ],
    ["a certificate that is none", { cert: "nonsense", key: secret }, /start line/i],
    ["an empty certificate", { cert: "", key: "" }, /there is no certificate/],
    ["a key that is none", { key: secret }, /unsupported|start line/i],
  ])("names %s and what it is for, never the text", (_name, set, rule) => {
    const check = () => checkPem(set, "nats.tls");
    expect(check).toThrow(RangeError);
    expect(check).toThrow(/^nats\.tls: /);
    expect(check).toThrow(rule);
    expect(check).not.toThrow(secret);
  });

  it("takes nothing as the authorities of the system", () => {
    expect(() => checkPem({}, "nats.tls")).not.toThrow();
    expect(firstEndOf("nonsense")).toBeUndefined();
  });
});
