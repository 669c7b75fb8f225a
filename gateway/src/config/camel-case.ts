type CamelKey<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelKey<Tail>>}`
  : S;

/** A type with all keys in camelCase, at every depth. */
export type CamelCased<T> = T extends readonly (infer Item)[]
  ? CamelCased<Item>[]
  : T extends object
    ? { [K in keyof T as K extends string ? CamelKey<K> : K]: CamelCased<T[K]> }
    : T;

/** A plain value with all keys in camelCase. */
export function camelCased<T>(value: T): CamelCased<T> {
  return mapKeys(value, (key) =>
    key.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase()),
  ) as CamelCased<T>;
}

/** A plain value with all keys in snake_case. */
export function snakeCased(value: unknown): unknown {
  return mapKeys(value, (key) => key.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase());
}

function mapKeys(value: unknown, rename: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => mapKeys(item, rename));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [rename(key), mapKeys(v, rename)]));
}
