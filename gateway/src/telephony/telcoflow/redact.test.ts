import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_REMOTE_TEXT, redactRemote, redactUrl } from "./redact.js";

describe("redactRemote", () => {
  it("takes out secrets, bearer tokens and JWTs", () => {
    const text = "key k-12345 was given, Authorization: Bearer abc.def, token eyJhbGci.eyJzdWIi.sig";
    const shown = redactRemote(text, ["k-12345"]);
    expect(shown).not.toMatch(/k-12345|abc\.def|eyJ/);
  });

  it("masks phone numbers", () => {
    expect(redactRemote("call from +15550101 failed")).toBe("call from ***01 failed");
  });

  it("keeps one line of at most 200 characters", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000 }), (text) => {
        const shown = redactRemote(text, ["secret"]);
        expect(shown.length).toBeLessThanOrEqual(MAX_REMOTE_TEXT + 1);
        expect(shown).not.toMatch(/[\r\n]/);
      }),
    );
    expect(redactRemote("a\r\nb")).toBe("a b");
  });
});

describe("redactUrl", () => {
  it("keeps host and path alone", () => {
    expect(redactUrl("wss://user:pw@media.example.com:8443/v1/c?token=t#f")).toBe(
      "wss://media.example.com:8443/v1/c",
    );
    expect(redactUrl("nonsense")).toBe("[invalid]");
  });
});
