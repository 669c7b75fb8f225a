/** Turns a value that is no plain JSON into one; undefined when it is not its kind. */
export type PackHook = (value: object) => Record<string, unknown> | undefined;
/** The way back, from an object that may have been packed. */
export type UnpackHook = (value: Record<string, unknown>) => unknown;

/**
 * JSON of a value with dates: a Date becomes {$date: ms}; keys of data that begin with $ get one more, so that nothing
 * in the data can be taken for a tag. `hook` packs further classes. Throws for what JSON cannot carry (bigint, cycles).
 */
export function stringifyTagged(value: unknown, hook?: PackHook): string {
  return JSON.stringify(pack(value, hook));
}

/** The value of such a text. Keys like __proto__ become plain own properties. Throws SyntaxError. */
export function parseTagged(text: string, hook?: UnpackHook): unknown {
  return unpack(JSON.parse(text), hook);
}

/** True for objects that are no arrays. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pack(value: unknown, hook?: PackHook): unknown {
  if (value instanceof Date) return { $date: value.getTime() };
  if (Array.isArray(value)) return value.map((item) => pack(item, hook));
  if (!isObject(value)) return value;
  const packed = hook?.(value);
  if (packed) return packed;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([key, v]) => [key.startsWith("$") ? `$${key}` : key, pack(v, hook)]),
  );
}

function unpack(value: unknown, hook?: UnpackHook): unknown {
  if (Array.isArray(value)) return value.map((item) => unpack(item, hook));
  if (!isObject(value)) return value;
  if (typeof value.$date === "number") return new Date(value.$date);
  const known = hook?.(value);
  if (known !== undefined) return known;
  return Object.fromEntries(
    Object.entries(value).map(([key, v]) => [key.startsWith("$$") ? key.slice(1) : key, unpack(v, hook)]),
  );
}
