import fc from "fast-check";
import { DEFAULT_BOUND_MS, describe, type Target } from "./target.js";

/** Something that did not hold. */
export interface Finding {
  readonly target: string;
  /** What did not hold. */
  readonly why: string;
  /** The smallest input that shows it, as text. */
  readonly input: string;
  /** With the path: what `--replay` takes. */
  readonly seed: number;
  readonly path: string;
}

/** How a run of one target went. */
export interface Checked {
  readonly inputs: number;
  readonly finding?: Finding;
}

/** How a target is run. */
export interface CheckOptions {
  readonly seed: number;
  readonly inputs: number;
  /** Only this input of the seed, as fast-check names it. */
  readonly path?: string;
  /** Told each input before it runs; what a process was at when it hung. */
  readonly onInput?: (input: unknown) => void;
  /** Time that shrinking may take, in ms. Default 20,000. */
  readonly shrinkMs?: number;
}

/** An input that takes longer than its bound. */
class TooSlow extends Error {
  override readonly name = "TooSlow";
}

let stray: unknown;
let strayed = false;

/** Makes what nobody caught a finding of the input that runs; for processes that only fuzz. */
export function catchStrays(): void {
  const keep = (kind: string) => (error: unknown) => {
    if (!strayed) stray = new Error(`${kind}: ${error instanceof Error ? error.stack : String(error)}`);
    strayed = true;
  };
  process.on("uncaughtException", keep("uncaught exception"));
  process.on("unhandledRejection", keep("unhandled rejection"));
}

/** What nobody caught since the last question. */
export function takeStray(): unknown {
  const error = strayed ? stray : undefined;
  strayed = false;
  stray = undefined;
  return error;
}

/** Runs inputs until one does not hold, and shrinks that. */
export async function check(target: Target, options: CheckOptions): Promise<Checked> {
  const { seed, inputs, path, onInput, shrinkMs = 20_000 } = options;
  const run = timed(target, onInput);
  let failedAtMs = 0;
  const property = fc.asyncProperty(target.inputs, async (input) => {
    // Shrinking stops by letting everything pass.
    if (failedAtMs > 0 && performance.now() - failedAtMs > shrinkMs) return;
    try {
      await run(input);
    } catch (error) {
      failedAtMs ||= performance.now();
      throw error;
    }
  });
  const details = await fc.check(property, { seed, numRuns: inputs, ...(path !== undefined && { path }) });
  if (!details.failed) return { inputs: details.numRuns };
  const error = details.errorInstance;
  return {
    inputs: details.numRuns,
    finding: {
      target: target.name,
      why: error instanceof Error ? reasonOf(error) : String(error),
      input: describe(details.counterexample?.[0], 2_000),
      seed: details.seed,
      path: details.counterexamplePath ?? "0",
    },
  };
}

function reasonOf(error: Error): string {
  // The line of the product where it broke says more than the message alone.
  const at = /\n\s+at .*?(gateway\/src\/[^)\s]+)/.exec(error.stack ?? "")?.[1];
  return `${error.name}: ${error.message.slice(0, 1_000)}${at ? ` (${at})` : ""}`;
}

/** A target whose inputs also have to be done in time, with nothing thrown behind its back. */
function timed(target: Target, onInput: ((input: unknown) => void) | undefined) {
  const boundMs = target.boundMs ?? DEFAULT_BOUND_MS;
  const once = async (input: unknown): Promise<number> => {
    const startMs = performance.now();
    const before = process.cpuUsage();
    const running = target.run(input);
    // A synchronous target has done all its work here; what follows is not its time.
    if (running === undefined) {
      const { user, system } = process.cpuUsage(before);
      // Of a busy machine the process gets only a part: what it worked counts, not what it waited for the others.
      return Math.min(performance.now() - startMs, (user + system) / 1_000);
    }
    await running;
    const tookMs = performance.now() - startMs;
    const error = takeStray();
    if (error) throw error;
    return tookMs;
  };
  return async (input: unknown) => {
    onInput?.(input);
    let fastestMs = await once(input);
    // The machine may have been busy: only what is slow every time is slow.
    for (let again = 0; again < 2 && fastestMs > boundMs; again++)
      fastestMs = Math.min(fastestMs, await once(input));
    if (fastestMs > boundMs)
      throw new TooSlow(`took more than ${boundMs} ms three times, ${Math.round(fastestMs)} ms at best`);
  };
}
