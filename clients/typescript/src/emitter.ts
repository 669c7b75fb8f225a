/** Typed listeners. One that throws is reported, the others are still called. */
// biome-ignore lint/suspicious/noExplicitAny: listeners of any signature
export class Emitter<L extends { [K in keyof L]: (...args: any[]) => void }> {
  private readonly listeners = new Map<keyof L, Set<L[keyof L]>>();

  constructor(private readonly onError: (error: unknown) => void) {}

  /** Listens; answers how to stop. */
  on<K extends keyof L>(name: K, listener: L[K]): () => void {
    let set = this.listeners.get(name);
    if (!set) {
      set = new Set();
      this.listeners.set(name, set);
    }
    set.add(listener);
    return () => {
      set.delete(listener);
    };
  }

  emit<K extends keyof L>(name: K, ...args: Parameters<L[K]>): void {
    const set = this.listeners.get(name);
    if (!set) return;
    for (const listener of [...set]) {
      try {
        // An async listener is a listener too.
        const result: unknown = listener(...args);
        if (result instanceof Promise) result.catch(this.onError);
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
