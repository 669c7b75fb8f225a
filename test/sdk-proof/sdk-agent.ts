import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { SimCall } from "@callweave/simulator";

const DRIVER = fileURLToPath(new URL("./driver.py", import.meta.url));

/** A line the driver printed. */
export interface Report {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** How the SDK logs in. */
export interface AgentOptions {
  readonly python: string;
  readonly url: string;
  readonly apiKey: string;
  readonly connectorUuid: string;
  readonly sampleRate?: 8000 | 16000 | 24000;
  readonly audioMode?: "mixed" | "isolated";
  /** More environment of the process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process with the vendor's SDK, see driver.py. */
export class SdkAgent {
  readonly reports: Report[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiters = new Set<() => void>();
  #stderr = "";
  #next = 1;

  constructor(options: AgentOptions) {
    this.#child = spawn(
      options.python,
      [
        DRIVER,
        options.url,
        options.apiKey,
        options.connectorUuid,
        String(options.sampleRate ?? 16000),
        options.audioMode ?? "mixed",
      ],
      { stdio: "pipe", env: { ...process.env, no_proxy: "*", NO_PROXY: "*", ...options.env } },
    );
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.reports.push(JSON.parse(line) as Report);
      for (const waiter of this.#waiters) waiter();
    });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
  }

  /** Waits for a report, past or to come. Rejects after `timeoutMs`, default 15000. */
  waitFor(
    event: string,
    fields: Readonly<Record<string, unknown>> = {},
    timeoutMs = 15_000,
  ): Promise<Report> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.reports.find(
          (report) =>
            report.event === event && Object.entries(fields).every(([key, value]) => report[key] === value),
        );
        if (!found) return;
        this.#waiters.delete(look);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(look);
        reject(
          new Error(
            `the SDK did not report ${event} ${JSON.stringify(fields)}; it reported ` +
              `${JSON.stringify(this.reports.slice(-8))}\n${this.#stderr}`,
          ),
        );
      }, timeoutMs);
      this.#waiters.add(look);
      look();
    });
  }

  /** Has the SDK do something (see driver.py) and waits for its result. */
  async do(
    verb: string,
    fields: Readonly<Record<string, unknown>> = {},
    timeoutMs = 15_000,
  ): Promise<Report> {
    const id = this.#next++;
    this.#child.stdin.write(`${JSON.stringify({ ...fields, do: verb, id })}\n`);
    return this.waitFor("result", { id }, timeoutMs);
  }

  /** Waits until the SDK holds the call; then gives a function that has it act on this call. */
  async take(call: SimCall) {
    const session = call.session.id;
    await this.waitFor("call", { session });
    return (verb: string, fields: Readonly<Record<string, unknown>> = {}, timeoutMs?: number) =>
      this.do(verb, { ...fields, session }, timeoutMs);
  }

  /** Kills the process (SIGKILL); resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    this.#child.kill("SIGKILL");
    await gone;
  }
}
