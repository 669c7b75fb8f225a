import { ErrorReason } from "@callweave/proto";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { serviceError } from "../testing/fake-gateway.js";
import { CallweaveError, fromWire } from "./errors.js";

describe("CallweaveError", () => {
  it("reads reason and metadata of a unary request from the status details", () => {
    const cause = serviceError(status.FAILED_PRECONDITION, "CALL_STATE", {
      call_id: "c-1",
      state: "PENDING",
    });
    const error = CallweaveError.from(cause);
    expect(error).toMatchObject({
      name: "CallweaveError",
      reason: "CALL_STATE",
      code: "FAILED_PRECONDITION",
      callId: "c-1",
      metadata: { state: "PENDING" },
      retryable: false,
    });
    expect(error.cause).toBe(cause);
  });

  it("is TRANSPORT without a reason, UNAUTHENTICATED by its status alone", () => {
    const plain = (code: status) =>
      CallweaveError.from(Object.assign(new Error("x"), { code, details: "x", metadata: new Metadata() }));
    expect(plain(status.UNAVAILABLE)).toMatchObject({
      reason: "TRANSPORT",
      code: "UNAVAILABLE",
      retryable: true,
    });
    expect(plain(status.UNAUTHENTICATED)).toMatchObject({ reason: "UNAUTHENTICATED" });
    expect(CallweaveError.from("odd")).toMatchObject({ reason: "TRANSPORT", code: "UNKNOWN" });
  });

  it("keeps the name of a reason that is newer than the library (fault 53)", () => {
    const error = CallweaveError.from(serviceError(status.ABORTED, "BRAND_NEW", { key: "value" }));
    expect(error).toMatchObject({
      reason: "TRANSPORT",
      code: "ABORTED",
      metadata: { reason: "BRAND_NEW", key: "value" },
    });
  });

  it("survives details that are no message", () => {
    const cause = serviceError(status.ABORTED, "X");
    cause.metadata.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0xff]));
    expect(CallweaveError.from(cause)).toMatchObject({ reason: "TRANSPORT", code: "ABORTED" });
  });

  it("reads the error of an item", () => {
    const error = fromWire({
      code: status.RESOURCE_EXHAUSTED,
      reason: ErrorReason.PLAYBACK_FULL,
      message: "full",
      metadata: { max_ms: "30000" },
    });
    expect(error).toMatchObject({ reason: "PLAYBACK_FULL", code: "RESOURCE_EXHAUSTED" });
    expect(fromWire({ code: 9, reason: 999 as ErrorReason, message: "", metadata: {} })).toMatchObject({
      reason: "TRANSPORT",
      metadata: { reason: "999" },
    });
  });
});
