import type { CallPort, Turn } from "./call-port.js";

export interface TurnLogOptions {
  /** Turns kept while they cannot be written; the oldest go first. Default 200. */
  readonly maxUnwritten?: number;
  /** Told when writing fails; the turns are tried again with the next one. */
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

  /** Turns lost because they could not be written for too long. */
  get dropped(): number {
    return this.#dropped;
  }

  /** From now on nothing that is said is written. */
  refuse(): void {
    this.#allowed = false;
    this.#unwritten = [];
  }

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
    const turns = this.#unwritten.slice(0, 100);
    if (turns.length === 0) return;
    try {
      await this.#call.appendTurns(turns);
      this.#unwritten = this.#unwritten.filter((turn) => !turns.includes(turn));
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
