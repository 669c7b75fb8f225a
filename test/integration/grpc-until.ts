/** Waits until the condition holds, looking every `everyMs`; rejects after 20 s. */
export async function until(condition: () => boolean, everyMs = 5): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not so after 20 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
