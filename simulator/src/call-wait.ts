import type { SimClock, SimTimer } from "./clock.js";

const POLL_MS = 20;

/**
 * Resolves when `predicate` holds; looked at now, whenever something calls the function put into `waiters`,
 * and every 20 ms. Rejects with `explain()` after `timeoutMs`, or with what the predicate throws.
 */
export function waitForCondition(
  clock: SimClock,
  waiters: Set<() => void>,
  predicate: () => boolean,
  options: { readonly timeoutMs: number; readonly explain: () => string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: SimTimer | undefined;
    const endMs = clock.now() + options.timeoutMs;
    const finish = (settle: () => void) => {
      waiters.delete(check);
      if (timer !== undefined) clock.clearTimeout(timer);
      settle();
    };
    const check = () => {
      try {
        if (predicate()) finish(resolve);
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const poll = () => {
      timer = undefined;
      check();
      if (!waiters.has(check)) return;
      if (clock.now() >= endMs)
        finish(() => reject(new Error(`${options.explain()} (waited ${options.timeoutMs} ms)`)));
      else timer = clock.setTimeout(poll, POLL_MS);
    };
    waiters.add(check);
    poll();
  });
}
