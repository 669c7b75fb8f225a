import { describe, expect, it } from "vitest";
import { canonicalNumber, isE164, maskNumber, toE164 } from "./numbers.js";

describe("toE164", () => {
  it.each([
    ["+1 555 0100", "", "+15550100"],
    ["+1 (555) 010-0", "", "+15550100"],
    ["tel:+1-555-0100;ext=7", "", "+15550100"],
    ["sip:+15550100@example.org;user=phone", "", "+15550100"],
    ["0015550100", "", "+15550100"],
    ["15555550100", "", "+15555550100"],
    ["+49 (0)30 5550100", "", "+49305550100"],
    ["030/555 01 00", "49", "+49305550100"],
    ["065550100", "39", "+39065550100"],
    ["(555) 555-0100", "1", "+15555550100"],
    ["1 555 555 0100", "1", "+15555550100"],
    ["011 49 30 5550100", "1", "+49305550100"],
    ["+1\u00a0555\u20110100", "", "+15550100"],
  ])("%s with %s is %s", (raw, country, number) => {
    expect(toE164(raw, country)).toBe(number);
  });

  it.each([
    "",
    "anonymous",
    "Restricted",
    "5550100",
    "05550100",
    "+0123456",
    "+1555010012345678",
    "+12a45678",
    "100",
    "sip:anonymous@anonymous.invalid",
  ])("does not know %s", (raw) => {
    expect(toE164(raw)).toBeUndefined();
  });

  it("leaves short numbers alone, with a country too", () => {
    expect(toE164("112", "49")).toBeUndefined();
    expect(canonicalNumber("112", "49")).toBe("112");
    expect(canonicalNumber("*21#")).toBe("*21#");
    expect(canonicalNumber(" ")).toBe("");
    expect(canonicalNumber("anonymous")).toBeUndefined();
    expect(canonicalNumber("555-0100")).toBe("5550100");
  });

  it("tells what is E.164", () => {
    expect(isE164("+15550100")).toBe(true);
    expect(isE164("15550100")).toBe(false);
    expect(isE164("+1 555")).toBe(false);
  });
});

describe("maskNumber", () => {
  it.each([
    ["+15550100", "***0100"],
    ["12345", "***45"],
    ["112", "***"],
    ["", "withheld"],
    ["anonymous", "***"],
  ])("%s is shown as %s", (number, masked) => {
    expect(maskNumber(number)).toBe(masked);
  });
});
