import type { SimCall } from "@callweave/simulator";
import { sleep } from "./clock.js";
import { randomOf } from "./marathon/plan.js";

/** Who calls, and for how long. */
export interface CallersOptions {
  readonly place: () => SimCall;
  /** Calls that are up at any time. */
  readonly count: number;
  /** Draws how long calls last. */
  readonly seed: number;
  /** Calls last so long. ms. */
  readonly callMs: { readonly min: number; readonly max: number };
  /** Whether the n-th of those that are up stays to the end. Default: none does. */
  readonly stays?: (index: number) => boolean;
  /** Told of a call that lasted as it should, before the caller hangs up. */
  readonly onDone?: (phone: SimCall) => void;
}

/** Callers come one after the other at first. ms. */
const APART_MS = 50;
/** The agent is heard within so long. ms. */
const ANSWER_MS = 20_000;
const LOOK_MS = 250;
const MAX_TROUBLES = 5;

/** So many callers at any time: who hangs up is followed by the next. */
export class Callers {
  /** From placing a call until its caller heard the agent. ms. */
  readonly answeredMs: number[] = [];
  /** What became of the first few that no agent was heard in, for people. */
  readonly troubles: string[] = [];
  inAll = 0;
  /** Ended otherwise than by their caller. */
  dropped = 0;
  /** No agent was heard. */
  unanswered = 0;
  up = 0;
  private readonly random: () => number;
  private readonly lines: Promise<void>[] = [];
  private over = false;

  constructor(private readonly options: CallersOptions) {
    this.random = randomOf(options.seed);
  }

  /** Resolves when all were placed once. */
  async begin(): Promise<void> {
    for (let index = 0; index < this.options.count; index++) {
      this.lines.push(this.line(this.options.stays?.(index) ?? false));
      await sleep(APART_MS);
    }
  }

  /** No more new ones; resolves when the last hung up. */
  async end(): Promise<void> {
    this.over = true;
    await Promise.all(this.lines);
  }

  private async line(stays: boolean): Promise<void> {
    while (!this.over) await this.oneCall(stays);
  }

  private async oneCall(stays: boolean): Promise<void> {
    const { place, callMs, onDone } = this.options;
    const phone = place();
    const placedMs = performance.now();
    this.inAll++;
    this.up++;
    try {
      await phone.waitUntil(() => phone.stats.playedBytes > 0, { timeoutMs: ANSWER_MS });
      this.answeredMs.push(Math.round(performance.now() - placedMs));
      const endMs = performance.now() + callMs.min + this.random() * (callMs.max - callMs.min);
      while (stays ? !this.over : performance.now() < endMs) await sleep(LOOK_MS);
      if (phone.state === "ANSWERED") onDone?.(phone);
      else this.dropped++;
    } catch (error) {
      if (this.troubles.length < MAX_TROUBLES) this.troubles.push(`call ${this.inAll}: ${error}`);
      if (phone.state === "DISCONNECTED") this.dropped++;
      else this.unanswered++;
    } finally {
      this.up--;
      phone.hangUp();
    }
  }
}
