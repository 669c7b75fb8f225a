/**
 * Finding phrases in what a recogniser understood. Words may be misheard or missing, so a phrase is a few words in
 * order, with up to three others between them, and a word matches its near neighbours.
 */

/** Other words allowed between two words of a phrase. */
const MAX_WORDS_BETWEEN = 3;

/** Lower case words without punctuation; umlauts stay, apostrophes go (`don't` becomes `dont`). */
export function words(text: string): string[] {
  return text
    .toLowerCase()
    .replace(/['’]/g, "")
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
}

/** A phrase as written in the prompts file: words in order, alternatives with `|`. */
export type Phrase = readonly (readonly string[])[];

/** Read `"talk|speak human|person"`. */
export function parsePhrase(text: string): Phrase {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => word.split("|").flatMap((alternative) => words(alternative)));
}

/** Whether the phrase's words come in `said`, in order and near each other. */
export function contains(said: readonly string[], phrase: Phrase): boolean {
  for (let start = 0; start < said.length; start++) {
    if (matchesFrom(said, start, phrase)) return true;
  }
  return false;
}

function matchesFrom(said: readonly string[], start: number, phrase: Phrase): boolean {
  let at = start;
  for (const [index, alternatives] of phrase.entries()) {
    const last = index === 0 ? at : at + MAX_WORDS_BETWEEN;
    let found = -1;
    for (let i = at; i <= last && i < said.length; i++) {
      if (alternatives.some((word) => sounds(said[i] ?? "", word))) {
        found = i;
        break;
      }
    }
    if (found < 0) return false;
    at = found + 1;
  }
  return true;
}

/** Equal, or near enough for a word of that length: one letter from five on, two from eight on. */
export function sounds(said: string, word: string): boolean {
  if (said === word) return true;
  const allowed = word.length >= 8 ? 2 : word.length >= 5 ? 1 : 0;
  if (allowed === 0 || Math.abs(said.length - word.length) > allowed) return false;
  if (said[0] !== word[0]) return false;
  return distance(said, word) <= allowed;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** A set of phrases, with others that take the match back. */
export class PhraseSet {
  readonly #phrases: readonly Phrase[];
  readonly #unless: readonly Phrase[];

  constructor(phrases: readonly string[], unless: readonly string[] = []) {
    this.#phrases = phrases.map(parsePhrase);
    this.#unless = unless.map(parsePhrase);
  }

  /** How many phrases are in there; 0 when one of `unless` is. */
  count(said: readonly string[]): number {
    const found = this.#phrases.filter((phrase) => contains(said, phrase)).length;
    return found > 0 && this.#unless.some((phrase) => contains(said, phrase)) ? 0 : found;
  }

  matches(said: readonly string[]): boolean {
    return this.count(said) > 0;
  }
}
