/** A part of a turn, usually a sentence, and how long its audio is. */
export interface SpokenPiece {
  readonly text: string;
  /** Audio queued for it, ms. */
  ms: number;
  /** False while more audio of it is still to come. */
  complete: boolean;
}

/**
 * The words of a turn that were heard, when the first `heardMs` of its audio were: whole pieces, then the words of the
 * piece in which it was cut off in proportion, rounded down.
 */
export function heardText(pieces: readonly SpokenPiece[], heardMs: number): string {
  const heard: string[] = [];
  let left = heardMs;
  for (const piece of pieces) {
    if (piece.complete && piece.ms <= left) {
      heard.push(piece.text);
      left -= piece.ms;
      continue;
    }
    const words = piece.text.split(/\s+/).filter(Boolean);
    // A piece still being synthesised is longer than its audio so far: by how much is guessed from a usual pace.
    const length = piece.complete ? piece.ms : Math.max(piece.ms, words.length * TYPICAL_WORD_MS);
    const count = length > 0 ? Math.floor(words.length * Math.min(1, Math.max(0, left) / length)) : 0;
    if (count > 0) heard.push(words.slice(0, count).join(" "));
    break;
  }
  return heard.join(" ");
}

const TYPICAL_WORD_MS = 350;

/**
 * Splits text that comes in pieces (from a streaming model) into sentences worth speaking, each as early as possible.
 */
export class SentenceSplitter {
  #rest = "";

  /** @param maxChars a sentence longer than this is cut at a space; default 300 */
  constructor(private readonly maxChars = 300) {}

  /** Sentences that are complete now. */
  push(text: string): string[] {
    this.#rest += text;
    const sentences: string[] = [];
    for (;;) {
      const end = this.#rest.search(/[.!?…](?=\s)|\n/);
      const cut =
        end >= 0
          ? end + 1
          : this.#rest.length > this.maxChars
            ? this.#rest.lastIndexOf(" ", this.maxChars)
            : -1;
      if (cut < 0) return sentences;
      const sentence = this.#rest.slice(0, Math.max(1, cut)).trim();
      this.#rest = this.#rest.slice(Math.max(1, cut));
      if (sentence !== "") sentences.push(sentence);
    }
  }

  /** What is left when the text is at its end. */
  end(): string[] {
    const rest = this.#rest.trim();
    this.#rest = "";
    return rest === "" ? [] : [rest];
  }
}
