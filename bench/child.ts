import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Question, Reply } from "./ipc.js";

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Ticks a second of the times in /proc; 100 on every Linux there is. */
const TICKS_PER_SECOND = 100;
/** Lines of output kept to explain a failure. */
const KEPT_LINES = 20;

let pinning: boolean | undefined;

/** Whether processes can be bound to a core here: taskset is there and there are two cores. */
export function canPin(): boolean {
  pinning ??= spawnSync("taskset", ["-c", "1", "true"]).status === 0;
  return pinning;
}

/** How a process is started. */
export interface ChildOptions {
  /** In errors. */
  readonly name: string;
  /** Arguments of node after the loader, or of `program`. */
  readonly args: readonly string[];
  /**
   * A program other than node. It speaks lines of JSON: questions on its standard input, answers on its standard output.
   * Default: node, whose processes are asked by its own channel.
   */
  readonly program?: string;
  /** Default: the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** The core it is bound to, where that is possible. */
  readonly core: number;
  /** Node without the loader of TypeScript: the program is JavaScript. */
  readonly bare?: boolean;
  /** Arguments of node itself, before the program. */
  readonly nodeArgs?: readonly string[];
  /** Reads the output line by line; what it returns says that the process is ready. Default: the process says so itself. */
  readonly readyLine?: (line: string) => unknown;
}

/** A process of the bench. */
export class Child<Ready> {
  readonly ready: Promise<Ready>;
  private readonly name: string;
  private readonly process: ChildProcess;
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(e: Error): void }>();
  private readonly lastLines: string[] = [];
  private readonly byLines: boolean;
  private nextId = 1;
  private failure: Error | undefined;

  constructor(options: ChildOptions) {
    this.name = options.name;
    const loader = options.bare ? [] : ["--import", "tsx"];
    const node = [process.execPath, ...loader, ...(options.nodeArgs ?? [])];
    const whole = [...(options.program ? [options.program] : node), ...options.args];
    const [program = "", ...args] = canPin() ? ["taskset", "-c", String(options.core), ...whole] : whole;
    this.byLines = options.program !== undefined;
    this.process = spawn(program, args, {
      cwd: ROOT,
      stdio: this.byLines ? ["pipe", "pipe", "pipe"] : ["ignore", "pipe", "pipe", "ipc"],
      ...(options.env ? { env: options.env } : {}),
    });
    // What it was not asked any more because it ended is told by its end.
    this.process.stdin?.on("error", () => {});
    this.ready = new Promise((resolve, reject) => {
      const heard = (reply: Reply) => {
        if ("ready" in reply) {
          if (!options.readyLine) resolve(reply.ready as Ready);
        } else this.answered(reply);
      };
      this.process.on("message", heard);
      this.readLines((line) => {
        if (this.byLines && line.startsWith("{")) heard(JSON.parse(line) as Reply);
        const value = options.readyLine?.(line);
        if (value !== undefined) resolve(value as Ready);
      });
      const failed = (why: string) => {
        const error = new Error(`${options.name} ${why}\n${this.lastLines.join("\n")}`);
        this.failure = error;
        reject(error);
        for (const question of this.waiting.values()) question.reject(error);
        this.waiting.clear();
      };
      this.process.on("error", (error) => failed(`could not be started: ${error.message}`));
      this.process.on("exit", (code, signal) => failed(`ended with ${signal ?? code}`));
    });
    this.ready.catch(() => {});
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Asks; rejects with the error of the process, or when it ends. */
  ask<T>(command: string, argument: unknown = null): Promise<T> {
    const id = this.nextId++;
    return new Promise<T>((resolve, reject) => {
      if (this.failure) {
        reject(this.failure);
        return;
      }
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      const question: Question = { id, command, argument };
      if (this.byLines) this.process.stdin?.write(`${JSON.stringify(question)}\n`);
      else this.process.send(question);
    });
  }

  /** CPU seconds of all its threads so far, user and system. */
  cpuSeconds(): number {
    return cpuSecondsIn(this.proc("stat"));
  }

  /** Resident memory in MB. */
  residentMb(): number {
    const line = /VmRSS:\s+(\d+) kB/.exec(this.proc("status"));
    return Number(line?.[1] ?? 0) / 1024;
  }

  /** Ends it at once. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.failure) return;
    const gone = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await gone;
  }

  /** Lets it end by itself, so that it can write its profile: it does when its main process is gone. At most 10 s. */
  async leave(): Promise<void> {
    if (this.failure) return;
    const gone = once(this.process, "exit");
    if (this.byLines) this.process.stdin?.end();
    else this.process.disconnect();
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    await gone;
    clearTimeout(timer);
  }

  /** Throws why the process ended, if it did. */
  private proc(file: string): string {
    if (this.failure) throw this.failure;
    try {
      return readFileSync(`/proc/${this.pid}/${file}`, "utf8");
    } catch {
      throw new Error(`${this.name} has just ended\n${this.lastLines.join("\n")}`);
    }
  }

  private answered(reply: Extract<Reply, { id: number }>): void {
    const question = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (reply.error === undefined) question?.resolve(reply.result);
    else question?.reject(new Error(`${this.name}: ${reply.error}`));
  }

  private readLines(each: (line: string) => void): void {
    for (const stream of [this.process.stdout, this.process.stderr]) {
      let rest = "";
      stream?.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          this.lastLines.push(line);
          if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
          each(line);
        }
      });
    }
  }
}

function cpuSecondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** CPU seconds so far of a process that is none of ours, such as a server. */
export function cpuSecondsOf(pid: number): number {
  return cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** Binds all threads of a process to a core, where that is possible. */
export function pin(pid: number, core: number): void {
  if (canPin()) spawnSync("taskset", ["-a", "-p", "-c", String(core), String(pid)]);
}

/** CPU seconds of the whole machine so far. `stolen`: taken by other machines of the same host. */
export function machineCpu(): { readonly busySeconds: number; readonly stolenSeconds: number } {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = line
    .split(/\s+/)
    .map((field) => Number(field));
  return {
    busySeconds: (user + nice + system + irq + softIrq) / TICKS_PER_SECOND,
    stolenSeconds: steal / TICKS_PER_SECOND,
  };
}
