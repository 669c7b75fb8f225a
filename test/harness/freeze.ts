import { readdirSync, readFileSync } from "node:fs";

const WAIT_MS = 2000;

/**
 * Sends SIGSTOP and returns when every thread of the process has stopped: the signal alone leaves a thread that runs on
 * another core time to answer what was sent after it. Where there is no `/proc` it returns at once.
 * @throws Error when a thread still runs after 2 s
 */
export function freezeProcess(pid: number): void {
  process.kill(pid, "SIGSTOP");
  const endMs = performance.now() + WAIT_MS;
  while (running(pid)) {
    if (performance.now() > endMs) throw new Error(`process ${pid} did not stop within ${WAIT_MS} ms`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

/** Whether any thread of the process is neither stopped nor gone. */
function running(pid: number): boolean {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return false;
  }
  return threads.some((thread) => {
    try {
      // "pid (name) STATE …"; the name may hold anything, so the state is looked for behind the last parenthesis.
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      return !"TtZX".includes(stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3));
    } catch {
      return false;
    }
  });
}
