import { type CST, LineCounter, Parser } from "yaml";

/** Lists and maps inside each other that a configuration may have; its own sections need fewer than ten. */
export const MAX_YAML_DEPTH = 64;

/**
 * Where a text is nested deeper than {@link MAX_YAML_DEPTH}; undefined when it is not. Without recursion: to make values of a
 * text that is nested very deep takes minutes, or more stack than there is. Never throws.
 */
export function tooDeepAt(text: string): { readonly line: number; readonly column: number } | undefined {
  const lines = new LineCounter();
  let found: number | undefined;
  // To the end, so that all lines are counted.
  for (const token of new Parser(lines.addNewLine).parse(text)) found ??= offsetBeyond(token);
  if (found === undefined) return undefined;
  const { line, col } = lines.linePos(found);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function offsetBeyond(top: CST.Token): number | undefined {
  const waiting: { readonly token: CST.Token; readonly depth: number }[] = [{ token: top, depth: 0 }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { token, depth } = next;
    if (depth > MAX_YAML_DEPTH) return token.offset;
    if (token.type === "document" && token.value) waiting.push({ token: token.value, depth });
    if (!("items" in token)) continue;
    for (const { key, value } of token.items) {
      if (value) waiting.push({ token: value, depth: depth + 1 });
      if (key) waiting.push({ token: key, depth: depth + 1 });
    }
  }
  return undefined;
}
