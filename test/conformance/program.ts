import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { freezeProcess } from "../harness/freeze.js";
import { until } from "../harness/until.js";
import type { Command } from "./language.js";

// biome-ignore lint/suspicious/noExplicitAny: a line of another process, looked at field by field
type Line = Record<string, any>;

/** An answer of a program. */
export type Reply =
  | { readonly ok: true; readonly value: Line }
  | { readonly ok: false; readonly error: Line };

/** How long a program has to say hello, and to end. A JVM on a busy machine takes its time. */
const HELLO_MS = 60_000;
const EXIT_MS = 10_000;
const MAX_LOG = 4_000;
/** Proxies at which nobody listens: a client must not use them for loopback. */
const PROXIES = Object.fromEntries(
  ["http_proxy", "https_proxy", "all_proxy", "grpc_proxy"].flatMap((name) =>
    [name, name.toUpperCase()].map((variable) => [variable, "http://127.0.0.1:9"]),
  ),
);

/** A program in a language that plays the agent; see docs/new-language.md. */
export class Program {
  /** What it printed unasked since it was last made fresh. */
  readonly reports: Line[] = [];
  /** What it did against the protocol. */
  fault: string | undefined;
  private readonly child: ChildProcess;
  private readonly replies = new Map<number, Reply>();
  private readonly exited: Promise<void>;
  private exit: { readonly code: number | null; readonly signal: string | null } | undefined;
  private hello: Line | undefined;
  private lastId = 0;
  private log = "";

  constructor(
    /** As the scenario calls it. */
    public name: string,
    { program, args, cwd, env }: Command,
  ) {
    const { NODE_OPTIONS: _, no_proxy: __, NO_PROXY: ___, ...inherited } = process.env;
    this.child = spawn(program, args, { cwd, env: { ...inherited, ...PROXIES, ...env }, stdio: "pipe" });
    this.child.stdin?.on("error", () => {});
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log = (this.log + text).slice(-MAX_LOG);
    });
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on("line", (line) =>
      this.onLine(line),
    );
    this.exited = new Promise((resolve) => {
      this.child.once("error", (error) => {
        this.log += String(error);
        this.exit ??= { code: null, signal: "not started" };
        resolve();
      });
      this.child.once("close", (code, signal) => {
        this.exit ??= { code, signal };
        resolve();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get running(): boolean {
    return this.exit === undefined;
  }

  /** The end of what it wrote to standard error. */
  get stderr(): string {
    return this.log.trim();
  }

  /** Resolves when it said hello. */
  async ready(): Promise<void> {
    const { protocol } = await this.wait(() => this.hello, "hello", HELLO_MS);
    if (protocol !== 1) throw new Error(`the program speaks protocol ${protocol}, not 1`);
  }

  /** Sends a command; what comes back waits for the answer. */
  tell(command: Line): (withinMs: number) => Promise<Reply> {
    const id = ++this.lastId;
    this.child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    return async (withinMs) => {
      const reply = await this.wait(() => this.replies.get(id), `the answer to "${command.do}"`, withinMs);
      this.replies.delete(id);
      return reply;
    };
  }

  /** Waits until it reported that so many times. */
  async told(
    what: string,
    matches: (line: Line) => boolean,
    times: number,
    withinMs: number,
    shown: string,
  ): Promise<void> {
    const found = () => this.reports.filter((line) => line.event === what && matches(line));
    await this.wait(
      () => found().length >= times || undefined,
      `the report "${what}" ${shown}`,
      withinMs,
    ).catch((error: Error) => {
      const there = this.reports.map((line) => JSON.stringify(line)).join(" ");
      throw new Error(`${error.message}; it reported ${there.slice(-1_500)}`);
    });
  }

  /** Waits until it ended by itself; answers what is wrong with the end. */
  async ended(withinMs: number): Promise<string | undefined> {
    await until(() => this.exit, `program ${this.name} to end`, withinMs);
    return this.exit?.code === 0 ? undefined : `program ${this.name} ended with ${JSON.stringify(this.exit)}`;
  }

  /** Stops its agent, so that it can serve the next scenario. Answers what was wrong. */
  async refresh(): Promise<string | undefined> {
    try {
      const reply = await this.tell({ do: "stop" })(EXIT_MS);
      if (!reply.ok) return `"stop" failed: ${JSON.stringify(reply.error)}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    this.reports.length = 0;
    this.replies.clear();
    this.log = "";
    return this.fault;
  }

  /** Tells it to leave; answers what was wrong with that. */
  async leave(): Promise<string | undefined> {
    if (!this.running) return undefined;
    this.tell({ do: "exit" });
    const wrong = await this.ended(EXIT_MS).catch((error: Error) => error.message);
    await this.end();
    return wrong;
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === "SIGSTOP") freezeProcess(this.pid);
    else this.child.kill(signal);
  }

  /** Ends it for certain. */
  async end(): Promise<void> {
    if (this.running) this.child.kill("SIGKILL");
    await this.exited;
  }

  private wait<T>(look: () => T | undefined, what: string, withinMs: number): Promise<T> {
    return until(
      () => {
        const found = look();
        if (found === undefined && !this.running) {
          const end = JSON.stringify(this.exit);
          throw new Error(`program ${this.name} ended (${end}) before ${what}: ${this.stderr}`);
        }
        return found as T & {};
      },
      `${what} of program ${this.name}`,
      withinMs,
    );
  }

  private onLine(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      this.fault ??= `program ${this.name} printed what is no JSON: ${text.slice(0, 200)}`;
      return;
    }
    if (line.event === "hello") this.hello = line;
    else if (typeof line.event === "string") this.reports.push(line);
    else if (typeof line.id === "number" && line.ok === true)
      this.replies.set(line.id, { ok: true, value: line.value ?? {} });
    else if (typeof line.id === "number" && line.ok === false)
      this.replies.set(line.id, { ok: false, error: line.error ?? {} });
    else this.fault ??= `program ${this.name} printed neither an answer nor a report: ${text.slice(0, 200)}`;
  }
}

/** The programs of a language: started when needed, used again when they are fresh. */
export class ProgramPool {
  private readonly idle: Program[] = [];

  constructor(private readonly command: Command) {}

  /** A program that said hello and has no agent. */
  async take(name: string): Promise<Program> {
    for (let program = this.idle.pop(); program; program = this.idle.pop()) {
      if (!program.running) continue;
      program.name = name;
      return program;
    }
    const program = new Program(name, this.command);
    try {
      await program.ready();
    } catch (error) {
      await program.end();
      throw error;
    }
    return program;
  }

  /** Takes a program back. Answers what was wrong with it; then it is ended. */
  async giveBack(program: Program): Promise<string | undefined> {
    if (!program.running) return program.fault;
    const wrong = await program.refresh();
    if (wrong === undefined) this.idle.push(program);
    else await program.end();
    return wrong;
  }

  /** Lets all leave; answers what was wrong with that. */
  async close(): Promise<string[]> {
    const ends = await Promise.all(this.idle.splice(0).map((program) => program.leave()));
    return ends.filter((wrong) => wrong !== undefined);
  }
}
