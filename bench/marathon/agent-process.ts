import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Child, startCommand } from "../../test/harness/process.js";
import type { AgentNote, Voice } from "./evidence.js";
import type { Plant } from "./options.js";

/** What an agent process is started with. */
export interface AgentSettings {
  readonly endpoints: readonly string[];
  readonly lane: number;
  readonly voice: Voice;
  readonly instance: string;
  /** An offer is thought about for so long. ms. */
  readonly thinkMs: number;
  /** It talks for so long before it hands over. ms. */
  readonly talkMs: number;
  readonly plant?: Plant | undefined;
}

/** What agents say of a call, as soon as they say it. */
export type NoteListener = (callId: string, note: AgentNote) => void;

const READY_MS = 60_000;

/** The program of the agents as one file, so that a new process is quickly there. It is removed by `remove`. */
export async function bundleAgent(): Promise<{ readonly file: string; remove(): Promise<void> }> {
  const here = fileURLToPath(new URL(".", import.meta.url));
  // Within the project, so that packages are found.
  const cache = join(here, "../../.cache");
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "marathon-"));
  const file = join(folder, "agent.mjs");
  await build({
    entryPoints: [join(here, "agent.ts")],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external: ["@grpc/grpc-js", "@bufbuild/protobuf", "@bufbuild/protobuf/*", "@opentelemetry/api"],
    logLevel: "error",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** One of the two agents of a lane; process after process, each with an instance id of its own. */
export class AgentSlot {
  private child: Child | undefined;
  instance = "";
  frozen = false;

  constructor(
    private readonly file: string,
    private readonly settings: Omit<AgentSettings, "instance">,
    private readonly onNote: NoteListener,
  ) {}

  get voice(): Voice {
    return this.settings.voice;
  }

  /** Resolves when it is registered; does nothing while it runs. */
  async start(): Promise<void> {
    if (!this.child?.running) {
      const instance = randomUUID();
      this.instance = instance;
      const settings: AgentSettings = { ...this.settings, instance };
      this.child = startCommand(process.execPath, [this.file], {
        env: { MARATHON_AGENT: JSON.stringify(settings) },
        onLine: (line) => {
          if (line.type === "ready") return;
          const { callId, ...note } = line as unknown as AgentNote & { callId: string };
          this.onNote(callId, { ...note, instance, voice: this.voice });
        },
      });
    }
    await this.child.line(
      ({ type }) => type === "ready",
      `agent ${this.settings.lane}-${this.voice}`,
      READY_MS,
    );
  }

  kill(): void {
    if (this.child?.running) this.child.signal("SIGKILL");
  }

  freeze(): void {
    this.frozen = true;
    if (this.child?.running) this.child.signal("SIGSTOP");
  }

  thaw(): void {
    this.frozen = false;
    if (this.child?.running) this.child.signal("SIGCONT");
  }

  /** Waits until a process that was killed is gone. */
  async gone(): Promise<void> {
    await this.child?.exit;
  }

  get running(): boolean {
    return this.child?.running ?? false;
  }

  async stop(): Promise<void> {
    await this.child?.end();
  }
}
