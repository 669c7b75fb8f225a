import { type MarathonOptions, PHASES, type PhaseName, VICTIMS, type Victim } from "./options.js";

/** One kill or freeze, under one call. */
export interface Fault {
  /** From 1. */
  readonly number: number;
  readonly phase: PhaseName;
  readonly victim: Victim;
  /** SIGKILL, or SIGSTOP for a while. */
  readonly how: "kill" | "freeze";
  /** How long it is frozen, or, of a server that was killed, away. ms. */
  readonly forMs: number;
  /** The call that is watched for the phase, 0 to lanes − 1. */
  readonly lane: number;
  /** How long after the phase began. ms. */
  readonly delayMs: number;
  /** 0 to 1: which of several agents or gateways, where the call does not say. */
  readonly choice: number;
}

/** Calls that are up together, and what breaks under them. At most one fault is of something that they share. */
export interface Batch {
  /** From 1. */
  readonly number: number;
  readonly faults: readonly Fault[];
}

/** How often something is drawn: of agents and of servers as they break in practice, so that 1,000 take half an hour. */
const WEIGHTS: Readonly<Record<Victim, number>> = { agent: 80, gateway: 10, nats: 4, mongodb: 6 };
const FREEZE_SHARE = 0.4;
/** Shorter and longer than what makes a process count as dead: 1.5 s of an agent, the lease of 2 s of a gateway. */
const FREEZES_MS = [500, 1_200, 2_200, 4_000] as const;
const AWAY_MS = [200, 1_000, 2_500] as const;
/** How far into the phase it may hit, ms. The others are over at once. */
const SPREAD_MS: Partial<Record<PhaseName, number>> = {
  talking: 300,
  draining: 250,
  ringing: 300,
  offered: 80,
  saving: 40,
};

/** What breaks when, all from the seed: phases in turn, so that each gets its share. */
export function planOf(options: Pick<MarathonOptions, "kills" | "seed" | "only" | "lanes">): Batch[] {
  const random = randomOf(options.seed);
  const phases = PHASES.filter((phase) => phase === options.only || !isPhase(options.only));
  const victims = VICTIMS.filter((victim) => victim === options.only || !isVictim(options.only));
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const drawn = Array.from({ length: options.kills }, (_, index): Omit<Fault, "lane"> => {
    const victim = weighted(victims, random());
    const phase = phases[index % phases.length] as PhaseName;
    const how = random() < FREEZE_SHARE ? "freeze" : "kill";
    return {
      number: index + 1,
      phase,
      victim,
      how,
      forMs: how === "freeze" ? pick(FREEZES_MS) : pick(AWAY_MS),
      delayMs: Math.floor(random() * (SPREAD_MS[phase] ?? 0)),
      choice: random(),
    };
  });
  return batchesOf(drawn, options.lanes);
}

/** Agents of different calls break together, and the database with them; gateways and NATS break alone. */
function batchesOf(drawn: readonly Omit<Fault, "lane">[], lanes: number): Batch[] {
  const batches: Fault[][] = [];
  let open: Fault[] | undefined;
  for (const fault of drawn) {
    const alone = fault.victim === "gateway" || fault.victim === "nats";
    if (alone) {
      batches.push([{ ...fault, lane: Math.floor(fault.choice * lanes) }]);
      continue;
    }
    const shared = fault.victim === "mongodb" && open?.some(({ victim }) => victim === "mongodb");
    if (!open || open.length === lanes || shared) {
      open = [];
      batches.push(open);
    }
    open.push({ ...fault, lane: open.length });
  }
  return batches.map((faults, index) => ({ number: index + 1, faults }));
}

function weighted(victims: readonly Victim[], at: number): Victim {
  const total = victims.reduce((sum, victim) => sum + WEIGHTS[victim], 0);
  let left = at * total;
  for (const victim of victims) {
    left -= WEIGHTS[victim];
    if (left < 0) return victim;
  }
  return victims[victims.length - 1] as Victim;
}

const isPhase = (text: string | undefined): text is PhaseName => PHASES.some((phase) => phase === text);
const isVictim = (text: string | undefined): text is Victim => VICTIMS.some((victim) => victim === text);

/** Numbers from 0 to 1 that the seed decides (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
