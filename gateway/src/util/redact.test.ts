import { describe, expect, it } from "vitest";
import { redactText, redactValue } from "./redact.js";

describe("redactText", () => {
  it.each([
    ["my card is 4111111111111111.", "my card is [card number]."],
    ["4111 1111 1111 1111", "[card number]"],
    ["4111-1111-1111-1111 12/27, 123", "[card number] 12/27, 123"],
    ["4111 1111 1111 1111 12 27 123", "[card number] 12 27 123"],
    ["ref 17 4111 1111 1111 1111", "ref 17 [card number]"],
    ["amex 3782 822463 10005", "amex [card number]"],
    ["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card number]"],
    ["4111111111111111 and 5555555555554444", "[card number] and [card number]"],
    ["4111111111111111 5555555555554444", "[card number] [card number]"],
    ["IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [bank account] please"],
    ["gb82west12345698765432", "[bank account]"],
  ])("%s", (text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  it.each([
    "call me at +1 555 0100 or +1 555 0101",
    "order 4111111111111112",
    "at 2026-03-01T10:00:00.123Z",
    "GB82 WEST 1234 5698 7654 33",
    "1234567890123",
    "short",
    "41111111111111111111111111",
  ])("leaves %s", (text) => {
    expect(redactText(text)).toBe(text);
  });

  it("is quick on long digits", () => {
    const begin = performance.now();
    redactText("4 ".repeat(5000));
    redactText("1234567890".repeat(1000));
    expect(performance.now() - begin).toBeLessThan(2000);
  });
});

describe("redactValue", () => {
  it("goes through all of a value", () => {
    expect(
      redactValue({
        card: 4111111111111111,
        list: ["4111 1111 1111 1111", 5, null, true],
        "4111111111111111": { deep: "5555555555554444" },
        millis: 1_772_359_200_123,
      }),
    ).toEqual({
      card: "[card number]",
      list: ["[card number]", 5, null, true],
      "[card number]": { deep: "[card number]" },
      millis: 1_772_359_200_123,
    });
  });
});
