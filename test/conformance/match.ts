/** What a wanted value may also be: bounds of a number, or a text to be contained. */
interface Bounds {
  readonly least?: number;
  readonly most?: number;
  readonly contains?: string;
  readonly isNot?: unknown;
}

const BOUNDS = ["least", "most", "contains", "isNot"];

/**
 * What is wrong with `actual`: every field of `wanted` has to be there, others may. Lists have to be as long. `null` is
 * wanted where nothing may be. `{least, most}` bound a number, `{contains}` looks into a text, `{isNot}` wants another.
 */
export function mismatch(actual: unknown, wanted: unknown, path = ""): string | undefined {
  const at = path === "" ? "it" : path;
  if (wanted === null) {
    return actual === undefined || actual === null ? undefined : `${at} is ${shown(actual)}, not absent`;
  }
  if (typeof wanted !== "object") {
    return actual === wanted ? undefined : `${at} is ${shown(actual)}, not ${shown(wanted)}`;
  }
  if (Array.isArray(wanted)) {
    if (!Array.isArray(actual) || actual.length !== wanted.length)
      return `${at} is ${shown(actual)}, not ${shown(wanted)}`;
    return first(wanted.map((entry, index) => mismatch(actual[index], entry, `${path}[${index}]`)));
  }
  const keys = Object.keys(wanted);
  if (keys.length > 0 && keys.every((key) => BOUNDS.includes(key))) return outside(actual, wanted, at);
  if (actual === undefined || actual === null || typeof actual !== "object")
    return `${at} is ${shown(actual)}, not ${shown(wanted)}`;
  const fields = Object.entries(wanted).map(([key, value]) =>
    mismatch((actual as Record<string, unknown>)[key], value, path === "" ? key : `${path}.${key}`),
  );
  return first(fields);
}

function outside(actual: unknown, { least, most, contains, isNot }: Bounds, at: string): string | undefined {
  const value = Number(actual);
  if (least !== undefined && !(value >= least)) return `${at} is ${shown(actual)}, less than ${least}`;
  if (most !== undefined && !(value <= most)) return `${at} is ${shown(actual)}, more than ${most}`;
  if (contains !== undefined && !String(actual).includes(contains))
    return `${at} is ${shown(actual)}, without "${contains}"`;
  return isNot !== undefined && actual === isNot ? `${at} is ${shown(actual)}` : undefined;
}

function first(wrongs: readonly (string | undefined)[]): string | undefined {
  return wrongs.find((wrong) => wrong !== undefined);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
