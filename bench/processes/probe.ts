/** Loaded into a process under test: tells about its event loop and its memory when asked. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectAll } from "../../gateway/src/ops/heap-growth.js";
import { answer, type Question } from "../ipc.js";

/** What the probe says. */
export interface ProbeReading {
  /** How late the event loop came round, beyond the 10 ms between two looks, since `reset`. ms. */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly heapUsedMb: number;
  readonly externalMb: number;
}

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

const MB = 1024 * 1024;
const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);

process.on("message", (question: Question) => {
  void answer(
    {
      reset: () => delay.reset(),
      /** Heap in use after a collection of garbage, in MB. */
      live: (): number => {
        collectAll();
        return process.memoryUsage().heapUsed / MB;
      },
      read: (): ProbeReading => {
        const memory = process.memoryUsage();
        return {
          loopDelayMs: { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) },
          heapUsedMb: memory.heapUsed / MB,
          externalMb: memory.external / MB,
        };
      },
    },
    question,
  );
});
process.on("disconnect", () => process.exit(0));
(process.channel as { unref?(): void } | undefined)?.unref?.();
