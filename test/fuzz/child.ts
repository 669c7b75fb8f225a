/** One process of the fuzzer: runs the targets it is told and reports to its parent. Started by parent.ts alone. */
import { writeSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { catchStrays, check, takeStray } from "./check.js";
import type { ChildMessage, Job } from "./parent.js";
import { SOCKETS } from "./sockets/names.js";
import type { SocketStage } from "./sockets/stage.js";
import { describe, type Target } from "./target.js";
import { TARGETS } from "./targets/index.js";

/** Inputs between two signs of life; a finding replays at most these. */
const CHUNK = 100;
/** What the heap may have grown by between the first fifth of a target's inputs and its end, MiB. */
const MAX_GROWTH_MIB = 48;

function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve, reject) =>
    process.send?.(message, undefined, undefined, (error) => (error ? reject(error) : resolve())),
  );
}

/** MiB in use when everything unreachable is gone. */
function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1_048_576;
}

async function runTarget(target: Target, { inputs, seed, path, trace }: Job): Promise<void> {
  let done = 0;
  let base = 0;
  const onInput = trace ? (input: unknown) => void writeSync(2, `${describe(input, 2_000)}\n`) : undefined;
  for (let chunk = 0; done < inputs; chunk++) {
    const size = Math.min(CHUNK, inputs - done);
    const chunkSeed = (seed + chunk * 7_919) | 0;
    await tell({ type: "begin", target: target.name, seed: chunkSeed, size });
    const checked = await check(target, {
      seed: chunkSeed,
      inputs: size,
      ...(path !== undefined && { path }),
      ...(onInput && { onInput }),
    });
    done += path === undefined ? size : inputs;
    const { finding } = checked;
    await tell({ type: "ran", target: target.name, inputs: finding ? checked.inputs : size });
    if (finding) {
      await tell({ type: "finding", finding });
      return;
    }
    if (base === 0 && done >= inputs / 5) base = heapMiB();
  }
  const error = takeStray();
  const growth = heapMiB() - base;
  const why = error
    ? String(error)
    : growth > MAX_GROWTH_MIB
      ? `the heap grew by ${Math.round(growth)} MiB over ${inputs} inputs`
      : undefined;
  if (why)
    await tell({ type: "finding", finding: { target: target.name, why, input: "all", seed, path: "" } });
}

/** Inputs over sockets between two looks at the witness. */
const SOCKET_CHUNK = 500;
/** Standing still for longer is not the inputs' doing: none takes that long, or it is too slow by itself. */
const STALL_MS = 300;
let stage: SocketStage | undefined;

/** Made for the first of them: it takes a second, and most runs need none. */
async function runSockets(name: (typeof SOCKETS)[number]["name"], { inputs, seed }: Job): Promise<void> {
  stage ??= await (await import("./sockets/stage.js")).SocketStage.set((pid) =>
    tell({ type: "started", pid }),
  );
  for (let done = 0; done < inputs; ) {
    const size = Math.min(SOCKET_CHUNK, inputs - done);
    const chunkSeed = (seed + done * 7_919) | 0;
    await tell({ type: "begin", target: name, seed: chunkSeed, size });
    let failed = await runChunk(stage, name, size, chunkSeed);
    // The machine may have kept this process from running, which the other call hears: only what comes again counts.
    if (failed.stalled && failed.error !== undefined) failed = await runChunk(stage, name, size, chunkSeed);
    done += size;
    await tell({ type: "ran", target: name, inputs: size });
    const { error } = failed;
    if (error === undefined) continue;
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    await tell({
      type: "finding",
      finding: { target: name, why, input: `one of ${size}`, seed: chunkSeed, path: "" },
    });
    return;
  }
}

/** Whether it held, and whether this process stood still meanwhile. */
async function runChunk(
  on: SocketStage,
  name: (typeof SOCKETS)[number]["name"],
  size: number,
  seed: number,
): Promise<{ readonly error: unknown; readonly stalled: boolean }> {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  let error: unknown;
  try {
    await on.run(name, size, seed);
    error = takeStray();
  } catch (thrown) {
    error = thrown;
  }
  delay.disable();
  return { error, stalled: delay.max > STALL_MS * 1e6 };
}

catchStrays();
process.once("disconnect", () => process.exit(1));
process.on("message", async (jobs: readonly Job[]) => {
  try {
    const isSocket = (name: string) => SOCKETS.some((one) => one.name === name);
    if (jobs.some((job) => isSocket(job.target))) await import("./sockets/stage.js");
    const planted = (globalThis as { callweaveFuzzPlanted?: boolean }).callweaveFuzzPlanted === true;
    if (process.env.CALLWEAVE_FUZZ_DEFECT && !planted)
      throw new Error("the defect is in no module that was loaded");
    for (const job of jobs) {
      const socket = SOCKETS.find(({ name }) => name === job.target);
      if (socket) {
        await runSockets(socket.name, job);
        continue;
      }
      const target = TARGETS.find(({ name }) => name === job.target);
      if (!target) throw new Error(`no target ${job.target}`);
      await runTarget(target, job);
    }
    await stage?.strike();
    await tell({ type: "done" });
  } catch (error) {
    await tell({
      type: "broken",
      why: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
  process.exit();
});
void tell({ type: "ready" });
