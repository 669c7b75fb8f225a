import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { pcmBytes } from "../pcm.js";
import {
  RECOGNITION_RATE_HZ,
  SpeechError,
  type SpeechToText,
  type Transcript,
  type UtteranceOptions,
  type UtteranceStream,
} from "../ports.js";
import { ensureSpeechPython, type SpeechPython } from "../python/install.mjs";
import { encodeFrame, FRAME_KIND, parseLine, type RecogniserLine } from "./stt-frames.js";

/** Options of {@link PocketsphinxSpeechToText}; times in ms. */
export interface PocketsphinxOptions {
  /** The interpreter; default: found, or installed at the first use, by `python/install.mjs`. */
  readonly python?: SpeechPython;
  /** The program; default `python/stt.py`. */
  readonly scriptPath?: string;
  /** Utterances decoded at once, each about 95 MB; further ones wait for a place. Default 4. */
  readonly maxDecoders?: number;
  /** Utterances open at once; beyond it they fail with OVERLOADED. Default 64. */
  readonly maxUtterances?: number;
  /** Longest utterance, ms of audio; what is longer is left out. Default 60 000. */
  readonly maxUtteranceMs?: number;
  /** How long a final text may take after the end of the utterance, ms. Default 10 000. */
  readonly finalTimeoutMs?: number;
  /** How long the program may take to load its model, ms. Default 30 000. */
  readonly startTimeoutMs?: number;
  /** Called for each final text: how long the audio was, and the computing time it took. */
  readonly onTiming?: (timing: { audioMs: number; decodeMs: number }) => void;
}

const NAME = "pocketsphinx";
const RESTART_DELAYS_MS = [0, 500, 2_000, 5_000];

/**
 * English speech recognition, offline: `pocketsphinx` in one Python process for all calls of this agent. Audio goes to
 * it as it comes, so that little is left to do when the speaker ends. When the process dies it is started again and the
 * open utterances are sent to the new one once more.
 */
export class PocketsphinxSpeechToText implements SpeechToText {
  readonly name = NAME;
  readonly #options: Required<Omit<PocketsphinxOptions, "python">> & { python: SpeechPython | undefined };
  readonly #utterances = new Map<number, Utterance>();
  #child: ChildProcess | undefined;
  #ready: Promise<void> | undefined;
  #isReady = false;
  #nextId = 1;
  #failures = 0;
  #lastLineAt = 0;
  #closed = false;

