import { configJsonSchema } from "../../gateway/src/config/load-config.js";
import { CONFIG_TEXTS } from "./configuration-texts.js";
import { table } from "./proto-comments.js";

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

interface Key {
  readonly path: string;
  readonly schema: Schema;
}

/** Every key of the file: from the schema that checks it, with a text for each. Throws when one has none, or is no more. */
export function configurationKeys(): string {
  const keys = keysOf("", configJsonSchema() as Schema);
  const missing = keys.filter((key) => CONFIG_TEXTS[key.path] === undefined).map((key) => key.path);
  const stale = Object.keys(CONFIG_TEXTS).filter((path) => !keys.some((key) => key.path === path));
  if (missing.length > 0) throw new Error(`configuration keys without a text: ${missing.join(", ")}`);
  if (stale.length > 0) throw new Error(`texts of keys that there are not: ${stale.join(", ")}`);
  const sections = new Map<string, Key[]>();
  for (const key of keys) {
    const [first = ""] = key.path.split(/[.[]/);
    sections.set(first, [...(sections.get(first) ?? []), key]);
  }
  return [...sections].map(([name, list]) => `### ${name}\n\n${rowsOf(list)}`).join("\n\n");
}

function rowsOf(keys: readonly Key[]): string {
  const rows = keys.map(({ path, schema }) => [
    `\`${path}\``,
    valuesOf(schema),
    unitOf(path),
    defaultOf(path, schema),
    CONFIG_TEXTS[path] ?? "",
  ]);
  return table(["key", "values", "unit", "default", "meaning"], rows);
}

function keysOf(prefix: string, schema: Schema): Key[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    if (child.properties) return keysOf(path, child);
    if (child.items?.properties) return keysOf(`${path}[]`, child.items);
    return [{ path, schema: child }];
  });
}

function valuesOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.minimum !== undefined) return `${number(schema.minimum)} to ${number(schema.maximum)}`;
  if (schema.type === "array") return "list";
  if (schema.type === "boolean") return "`true`, `false`";
  if (schema.type === "object") return "section";
  return "text";
}

function unitOf(path: string): string {
  if (path.endsWith("_ms")) return "ms";
  if (path.endsWith("_seconds")) return "s";
  if (path.endsWith("_days")) return "days";
  if (path.endsWith("_bytes")) return "bytes";
  if (path.endsWith("_hz")) return "Hz";
  return "";
}

/** Keys without a default that must be there where their section is. */
const REQUIRED =
  /^(?:gateway\.grpc\.keys\[\]\.name|gateway\.grpc\.tls\.(?:cert|key)_file|connectors\[\]\.(?:name|kind)|routes\[\]\.hours\.(?:timezone|open)|pools\[\]\.name|webhooks\[\]\.(?:name|url)|auth\.issuers\[\]\.(?:issuer|audience)|auth\.certificates\[\]\.san)$/;

function defaultOf(path: string, { default: value }: Schema): string {
  if (REQUIRED.test(path)) return "required";
  if (value === undefined) return "none";
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return value.length === 0 ? "none" : JSON.stringify(value);
  if (value === "") return "none";
  return typeof value === "object" ? "none" : `\`${value}\``;
}

function number(value: number | undefined): string {
  return value === undefined ? "" : value.toLocaleString("en-US");
}
