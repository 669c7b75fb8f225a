import { SpeechError } from "../speech/ports.js";

/** The kind of an error for a log, with nothing in it that was said: provider and reason of a SpeechError, else its class. */
export function nameOf(error: unknown): string {
  if (error instanceof SpeechError) return `${error.provider} ${error.reason}`;
  return error instanceof Error ? error.name : "unknown";
}

/** Wait for `promise`, at most `ms` milliseconds. Never rejects; a failure counts as done. */
export async function within(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise.catch(() => {}), new Promise((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