  constructor(options: PocketsphinxOptions = {}) {
    this.#options = {
      python: options.python,
      scriptPath: options.scriptPath ?? fileURLToPath(new URL("../python/stt.py", import.meta.url)),
      maxDecoders: options.maxDecoders ?? 4,
      maxUtterances: options.maxUtterances ?? 64,
      maxUtteranceMs: options.maxUtteranceMs ?? 60_000,
      finalTimeoutMs: options.finalTimeoutMs ?? 10_000,
      startTimeoutMs: options.startTimeoutMs ?? 30_000,
      onTiming: options.onTiming ?? (() => {}),
    };
  }

  /** Process id of the recogniser, for tests and process lists; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async warmUp(): Promise<void> {
    await this.#start();
  }

  utterance(options: UtteranceOptions): UtteranceStream {
    const id = this.#nextId++;
    const utterance = new Utterance(id, options, this.#options, (frame) => this.#send(frame));
    utterance.onDone = () => this.#utterances.delete(id);
    utterance.onTimeout = (askedAt) => this.#timedOut(askedAt);
    if (this.#closed) utterance.fail(new SpeechError("ABORTED", NAME, "closed"));
    else if (this.#utterances.size >= this.#options.maxUtterances) {
      utterance.fail(new SpeechError("OVERLOADED", NAME, `${this.#utterances.size} utterances are open`));
    } else {
      this.#utterances.set(id, utterance);
      if (this.#isReady) utterance.sendAll();
      else this.#start().catch((error) => this.#failAll(SpeechError.from(error, NAME)));
    }
    return utterance;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#failAll(new SpeechError("ABORTED", NAME, "closed"));
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.stdin?.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), 1_000);
    await ended;
    clearTimeout(timer);
  }

  #send(frame: Buffer): void {
    if (this.#isReady) this.#child?.stdin?.write(frame);
  }

  #failAll(error: SpeechError): void {
    for (const utterance of [...this.#utterances.values()]) utterance.fail(error);
  }

  #start(): Promise<void> {
    if (this.#closed) return Promise.reject(new SpeechError("ABORTED", NAME, "closed"));
    this.#ready ??= this.#launch().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #launch(): Promise<void> {
    const python = this.#options.python ?? (await ensureSpeechPython()).found;
    if (!python)
      throw new SpeechError("PROVIDER_FAILED", NAME, "no Python with pocketsphinx on this machine");
    if (this.#closed) throw new SpeechError("ABORTED", NAME, "closed");
    const child = spawn(
      python.python,
      [
        this.#options.scriptPath,
        `--max-decoders=${this.#options.maxDecoders}`,
        `--max-utterance-ms=${this.#options.maxUtteranceMs}`,
      ],
      { env: { ...process.env, ...python.env }, stdio: ["pipe", "pipe", "ignore"], windowsHide: true },
    );
    this.#child = child;
    child.stdin.on("error", () => {}); // EPIPE: the exit below tells
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new SpeechError("PROVIDER_FAILED", NAME, "did not start in time"));
      }, this.#options.startTimeoutMs);
      child.once("error", (error) => {
        clearTimeout(timer);
        reject(SpeechError.from(error, NAME));
        // A program that could not be started does not exit either.
        if (child.pid === undefined) this.#exited(child);
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        reject(new SpeechError("PROVIDER_FAILED", NAME, `ended with ${code ?? signal}`));
        this.#exited(child);
      });
      lines.on("line", (text) => {
        const line = parseLine(text);
        this.#lastLineAt = performance.now();
        if (line?.type === "ready") {
          clearTimeout(timer);
          this.#becameReady();
          resolve();
        } else if (line) this.#lineCame(line);
      });
    });
  }

  #becameReady(): void {
    this.#isReady = true;
    for (const utterance of this.#utterances.values()) utterance.sendAll();
  }

  /** Nothing was heard of the process for as long as a text may take: it hangs, another one is started. */
  #timedOut(askedAt: number): void {
    if (this.#lastLineAt <= askedAt) this.#child?.kill("SIGKILL");
  }

  #lineCame(line: Exclude<RecogniserLine, { type: "ready" }>): void {
    const utterance = line.id === null ? undefined : this.#utterances.get(line.id);
    if (line.type === "partial") utterance?.partial(line.text);
    else if (line.type === "final") {
      this.#failures = 0;
      this.#options.onTiming({ audioMs: line.audio_ms, decodeMs: line.decode_ms });
      utterance?.final({
        text: line.text,
        ...(line.confidence === null ? {} : { confidence: line.confidence }),
      });
    } else utterance?.fail(new SpeechError("PROVIDER_FAILED", NAME, line.message));
  }

  /** Start again, so that the next utterance need not wait; utterances that were already sent twice fail. */
  #exited(child: ChildProcess): void {
    if (child !== this.#child) return;
    const wasReady = this.#isReady;
    this.#child = undefined;
    this.#ready = undefined;
    this.#isReady = false;
    if (this.#closed) return;
    if (!wasReady) return; // it could not start: the next utterance tries again
    for (const utterance of [...this.#utterances.values()]) {
      if (utterance.sends > 1)
        utterance.fail(new SpeechError("PROVIDER_FAILED", NAME, "the recogniser died"));
    }
    const delay = RESTART_DELAYS_MS[Math.min(this.#failures++, RESTART_DELAYS_MS.length - 1)] ?? 0;
    setTimeout(() => {
      if (this.#closed || this.#child) return;
      this.#start().catch((error) => this.#failAll(SpeechError.from(error, NAME)));
    }, delay).unref();
  }
}

interface UtteranceLimits {
  readonly maxUtteranceMs: number;
  readonly finalTimeoutMs: number;
}

/** One utterance; keeps its audio (at most `maxUtteranceMs`, 1.9 MB a minute) to send it to a restarted process. */
class Utterance implements UtteranceStream {
  /** How many processes this was sent to. */
  sends = 0;
  onDone: () => void = () => {};
  /** Told when its text was asked for. */
  onTimeout: (askedAt: number) => void = () => {};
  readonly #id: number;
  readonly #options: UtteranceOptions;
  readonly #limits: UtteranceLimits;
  readonly #send: (frame: Buffer) => void;
  readonly #audio: Buffer[] = [];
  readonly #maxBytes: number;
  #bytes = 0;
  #ended = false;
  #settled: { transcript: Transcript } | { error: SpeechError } | undefined;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(id: number, options: UtteranceOptions, limits: UtteranceLimits, send: (frame: Buffer) => void) {
    this.#id = id;
    this.#options = options;
    this.#limits = limits;
    this.#send = send;
    this.#maxBytes = pcmBytes(limits.maxUtteranceMs, RECOGNITION_RATE_HZ);
  }

  /** Send everything from the start to a process that has seen nothing of it. */
  sendAll(): void {
    this.sends++;
    this.#send(this.#startFrame());
    for (const pcm of this.#audio) this.#send(encodeFrame(FRAME_KIND.AUDIO, this.#id, pcm));
    if (this.#ended) this.#send(encodeFrame(FRAME_KIND.END, this.#id));
  }

  write(pcm: Buffer): void {
    if (this.#settled || this.#ended || this.#bytes >= this.#maxBytes) return;
    const kept = Buffer.from(pcm);
    this.#bytes += kept.length;
    this.#audio.push(kept);
    this.#send(encodeFrame(FRAME_KIND.AUDIO, this.#id, kept));
  }

  async finish(): Promise<Transcript> {
    if (!this.#settled && !this.#ended) {
      this.#ended = true;
      this.#send(encodeFrame(FRAME_KIND.END, this.#id));
      const askedAt = performance.now();
      this.#timer = setTimeout(() => {
        this.fail(new SpeechError("PROVIDER_FAILED", NAME, "no text in time"));
        this.onTimeout(askedAt);
      }, this.#limits.finalTimeoutMs);
    }
    if (!this.#settled) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const settled = this.#settled;
    if (settled && "transcript" in settled) return settled.transcript;
    throw settled?.error ?? new SpeechError("PROVIDER_FAILED", NAME, "no result");
  }

  abort(): void {
    if (this.#settled) return;
    this.#send(encodeFrame(FRAME_KIND.ABORT, this.#id));
    this.fail(new SpeechError("ABORTED", NAME, "aborted"));
  }

  partial(text: string): void {
    if (!this.#settled) this.#options.onPartial?.(text);
  }

  final(transcript: Transcript): void {
    this.#settle({ transcript });
  }

  fail(error: SpeechError): void {
    this.#settle({ error });
  }

  #settle(result: { transcript: Transcript } | { error: SpeechError }): void {
    if (this.#settled) return;
    this.#settled = result;
    clearTimeout(this.#timer);
    this.#audio.length = 0;
    this.onDone();
    this.#wake?.();
  }

  #startFrame(): Buffer {
    const start = this.#options.speaker === undefined ? {} : { speaker: this.#options.speaker };
    return encodeFrame(FRAME_KIND.START, this.#id, Buffer.from(JSON.stringify(start)));
  }
}
