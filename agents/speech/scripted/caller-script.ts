import { createReadStream, watch } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/**
 * What callers will say, in order. Lines of JSON, from a file or a stream such as stdin:
 *
 *     {"at": 0, "text": "what are your opening hours"}
 *     {"at": 1, "text": "can i talk to a real person", "speaker": "+15550100"}
 *
 * `at` counts a caller's utterances from 0. A line with `speaker` is for that caller only and goes before one without.
 */
export class CallerScript {
  readonly #sentences = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #closers: Array<() => void> = [];

  /** @param maxSentences kept of all callers together; further ones are ignored. Default 10 000. */
  constructor(private readonly maxSentences = 10_000) {}

  /** A script that is complete: the same sentences for every caller. */
  static of(sentences: readonly string[]): CallerScript {
    const script = new CallerScript();
    sentences.forEach((text, at) => {
      script.add({ at, text });
    });
    return script;
  }

  /** Lines read from `stream` as they come. */
  static fromStream(stream: Readable): CallerScript {
    const script = new CallerScript();
    const lines = createInterface({ input: stream });
    lines.on("line", (line) => script.#addLine(line));
    script.#closers.push(() => lines.close());
    return script;
  }

  /** Lines of a file, read now and again whenever it changes. Resolves after the first reading. */
  static async fromFile(path: string): Promise<CallerScript> {
    const script = new CallerScript();
    const read = async () => {
      for await (const line of createInterface({ input: createReadStream(path) })) script.#addLine(line);
    };
    await read();
    const watcher = watch(path, { persistent: false }, () => void read().catch(() => {}));
    script.#closers.push(() => watcher.close());
    return script;
  }

  /** One more sentence; one already there for the same `at` and `speaker` is replaced, also when there is room for no other. */
  add(line: { readonly at: number; readonly text: string; readonly speaker?: string }): void {
    const place = `${line.speaker ?? ""}#${line.at}`;
    if (this.#sentences.size >= this.maxSentences && !this.#sentences.has(place)) return;
    this.#sentences.set(place, line.text);
    for (const wake of this.#waiting) wake();
  }

  /** Sentence `at` of `speaker`, waiting at most `waitMs` for it; undefined when it does not come. */
  async sentence(
    speaker: string,
    at: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<string | undefined> {
    const find = () => this.#sentences.get(`${speaker}#${at}`) ?? this.#sentences.get(`#${at}`);
    const known = find();
    if (known !== undefined || waitMs <= 0 || signal?.aborted) return known;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", done);
        resolve(find());
      };
      const look = () => {
        if (find() !== undefined) done();
      };
      const timer = setTimeout(done, waitMs);
      signal?.addEventListener("abort", done);
      this.#waiting.add(look);
    });
  }

  /** Stop reading. */
  close(): void {
    for (const close of this.#closers.splice(0)) close();
  }

  #addLine(line: string): void {
    if (line.trim() === "") return;
    try {
      const value = JSON.parse(line) as { at?: unknown; text?: unknown; speaker?: unknown };
      if (typeof value.at !== "number" || typeof value.text !== "string") return;
      this.add({
        at: value.at,
        text: value.text,
        ...(typeof value.speaker === "string" ? { speaker: value.speaker } : {}),
      });
    } catch {
      // not a line of a script
    }
  }
}
