import type { CallweaveError } from "./errors.js";

/** Items for one reader. Full: the reader gets what is queued and then the error. */
export class BoundedQueue<T> implements AsyncIterable<T> {
  private items: T[] = [];
  private ended = false;
  private error: CallweaveError | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly maxItems: number,
    private readonly fullError: () => CallweaveError,
    /** The reader left. */
    private readonly onReturn: () => void = () => {},
  ) {}

  push(item: T): void {
    if (this.ended) return;
    if (this.items.length >= this.maxItems) {
      this.error = this.fullError();
      this.ended = true;
    } else this.items.push(item);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T, void, undefined> {
    try {
      for (;;) {
        const items = this.items;
        this.items = [];
        yield* items;
        if (this.items.length > 0) continue;
        if (this.error) throw this.error;
        if (this.ended) return;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        this.wake = undefined;
      }
    } finally {
      this.ended = true;
      this.onReturn();
    }
  }
}
