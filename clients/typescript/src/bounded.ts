import { invalidField } from "./errors.js";

/**
 * A numeric option, checked: a whole number from `min` to `max`, both included; the unit is in its name. Throws
 * INVALID_FIELD with the name of the option and this rule.
 */
export function bounded(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidField(name, `a whole number from ${min} to ${max}`, value);
}
