import { signal } from "@preact/signals";

/** A Timestamp of the contract in ms; 0 when unset. */
export function toMs(time: { seconds: number; nanos: number } | undefined): number {
  return time ? time.seconds * 1_000 + time.nanos / 1e6 : 0;
}

/** The time, once a second: for clocks that run in the page. */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 1_000);
