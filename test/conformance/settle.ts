/** Looking may mean decoding all that was heard: not too often. */
const EVERY_MS = 50;

/** What is wrong, undefined when nothing is. */
export type Wrong = string | undefined;

/** Waits until `look` finds nothing wrong; after `withinMs` fails with what it found last. */
export async function settle(look: () => Wrong | Promise<Wrong>, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const wrong = await look();
    if (wrong === undefined) return;
    if (performance.now() > endMs) throw new Error(`${wrong} (after ${withinMs} ms)`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/** Fails when something is wrong. */
export function check(wrong: Wrong): void {
  if (wrong !== undefined) throw new Error(wrong);
}
