/** Runs jobs one after the other per key, jobs of different keys at the same time. */
export class KeyedQueue {
  private readonly tails = new Map<string, Promise<void>>();

  /** Runs the job after those given before with the same key; answers as the job does. */
  run<T>(key: string, job: () => Promise<T>): Promise<T> {
    const result = (this.tails.get(key) ?? Promise.resolve()).then(job);
    const tail = result
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.tails.get(key) === tail) this.tails.delete(key);
      });
    this.tails.set(key, tail);
    return result;
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    while (this.tails.size > 0) await Promise.all(this.tails.values());
  }
}
