import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { CallError, invalidField } from "../call/call-error.js";
import { FakeLogger } from "../contract/testing.js";
import { toServiceError } from "./status.js";

const detailsOf = (error: ReturnType<typeof toServiceError>) =>
  decodeStatusDetails(error.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer);

describe("toServiceError()", () => {
  it("carries reason and metadata of a CallError", () => {
    const logger = new FakeLogger();
    const error = toServiceError(
      invalidField("ring_duration", "whole seconds from 1 to 120", "0s"),
      logger,
      "X",
    );
    expect(error.code).toBe(3);
    expect(error.details).toBe("ring_duration must be whole seconds from 1 to 120");
    expect(detailsOf(error)).toEqual({
      code: 3,
      message: error.details,
      errorInfo: {
        reason: "INVALID_FIELD",
        domain: "callweave",
        metadata: { field: "ring_duration", rule: "whole seconds from 1 to 120", value: "0s" },
      },
    });
    expect(logger.lines).toEqual([]);
  });

  it("hides everything else behind an id that is in the log", () => {
    for (const thrown of [
      new Error("password 123"),
      "password 123",
      CallError.from(new Error("password 123")),
    ]) {
      const logger = new FakeLogger();
      const error = toServiceError(thrown, logger, "/x/Y");
      expect(error.code).toBe(13);
      expect(JSON.stringify(detailsOf(error)) + error.details).not.toContain("password");
      const id = detailsOf(error).errorInfo?.metadata.error_id;
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(logger.lines[0]).toMatchObject({ level: "error", fields: { error_id: id, where: "/x/Y" } });
      expect(String(logger.lines[0]?.fields.err)).toContain("password");
    }
  });

  it("stays small and well-formed however large the error is", () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`key${i}`, "\u{1F600}".repeat(500)]),
    );
    const error = toServiceError(
      new CallError("CALL_STATE", "\u{1F600}".repeat(900), metadata),
      new FakeLogger(),
      "X",
    );
    const bytes = error.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer;
    expect(bytes.length).toBeLessThan(4_000);
    expect(encodeURI(error.details).length).toBeLessThan(4_000);
    const odd = toServiceError(
      new CallError("CALL_STATE", `x${"\u{1F600}".repeat(300)}`),
      new FakeLogger(),
      "X",
    );
    expect(() => encodeURI(odd.details)).not.toThrow();
  });
});
