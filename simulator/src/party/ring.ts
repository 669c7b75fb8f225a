import type { SimClock, SimTimer } from "../clock.js";
import type { Party } from "./party.js";
import type { CalleeBehaviour } from "./script.js";

/** How ringing ended; `ended`: the call ended meanwhile. */
export type RingOutcome = "picked_up" | "unanswered" | "ended";

/** A phone that rings until it is picked up, rejected or given up. Reports once. */
export class RingAttempt {
  readonly party: Party;
  readonly #clock: SimClock;
  readonly #done: (outcome: RingOutcome) => void;
  readonly #timers: SimTimer[] = [];
  #over = false;

  constructor(
    clock: SimClock,
    party: Party,
    behaviour: CalleeBehaviour,
    ringSeconds: number,
    done: (outcome: RingOutcome) => void,
  ) {
    this.#clock = clock;
    this.party = party;
    this.#done = done;
    party.reset(behaviour.kind === "picksUp" ? behaviour.script : []);
    party.setState("ringing");
    this.#timers.push(clock.setTimeout(() => this.#finish("unanswered"), ringSeconds * 1000));
    if (behaviour.kind === "picksUp")
      this.#timers.push(clock.setTimeout(() => this.pickUp(), behaviour.afterSeconds * 1000));
    if (behaviour.kind === "rejects")
      this.#timers.push(clock.setTimeout(() => this.reject(), behaviour.afterSeconds * 1000));
  }

  pickUp(): void {
    this.#finish("picked_up");
  }

  reject(): void {
    this.#finish("unanswered");
  }

  /** The call is over. */
  cancel(): void {
    this.#finish("ended");
  }

  #finish(outcome: RingOutcome): void {
    if (this.#over) return;
    this.#over = true;
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
    this.party.setState(outcome === "picked_up" ? "inCall" : "away");
    this.#done(outcome);
  }
}
