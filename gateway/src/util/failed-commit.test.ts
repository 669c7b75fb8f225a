import { expect, it } from "vitest";
import { isFailedCommit } from "./failed-commit.js";

const error = (more: object) => Object.assign(new Error("x"), more);

it.each([
  [error({ commitError: Promise.resolve() }), true],
  [error({ code: 28 }), true],
  [error({ code: -30_792 }), true],
  [error({ code: 5, details: "no such call" }), false],
  [error({ code: "ENOSPC" }), false],
  [error({ code: 1 }), false],
  [error({}), false],
  ["No space left on device", false],
])("knows what lmdb rejects besides a write that failed: %o", (what, is) => {
  expect(isFailedCommit(what)).toBe(is);
});
