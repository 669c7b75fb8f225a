/** An entry of a LinkedQueue; in one queue at a time, which alone sets `next`. */
export interface Linked<T> {
  next: T | undefined;
}

/** First in, first out. Its entries link themselves, so that neither more nor fewer of them need memory of the queue. */
export class LinkedQueue<T extends Linked<T>> {
  private head: T | undefined;
  private tail: T | undefined;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The oldest, which stays. */
  get first(): T | undefined {
    return this.head;
  }

  /** The newest, which stays. */
  get last(): T | undefined {
    return this.tail;
  }

  push(entry: T): void {
    if (this.tail) this.tail.next = entry;
    else this.head = entry;
    this.tail = entry;
    this.count++;
  }

  /** Takes the oldest out. */
  shift(): T | undefined {
    const entry = this.head;
    if (!entry) return undefined;
    this.head = entry.next;
    if (!this.head) this.tail = undefined;
    entry.next = undefined;
    this.count--;
    return entry;
  }

  /** Forgets all entries, without a look at them. */
  clear(): void {
    this.head = undefined;
    this.tail = undefined;
    this.count = 0;
  }
}
