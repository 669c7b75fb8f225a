import { CallError, REASON_STATUS } from "../../gateway/src/call/call-error.js";
import { principalOf } from "../../gateway/src/contract/principal.js";
import { FakeApi } from "../../gateway/src/contract/testing.js";
import type { Logger } from "../../gateway/src/util/logger.js";
import { must } from "./target.js";

// What stands in for the rest of the gateway behind an edge that is fuzzed.

/** Lines of the log at the level "error": nothing that comes from outside may cause one. */
export class ErrorLog implements Logger {
  readonly errors: string[] = [];
  debug = () => {};
  info = () => {};
  warn = () => {};
  error = (fields: object, message: string) => {
    const { err } = fields as { err?: unknown };
    this.errors.push(`${message}: ${err instanceof Error ? err.stack : JSON.stringify(fields)}`);
  };

  /** Fails when something inside broke. */
  check(): void {
    must(this.errors.length === 0, "nothing breaks inside", this.errors[0]);
  }
}

/** Who sends the frames. */
export const CREDENTIAL = principalOf("default", "fuzz");

/** A core that only writes down what it was asked; `knows` watches over what reaches it. */
export function watchedApi(): FakeApi {
  const api = new FakeApi();
  const { calls } = api;
  const get = calls.get;
  Object.assign(calls, {
    get: (tenant: string, callId: string) => {
      mustBeId(callId);
      return get(tenant, callId);
    },
  });
  return api;
}

/** An id that reached the core keeps the rule of ids. */
export function mustBeId(id: string): void {
  must(
    id.length >= 1 && id.length <= 200 && !/[\s/*>\p{Cc}]/u.test(id),
    "an id in the core keeps its rule",
    id,
  );
}

/** A refusal of the contract with a reason of its own, and not one that says that something broke. */
export function mustBeRefusal(error: unknown): void {
  must(error instanceof CallError, "a refusal is a CallError", String((error as Error)?.stack ?? error));
  mustBeReason(error.reason);
}

/** A reason of the contract; INTERNAL would say that the input broke something. */
export function mustBeReason(reason: string): void {
  must(reason in REASON_STATUS, "a refusal has a reason of the contract", reason);
  must(reason !== "INTERNAL", "nothing breaks inside", reason);
}

/** The next turn of the event loop, and what it starts. */
export const settle = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
