import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Lets the heap grow by so many percent of what a full collection left before the next one; 0: as V8 decides. For the
 * whole process. Makes a full collection now, from which V8 counts; best when all is loaded and no call is up.
 *
 * The memory of every buffer that a socket fills counts as growth until a young collection has freed it. Of a heap as
 * small as a gateway's, 40 MB, V8 allows some 8 MB of growth, and 300 calls fill more than that between two young
 * collections: without this V8 collected everything up to eight times a second, for a fifth of the CPU time.
 */
export function setHeapGrowth(
  percent: number,
  setFlags: (flags: string) => void = setFlagsFromString,
  collect: () => void = collectAll,
): void {
  if (percent === 0) return;
  setFlags(`--heap-growing-percent=${percent}`);
  collect();
}

/**
 * Where a gateway has no second core for itself, its garbage is collected in its own thread: the marking before a full collection
 * in steps of about a millisecond between other work, young garbage at once. By default V8 marks in four threads beside it,
 * which on one core leave it a fifth: with 600 calls that was a pause of 60 to 100 ms. And it shares a young collection
 * among threads and waits for all of them, which on one core made 3 ms of 1 ms. `gateways` share the cores that this
 * process may use.
 */
export function collectAlone(
  gateways: number,
  cores: number = availableParallelism(),
  setFlags: (flags: string) => void = setFlagsFromString,
): void {
  if (cores >= 2 * gateways) return;
  setFlags("--no-concurrent-marking");
  setFlags("--no-parallel-scavenge");
}

/** A full collection, now: some 30 to 70 ms in which nothing else happens. */
export function collectAll(): void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  if (typeof gc === "function") gc();
}
