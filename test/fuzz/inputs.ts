import fc, { type Arbitrary } from "fast-check";

// Pieces that inputs are made of: mostly like what is expected, with what breaks parsers mixed in.

/** Text that breaks things. */
const NASTY = [
  "",
  " ",
  "\u0000",
  "\n",
  "\r\nX: y",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "NaN",
  "-0",
  "1e309",
  "9007199254740993",
  "\ud800",
  "\u202e",
  "\u2028",
  "é",
  "e\u0301",
  "*",
  ">",
  "a.b",
  "a/b",
  "../../etc/passwd",
  "$" + "{HOME}",
  "%00",
  "=",
  "==",
  "=ZZ",
  "Bearer",
  "😀".repeat(30),
] as const;

/** A short text, as a rule a plain one. */
export const word: Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 24 }) },
  { weight: 2, arbitrary: fc.constantFrom(...NASTY) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 24 }) },
  { weight: 1, arbitrary: fc.uuid() },
);

/** A text as long as an attacker likes: one piece, said often, and something else at its end. */
export const long: Arbitrary<string> = fc
  .record({
    piece: fc.oneof(
      fc.constantFrom(
        "a",
        "1",
        " ",
        "-",
        "a-",
        "1 ",
        "1.",
        "a@",
        "a.",
        "\\",
        '"',
        "[",
        "{",
        "(",
        "+",
        "<",
        "é",
      ),
      fc.string({ minLength: 1, maxLength: 4 }),
    ),
    times: fc.constantFrom(33, 65, 101, 257, 1_025, 4_097, 20_000),
    end: fc.constantFrom("", "!", "@", "\n", "x", "0"),
  })
  .map(({ piece, times, end }) => `${piece.repeat(Math.min(times, 40_000 / piece.length))}${end}`);

/** Short as a rule, long now and then. */
export const text: Arbitrary<string> = fc.oneof(
  { weight: 40, arbitrary: word },
  { weight: 1, arbitrary: long },
);

/** Any JSON. */
export const json: Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: word },
  {
    weight: 2,
    arbitrary: fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, -1, 1e21, 2 ** 31, 2 ** 53)),
  },
  { weight: 1, arbitrary: fc.constantFrom(null, true, false) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);

/** A number on the edge of some type. */
export const edge: Arbitrary<number> = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: -2, max: 400 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      0,
      1,
      -1,
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32 - 1,
    ),
  },
);

/** Few bytes of anything. */
export const bytes: Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 64 });

/** One of several values, or something else in its place. */
export function mostly<T>(...values: T[]): Arbitrary<T> {
  return fc.constantFrom(...values);
}

/** An object with some of its keys left out, given another value, or joined by a foreign key. */
export function broken(base: Arbitrary<Record<string, unknown>>): Arbitrary<Record<string, unknown>> {
  const change = fc.record({
    kind: fc.constantFrom("drop", "replace", "replace", "add"),
    at: fc.nat({ max: 30 }),
    key: word,
    value: fc.oneof({ weight: 4, arbitrary: json }, { weight: 1, arbitrary: text }),
  });
  return fc.tuple(base, fc.array(change, { maxLength: 3 })).map(([value, changes]) => {
    const entries = new Map(Object.entries(value));
    for (const { kind, at, key, value: other } of changes) {
      const keys = [...entries.keys()];
      const chosen = keys[at % Math.max(1, keys.length)] ?? key;
      if (kind === "drop") entries.delete(chosen);
      else if (kind === "replace") entries.set(chosen, other);
      else entries.set(key, other);
    }
    return Object.fromEntries(entries);
  });
}

/** Where in something: 0 to below 1, everywhere alike. A double would nearly always be next to 0. */
const place: Arbitrary<number> = fc.nat({ max: 9_999 }).map((part) => part / 10_000);

/** Bytes with some of them flipped, removed, said twice or cut off. */
export function damaged(base: Arbitrary<Uint8Array>): Arbitrary<Uint8Array> {
  const damage = fc.record({
    kind: fc.constantFrom("flip", "set", "cut", "drop", "twice", "insert"),
    at: place,
    value: fc.integer({ min: 0, max: 255 }),
  });
  return fc.tuple(base, fc.array(damage, { maxLength: 4 })).map(([whole, damages]) => {
    let out = [...whole];
    for (const { kind, at, value } of damages) {
      const i = Math.floor(at * out.length);
      if (kind === "flip") out[i] = (out[i] ?? 0) ^ (1 << (value & 7));
      else if (kind === "set") out[i] = value;
      else if (kind === "cut") out = out.slice(0, i);
      else if (kind === "drop") out.splice(i, 1);
      else if (kind === "twice") out.splice(i, 0, ...out.slice(i, i + 16));
      else out.splice(i, 0, value);
    }
    return Uint8Array.from(out);
  });
}

/** Text with characters changed, removed or said twice. */
export function damagedText(base: Arbitrary<string>): Arbitrary<string> {
  const damage = fc.record({
    kind: fc.constantFrom("set", "drop", "twice", "cut", "insert"),
    at: place,
    value: fc.oneof(
      fc.constantFrom('"', "{", "}", "[", ":", ",", "\\", "\u0000", "&a", "*a", "\n", " "),
      word,
    ),
  });
  return fc.tuple(base, fc.array(damage, { maxLength: 3 })).map(([whole, damages]) => {
    let out = whole;
    for (const { kind, at, value } of damages) {
      const i = Math.floor(at * out.length);
      if (kind === "set") out = out.slice(0, i) + value + out.slice(i + 1);
      else if (kind === "drop") out = out.slice(0, i) + out.slice(i + 1);
      else if (kind === "twice") out = out.slice(0, i) + out.slice(i, i + 20) + out.slice(i);
      else if (kind === "cut") out = out.slice(0, i);
      else out = out.slice(0, i) + value + out.slice(i);
    }
    return out;
  });
}
