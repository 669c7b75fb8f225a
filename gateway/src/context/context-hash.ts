import { createHash } from "node:crypto";
import { isObject } from "../util/tagged-json.js";
import type { CallContext } from "./context-types.js";

/**
 * The hash of all that a context says, the same from whatever store it comes: 22 characters of base64url (132 bits of
 * SHA-256). Keys that are not set and the order of keys do not count, nor does `lineage`.
 */
export function contextHash(context: CallContext): string {
  const { lineage: _lineage, conflicts, ...rest } = context;
  const said = conflicts?.length ? { ...rest, conflicts } : rest;
  return createHash("sha256").update(canonical(said)).digest("base64url").slice(0, 22);
}

/** JSON with sorted keys; dates as their time. */
export function canonical(value: unknown): string {
  if (value instanceof Date) return `d${value.getTime()}`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const keys = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}
