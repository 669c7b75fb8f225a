import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Something that must not be found. */
export interface Needle {
  /** What it is, for the report; the thing itself is not printed. */
  readonly name: string;
  readonly text: string;
}

/** Where something was found. */
export interface Leak {
  readonly needle: string;
  readonly where: string;
}

/** All files below a folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The forms in which a text may stand in bytes: as it is, as UTF-16, in base64 at each of the three places, URL-encoded. */
function formsOf(text: string): Buffer[] {
  const plain = Buffer.from(text, "utf8");
  const base64 = [0, 1, 2].map((pad) => {
    const padded = Buffer.concat([Buffer.alloc(pad, 32), plain]).toString("base64");
    // Without the characters that the neighbours have a part in.
    return padded.slice(pad === 0 ? 0 : pad + 1, Math.floor(((plain.length + pad) * 8) / 6));
  });
  const encoded = encodeURIComponent(text);
  return [
    plain,
    Buffer.from(text, "utf16le"),
    ...base64.map((form) => Buffer.from(form)),
    Buffer.from(encoded),
  ];
}

/** Looks for each needle, in each form, in each named piece of bytes. */
export function leaksIn(
  pieces: readonly { readonly where: string; readonly bytes: Uint8Array }[],
  needles: readonly Needle[],
): Leak[] {
  const sought = needles.map(({ name, text }) => ({ name, forms: formsOf(text) }));
  return pieces.flatMap(({ where, bytes }) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return sought
      .filter(({ forms }) => forms.some((form) => buffer.includes(form)))
      .map(({ name }) => ({ needle: name, where }));
  });
}

/** Looks into every file below a folder. */
export async function leaksBelow(folder: string, needles: readonly Needle[]): Promise<Leak[]> {
  const files = await filesBelow(folder);
  const pieces = await Promise.all(
    files.map(async (file) => ({ where: file.slice(folder.length), bytes: await readFile(file) })),
  );
  return leaksIn(pieces, needles);
}
