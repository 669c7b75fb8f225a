import { describe, expect, it } from "vitest";
import { Redactor } from "./redact.js";

const standard = new Redactor();
const redactText = (text: string) => standard.text(text);
const redactValue = (value: unknown) => standard.value(value);

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
    ["write to jane.doe+calls@mail.example.com.", "write to [e-mail]."],
    ["zoë@müller.example and a@b.example", "[e-mail] and [e-mail]"],
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
    "at 5@home",
    "user @example.com",
    "41111111111111111111111111",
  ])("leaves %s", (text) => {
    expect(redactText(text)).toBe(text);
  });

  it("is quick on long digits", () => {
    const begin = process.cpuUsage();
    redactText("4 ".repeat(5000));
    redactText("1234567890".repeat(1000));
    redactText("a.b-".repeat(2500));
    redactText(`${"a".repeat(64)}@`.repeat(150));
    redactText(`x@${"a.".repeat(5000)}`);
    expect(process.cpuUsage(begin).user / 1000).toBeLessThan(2000);
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

describe("Redactor", () => {
  it("leaves what it is told to leave", () => {
    const text = "4111111111111111, DE89 3704 0044 0532 0130 00, a@b.example";
    expect(new Redactor({ cards: false, ibans: false, emails: false }).text(text)).toBe(text);
    expect(new Redactor({ emails: false }).text(text)).toBe("[card number], [bank account], a@b.example");
  });

  it("takes an installation's own patterns out, the mark as it stands", () => {
    const patterns = [{ name: "customer", pattern: /\bC-\d{6}\b/gu, mark: "[$1 customer]" }];
    expect(new Redactor({ patterns }).value({ note: "C-123456 and C-654321, not C-1" })).toEqual({
      note: "[$1 customer] and [$1 customer], not C-1",
    });
  });

  it("shows the hook what is left, and keeps nothing when it fails", () => {
    const seen: string[] = [];
    const told: string[] = [];
    const answers: unknown[] = ["kept", 7];
    const redactor = new Redactor({
      hook: (text) => {
        seen.push(text);
        if (answers.length === 0) throw new TypeError(text);
        return answers.shift();
      },
      onHookFailed: (error) => told.push(String(error)),
    });
    expect(redactor.text("a@b.example, secret")).toBe("kept");
    expect(redactor.text("secret")).toBe("[redacted]");
    expect(redactor.text("secret")).toBe("[redacted]");
    expect(seen).toEqual(["[e-mail], secret", "secret", "secret"]);
    expect(told.join()).toBe(
      "Error: the redaction hook answered number, not a text,Error: the redaction hook failed: TypeError",
    );
    expect(redactor.text("")).toBe("");
  });
});
