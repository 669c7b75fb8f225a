import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { freezeProcess } from "./freeze.js";
import { until } from "./until.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** A child process and what it printed. */
export interface Child {
  readonly pid: number;
  /** Everything printed to standard output and standard error. */
  readonly stdout: string;
  readonly stderr: string;
  /** The JSON lines of standard output. */
  readonly lines: readonly Record<string, unknown>[];
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly running: boolean;
  /** The first JSON line for which `matches` holds. Fails when the process ended without. */
  line(
    matches: (line: Record<string, unknown>) => boolean,
    what: string,
    timeoutMs?: number,
  ): Promise<Record<string, unknown>>;
  signal(signal: NodeJS.Signals): void;
  /** Ends it for certain and waits for that. */
  end(): Promise<void>;
}

/** Starts `node --import tsx FILE ARGS` from the folder of the project; the environment is extended by `env`. */
export function startProgram(
  file: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Child {
  return startCommand(process.execPath, ["--import", "tsx", file, ...args], { env });
}

/** Starts any program from the folder of the project. `onLine` is told each JSON line as soon as it was read. */
export function startCommand(
  program: string,
  args: readonly string[],
  options: {
    readonly env?: Record<string, string>;
    readonly onLine?: (line: Record<string, unknown>) => void;
  } = {},
): Child {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const child = spawn(program, args, {
    cwd: root,
    env: { ...inherited, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return follow(child, options.onLine ?? (() => {}));
}

function follow(child: ChildProcess, onLine: (line: Record<string, unknown>) => void): Child {
  const { pid } = child;
  if (pid === undefined) throw new Error("the process did not start");
  let stdout = "";
  let stderr = "";
  let rest = "";
  let running = true;
  const lines: Record<string, unknown>[] = [];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const parsed = parse(part);
      if (!parsed) continue;
      lines.push(parsed);
      onLine(parsed);
    }
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("close", (code, signal) => {
      running = false;
      resolve({ code, signal });
    });
  });
  return {
    pid,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    get running() {
      return running;
    },
    lines,
    exit,
    line: (matches, what, timeoutMs = 20_000) =>
      until(
        () => {
          const found = lines.find(matches);
          if (!found && !running) throw new Error(`ended before ${what}:\n${stdout}\n${stderr}`);
          return found;
        },
        what,
        timeoutMs,
      ),
    signal: (signal) => (signal === "SIGSTOP" ? freezeProcess(pid) : void process.kill(pid, signal)),
    async end() {
      if (!running) return;
      // A stopped process does not see SIGTERM; SIGKILL ends it in any case.
      process.kill(pid, "SIGKILL");
      await exit;
    },
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
