import { setImmediate } from "node:timers/promises";
import { pcmDurationMs } from "../../speech/pcm.js";
import type {
  CallEndReason,
  CallerAudio,
  CallPort,
  ClearResult,
  ContextPatch,
  EscalateRequest,
  EscalationOutcome,
  ResumedContext,
  Turn,
} from "../call-port.js";

interface Queued {
  readonly ms: number;
  readonly bytes: Buffer;
}

/**
 * A call in memory. Its playback clock stands still until `playOut()` or, with `autoPlay`, runs by itself in no time.
 * `log` keeps the order of everything that was asked of it.
 */
export class FakeCall implements CallPort {
  readonly id = "call-1";
  readonly caller = "+15550100";
  readonly callee = "+15550199";
  readonly locale = "en";
  readonly sampleRateHz: number;
  readonly attempt: number;
  readonly context: ResumedContext | undefined;
  readonly ended: Promise<CallEndReason>;
  readonly log: string[] = [];
  readonly turns = new Map<string, Turn>();
  readonly patches: ContextPatch[] = [];
  readonly escalations: EscalateRequest[] = [];
  /** How the next escalations end; afterwards CONNECTED. */
  outcomes: EscalationOutcome[] = [];
  /** Whether audio counts as heard as soon as the event loop is idle. */
  autoPlay: boolean;
  /** All audio given, whether cleared or not. */
  readonly played: Buffer[] = [];
  failAppends = 0;
  /** How many of the next writes of the context fail. */
  failUpdates = 0;
  /** Why answering fails; it does not when undefined. */
  readonly answerError: Error | undefined;
  #queue: Queued[] = [];
  #heardOfFirstMs = 0;
  /** What was not heard when the call ended. */
  #leftMs: number | undefined;
  #marks: Array<{ readonly after: number; readonly resolve: (end: "PLAYED" | "CLEARED") => void }> = [];
  /** Queue items ever taken off; marks wait for a count. */
  #done = 0;
  #end: (reason: CallEndReason) => void = () => {};
  readonly #audio: CallerAudio[] = [];
  #audioWaits: (() => void) | undefined;
  #isOver = false;

  constructor(
    options: {
      sampleRateHz?: number;
      attempt?: number;
      context?: ResumedContext;
      autoPlay?: boolean;
      answerError?: Error;
    } = {},
  ) {
    this.sampleRateHz = options.sampleRateHz ?? 16_000;
    this.attempt = options.attempt ?? 1;
    this.context = options.context;
    this.answerError = options.answerError;
    this.autoPlay = options.autoPlay ?? true;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The call is over, for whatever reason. */
  end(reason: CallEndReason = "HUNG_UP"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leftMs = this.queuedMs();
    this.#drop();
    this.#end(reason);
    this.#audioWaits?.();
  }

  /** The caller says something. */
  hear(audio: CallerAudio | Buffer): void {
    this.#audio.push(Buffer.isBuffer(audio) ? { kind: "AUDIO", pcm: audio, positionMs: 0 } : audio);
    this.#audioWaits?.();
  }

  async *audio(): AsyncGenerator<CallerAudio> {
    while (!this.#isOver) {
      const next = this.#audio.shift();
      if (next) yield next;
      else {
        await new Promise<void>((resolve) => {
          this.#audioWaits = resolve;
        });
      }
    }
  }

  async answer(): Promise<void> {
    this.log.push("answer");
    if (this.answerError) throw this.answerError;
  }

  play(pcm: Buffer): void {
    if (this.#isOver) return;
    this.played.push(pcm);
    this.#queue.push({ ms: pcmDurationMs(pcm.length, this.sampleRateHz), bytes: pcm });
  }

  mark(): Promise<"PLAYED" | "CLEARED"> {
    if (this.#isOver) return Promise.resolve("CLEARED");
    return new Promise((resolve) => {
      this.#marks.push({ after: this.#done + this.#queue.length, resolve });
      if (this.autoPlay) void setImmediate().then(() => this.autoPlay && this.playOut());
      else this.#settleMarks("PLAYED");
    });
  }

  /** The caller hears `ms` of what is queued; all of it when left out. */
  playOut(ms = Number.POSITIVE_INFINITY): void {
    let left = ms;
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      const rest = first.ms - this.#heardOfFirstMs;
      if (rest > left) {
        this.#heardOfFirstMs += left;
        break;
      }
      left -= rest;
      this.#heardOfFirstMs = 0;
      this.#queue.shift();
      this.#done++;
    }
    this.#settleMarks("PLAYED");
  }

  async clear(): Promise<ClearResult> {
    this.log.push("clear");
    const droppedMs = this.queuedMs();
    this.#drop();
    return { droppedMs, estimatedUnheardMs: 0 };
  }

  queuedMs(): number {
    return this.#queue.reduce((sum, item) => sum + item.ms, 0) - this.#heardOfFirstMs;
  }

  unheardMs(): number {
    return this.#leftMs ?? this.queuedMs();
  }

  async appendTurns(turns: readonly Turn[]): Promise<void> {
    if (this.failAppends-- > 0) throw new Error("not now");
    for (const turn of turns) this.turns.set(turn.id, turn);
  }

  async updateContext(patch: ContextPatch): Promise<void> {
    if (this.failUpdates-- > 0) throw new Error("not now");
    this.patches.push(patch);
    if (patch.consent?.transcript === false) this.log.push("consent refused");
    if (patch.status) this.log.push(`status ${patch.status}`);
  }

  async escalate(request: EscalateRequest): Promise<EscalationOutcome> {
    this.escalations.push(request);
    this.log.push(`escalate ${request.reason} after ${Math.round(this.queuedMs())} ms`);
    await this.mark();
    const outcome = this.outcomes.shift() ?? "CONNECTED";
    if (outcome === "CONNECTED") this.end("LEFT_TO_PARTIES");
    if (outcome === "CALLER_LEFT") this.end("HUNG_UP");
    return outcome;
  }

  async disconnect(options: { readonly after: "NOW" | "PLAYBACK_DRAINED" }): Promise<void> {
    this.log.push(`disconnect ${options.after} after ${Math.round(this.queuedMs())} ms`);
    if (options.after === "PLAYBACK_DRAINED") await this.mark();
    this.end("DISCONNECTED");
  }

  #drop(): void {
    this.#done += this.#queue.length;
    this.#queue = [];
    this.#heardOfFirstMs = 0;
    this.#settleMarks("CLEARED");
  }

  #settleMarks(end: "PLAYED" | "CLEARED"): void {
    const reached = this.#marks.filter((mark) => mark.after <= this.#done);
    this.#marks = this.#marks.filter((mark) => mark.after > this.#done);
    for (const mark of reached) mark.resolve(end);
  }
}
