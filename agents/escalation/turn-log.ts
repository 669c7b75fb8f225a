import { type CallPort, type Turn, TurnsRefused } from "./call-port.js";

/** What the gateway takes at once. */
const MAX_TURNS_PER_WRITE = 100;

/** How turns are written. */
export interface TurnLogOptions {
  /** Turns kept while they cannot be written; the oldest go first. Default 200. */
  readonly maxUnwritten?: number;
  /** Told when writing fails; the turns are tried again with the next one, but for one that is refused for good. */
  readonly onError?: (error: unknown) => void;
}

/** Writes turns into the call's context as they happen, in order, and never in the way of the talk. */
export class TurnLog {
  readonly #call: CallPort;
  readonly #options: Required<TurnLogOptions>;
  #unwritten: Turn[] = [];
  #writing: Promise<void> = Promise.resolve();
  #allowed: boolean;
  #dropped = 0;

  constructor(call: CallPort, options: TurnLogOptions = {}) {
    this.#call = call;
    this.#options = { maxUnwritten: options.maxUnwritten ?? 200, onError: options.onError ?? (() => {}) };
    this.#allowed = call.context?.transcriptAllowed ?? true;
  }

  /** False after the caller refused. */
  get allowed(): boolean {
    return this.#allowed;
  }

  /** Turns lost because they could not be written for too long, or because the store refused them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** From now on nothing that is said is written. */
  refuse(): void {
    this.#allowed = false;
    this.#unwritten = [];
  }

  /** Write a turn after those before it; forgotten when the caller refused. Never throws. */
  append(turn: Turn): void {
    if (!this.#allowed) return;
    this.#unwritten.push(turn);
    if (this.#unwritten.length > this.#options.maxUnwritten) {
      this.#unwritten.shift();
      this.#dropped++;
    }
    this.#writing = this.#writing.then(() => this.#write());
  }

  /** Resolves when what was appended so far is written, or could not be. */
  async flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const turns = this.#unwritten.slice(0, MAX_TURNS_PER_WRITE);
    if (turns.length === 0) return;
    try {
      await this.#call.appendTurns(turns);
      this.#forget(turns);
    } catch (error) {
      this.#options.onError(error);
      if (error instanceof TurnsRefused) await this.#writeEach(turns);
    }
  }

  /** One of these turns is refused for good: it is dropped, so that it is not in the way of the others. */
  async #writeEach(turns: readonly Turn[]): Promise<void> {
    for (const turn of turns) {
      if (!this.#unwritten.includes(turn)) continue; // the caller refused meanwhile, or there were too many
      try {
        if (turns.length > 1) await this.#call.appendTurns([turn]);
        else this.#dropped++;
      } catch (error) {
        this.#options.onError(error);
        if (!(error instanceof TurnsRefused)) return;
        this.#dropped++;
      }
      this.#forget([turn]);
    }
  }

  #forget(turns: readonly Turn[]): void {
    this.#unwritten = this.#unwritten.filter((turn) => !turns.includes(turn));
  }
}
