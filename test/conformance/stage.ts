import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { callee, frameTone, hangUp, type Script, type SimCall, tone, wait } from "@callweave/simulator";
import { numberedFrames, toneBytes } from "../harness/audio.js";
import { type Stack, startStack } from "../harness/gateway.js";
import type { Program, ProgramPool, Reply } from "./program.js";
import type { Scenario } from "./scenario.js";
import { Secrets } from "./secrets.js";
import type { Act, AudioSpec, CalleeSpec } from "./steps-schema.js";
import { Watch } from "./watch.js";
import { Ways } from "./ways.js";

/** The programs of a run. */
export interface Cast {
  /** The language that is judged. */
  readonly main: ProgramPool;
  /** Another language's; the same when there is no other. */
  readonly other: ProgramPool;
}

/** Enough that a busy machine makes no pause in what is heard. */
const PLAYOUT_BUFFER_MS = 500;

/** What a `tell` with `later` is waiting for. */
export type Later = (withinMs: number) => Promise<Reply>;

/** Everything a scenario runs on: simulator, gateway, programs, and what watches them from outside. */
export class Stage {
  readonly programs = new Map<string, Program>();
  readonly calls = new Map<string, SimCall>();
  readonly times = new Map<string, number>();
  readonly later = new Map<string, Later>();
  readonly memoryMiB = new Map<string, number>();
  readonly instanceIds = new Map<string, string>();
  readonly ways: Ways;
  /** Programs that are not to be used again: killed, stopped for a while, told to end. */
  private readonly spoilt = new Set<string>();
  private files = 0;

  private constructor(
    readonly scenario: Scenario,
    readonly stack: Stack,
    readonly watch: Watch,
    readonly secrets: Secrets,
    private readonly cast: Cast,
    private readonly folder: string,
  ) {
    this.ways = new Ways(stack, scenario.gateway.sampleRateHz);
  }

  static async open(scenario: Scenario, cast: Cast): Promise<Stage> {
    const { gateway, simulator } = scenario;
    const { sampleRateHz, pools, routes, playback, keys } = gateway;
    const folder = await mkdtemp(join(tmpdir(), "callweave-conformance-"));
    const secrets = await Secrets.make(folder, gateway);
    const { grpc, auth } = secrets.config;
    const stack = await startStack({
      sampleRateHz,
      simulator: { playoutBufferMs: PLAYOUT_BUFFER_MS, ...simulator },
      config: {
        routes,
        gateway: { grpc },
        auth,
        ...(pools ? { pools } : {}),
        ...(playback ? { playback } : {}),
      },
    });
    try {
      const watch = await Watch.start(stack.address, keys?.[0]?.key, secrets.outsider);
      return new Stage(scenario, stack, watch, secrets, cast, folder);
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  get rate(): 8000 | 16_000 | 24_000 {
    return this.scenario.gateway.sampleRateHz;
  }

  call(name: string): SimCall {
    const call = this.calls.get(name);
    if (!call) throw new Error(`there is no call "${name}"`);
    return call;
  }

  /** All calls placed at once under that name, with their numbers. */
  callsOf(name: string): { readonly name: string; readonly number: number; readonly phone: SimCall }[] {
    return [...this.calls].flatMap(([key, phone]) => {
      const number = new RegExp(`^${name}(\\d+)$`).exec(key)?.[1];
      return number === undefined ? [] : [{ name: key, number: Number(number), phone }];
    });
  }

  /** A program; taken when it is named first. */
  async program(name: string): Promise<Program> {
    let program = this.programs.get(name);
    if (!program) {
      const pool = this.scenario.others.includes(name) ? this.cast.other : this.cast.main;
      program = await pool.take(name);
      this.programs.set(name, program);
    }
    return program;
  }

  /** A program that is not to be used again. */
  async spoil(name: string): Promise<Program> {
    this.spoilt.add(name);
    return this.program(name);
  }

  /** From now on no context can be written; reading goes on. */
  storeRefuses(): void {
    const contexts = this.stack.gateway.gateway.contexts as unknown as Record<string, unknown>;
    const refuse = () => Promise.reject(new Error("the store refuses: told so by the scenario"));
    for (const method of ["merge", "save", "update"]) contexts[method] = refuse;
  }

  place(name: string, from: string, caller: readonly Act[], called: CalleeSpec): void {
    const phone = this.stack.simulator.placeCall({ from, caller: script(caller), callee: calleeOf(called) });
    this.calls.set(name, phone);
  }

  /** A file with the audio that a command is to play. */
  async audioFile(audio: AudioSpec, sampleRateHz: number, callName: string): Promise<string> {
    const path = join(this.folder, `${this.files++}.pcm`);
    await writeFile(path, audioBytes(audio, sampleRateHz, callName));
    return path;
  }

  /** Where a file of the scenario is, such as a certificate. */
  file(name: string): string {
    return join(this.folder, name);
  }

  /** Where a file is that a program writes. */
  path(name: string): string {
    return join(this.folder, `${name}.heard`);
  }

  /** Resident memory of a program, in MiB. */
  residentMiB({ pid }: Program): number {
    return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1024;
  }

  /** Ends everything; answers what was wrong with the ends of the programs. */
  async close(failed: boolean): Promise<string[]> {
    const faults = await Promise.all([...this.programs].map(([name, one]) => this.leave(name, one, failed)));
    this.watch.stop();
    await this.ways.stop();
    await this.stack.stop();
    await rm(this.folder, { recursive: true, force: true });
    return faults.filter((fault) => fault !== undefined);
  }

  private async leave(name: string, program: Program, failed: boolean): Promise<string | undefined> {
    if (failed || this.spoilt.has(name)) {
      await program.end();
      return program.fault;
    }
    const pool = this.scenario.others.includes(name) ? this.cast.other : this.cast.main;
    return pool.giveBack(program);
  }
}

function audioBytes(audio: AudioSpec, sampleRateHz: number, callName: string): Uint8Array {
  if ("tone" in audio) return toneBytes(audio.tone.hz, audio.tone.forMs ?? 1000, sampleRateHz);
  if ("perCall" in audio) {
    const number = Number(/\d+$/.exec(callName)?.[0] ?? 0);
    return numberedFrames(audio.perCall, sampleRateHz, number * 100);
  }
  const [first, count] = audio.frames;
  return numberedFrames(count, sampleRateHz, first);
}

function script(acts: readonly Act[]): Script {
  return acts.map((act) => {
    if ("frames" in act) return frameTone(seconds(act.frames.forMs));
    if ("tone" in act) return tone(act.tone.hz, seconds(act.tone.forMs));
    if ("silence" in act) return wait(act.silence.forMs / 1000);
    return hangUp();
  });
}

function seconds(forMs: number | undefined): number {
  return forMs === undefined ? Number.POSITIVE_INFINITY : forMs / 1000;
}

function calleeOf(called: CalleeSpec) {
  if (called === "never") return callee.never();
  if ("picksUp" in called) {
    const { afterMs, script: acts } = called.picksUp;
    return callee.picksUp({ afterSeconds: afterMs / 1000, script: script(acts) });
  }
  if ("rejects" in called) return callee.rejects(called.rejects.afterMs / 1000);
  // A greeting, a beep, then it records. Tones, since nobody here understands words.
  const greeting = [wait(0.1), tone(600, 0.3), tone(1000, 0.2)];
  return callee.picksUp({ afterSeconds: called.voicemail.afterMs / 1000, script: greeting });
}
