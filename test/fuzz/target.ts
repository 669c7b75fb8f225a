import type { Arbitrary } from "fast-check";

/** One thing that is fuzzed: what comes in, and what must hold for every input. */
export interface Target<T = unknown> {
  /** Kebab-case; `--only NAME`. */
  readonly name: string;
  /** In plain words, for `--list`. */
  readonly what: string;
  /** The wire or kind of input that it belongs to; a planted defect names the areas that must find it. */
  readonly area: Area;
  /** Its share of all inputs, against the others'. */
  readonly weight: number;
  /** Makes the inputs; shrinks them. */
  readonly inputs: Arbitrary<T>;
  /** Throws (or rejects) when something does not hold. */
  readonly run: (input: T) => void | Promise<void>;
  /** How long one input may take, in ms of this process. Default {@link DEFAULT_BOUND_MS}. */
  readonly boundMs?: number;
}

/** What a target belongs to. */
export type Area =
  | "telephony"
  | "serve"
  | "nats"
  | "browser"
  | "config"
  | "audio"
  | "text"
  | "tokens"
  | "sockets";

/** An input that takes longer than this, three times in a row, is a finding. */
export const DEFAULT_BOUND_MS = 150;

/** For lists of targets of different inputs. */
export function target<T>(made: Target<T>): Target {
  return made as unknown as Target;
}

/** Fails the input with what was expected. */
export function must(holds: boolean, rule: string, shown?: unknown): asserts holds {
  if (holds) return;
  const text = shown === undefined ? "" : `: ${describe(shown)}`;
  throw new Error(`${rule}${text}`);
}

/** A value for a message: JSON where that can be, cut. */
export function describe(value: unknown, maxLength = 400): string {
  let text: string;
  try {
    text = JSON.stringify(value, function (this: Record<string, unknown>, key, given: unknown) {
      // A Buffer has become an object by now.
      const one = this[key] instanceof Uint8Array ? this[key] : given;
      if (typeof one === "bigint") return `${one}n`;
      if (one instanceof Uint8Array) return `0x${Buffer.from(one).toString("hex")}`;
      return one;
    });
  } catch {
    text = String(value);
  }
  return text === undefined ? String(value) : text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}
