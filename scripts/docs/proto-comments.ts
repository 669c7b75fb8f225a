import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A named thing of a .proto file with the comment above it, line by line. */
export interface Commented {
  readonly name: string;
  readonly lines: readonly string[];
}

const folder = fileURLToPath(new URL("../../proto/callweave/v1/", import.meta.url));

/** The values of an enum in their order, without the prefix and without the zero value. */
export function enumValues(file: string, name: string): Commented[] {
  const prefix = `${name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}_`;
  return commented(block(file, `enum ${name} {`), /^([A-Z][A-Z0-9_]*) = \d+;/)
    .map(({ name: value, lines }) => ({ name: value.slice(prefix.length), lines }))
    .filter((value) => value.name !== "UNSPECIFIED");
}

/** The RPCs of a service in their order. */
export function rpcs(file: string, service: string): Commented[] {
  return commented(block(file, `service ${service} {`), /^rpc (\w+)\(/);
}

function block(file: string, head: string): string[] {
  const lines = readFileSync(`${folder}${file}`, "utf8").split("\n");
  const begin = lines.indexOf(head);
  if (begin < 0) throw new Error(`${file}: no ${head}`);
  return lines.slice(begin + 1, lines.indexOf("}", begin));
}

function commented(lines: readonly string[], what: RegExp): Commented[] {
  const found: Commented[] = [];
  let comment: string[] = [];
  for (const raw of lines) {
    const line = raw.trim();
    const text = /^\/\/ ?(.*)$/.exec(line)?.[1];
    if (text !== undefined) {
      comment.push(text);
      continue;
    }
    const name = what.exec(line)?.[1];
    if (name !== undefined) found.push({ name, lines: comment });
    comment = [];
  }
  return found;
}

/** A text as one cell of a table. */
export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
