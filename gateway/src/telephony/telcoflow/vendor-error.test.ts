import { describe, expect, it } from "vitest";
import { TelephonyError } from "../telephony.js";
import {
  closeReasonOf,
  commandRefused,
  commandUnavailable,
  commandUnknown,
  connectOutcomeOf,
  isCredentialRefused,
} from "./vendor-error.js";

describe("vendor errors", () => {
  it("keep the provider's code and no secrets", () => {
    const error = commandRefused("call.answer", "SESSION_NOT_OPEN", "token t0ken is bad", ["t0ken"]);
    expect(error).toMatchObject({ kind: "refused", providerCode: "SESSION_NOT_OPEN" });
    expect(error.message).not.toContain("t0ken");
  });

  it("treat TIMEOUT as unknown", () => {
    expect(commandRefused("agent.spy", "TIMEOUT", "").kind).toBe("unknown");
  });

  it.each([
    [commandRefused("call.connect", "CALL_UNANSWERED", ""), "unanswered"],
    [commandRefused("call.connect", "TIMEOUT", ""), "unknown"],
    [commandUnknown("call.connect", "no answer in time"), "unknown"],
    [commandRefused("call.connect", "FORBIDDEN", ""), undefined],
    [commandUnavailable("call.connect", "not open"), undefined],
    [new Error("else"), undefined],
  ])("a connect that failed with %s ends as %s", (error, outcome) => {
    expect(connectOutcomeOf(error)).toBe(outcome);
  });

  it("map reasons and statuses", () => {
    expect(closeReasonOf("CALL_TERMINATED")).toBe("CALL_TERMINATED");
    expect(closeReasonOf("SOMETHING_NEW")).toBe("OTHER");
    expect([401, 403, 426, 404, 429, 503].map(isCredentialRefused)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(new TelephonyError("refused", "x").providerCode).toBe("");
  });
});
