import { spreadOf } from "../../bench/figures.js";
import type { AnyCheck } from "../report.js";
import { contentHash } from "./content-hash.js";
import type { CallEvidence, ClusterEvidence, LoggedEvent } from "./evidence.js";

/** What a round has to keep to. */
export interface ClusterPromises {
  /** From SIGKILL until the caller hears its agent again: the lease of 2 s and 5 s for the takeover, ms. */
  readonly backWithinMs: number;
  /** A human who picked up hears the caller at least so long, ms. */
  readonly humanHearsMs: number;
}

/** The promises of a round. */
export const PROMISES: ClusterPromises = { backWithinMs: 7_000, humanHearsMs: 300 };

/** What `--json` prints as the last line of a round. */
export interface ClusterResult {
  readonly ok: boolean;
  /** Calls that each gateway claimed, without takeovers. */
  readonly claimsByGateway: Readonly<Record<string, number>>;
  /** Calls whose agent is connected to another gateway than the one that claimed them. */
  readonly crossGatewayCalls: number;
  /** Calls in which the agent on NATS was heard. */
  readonly natsAgentCalls: number;
  /** From SIGKILL until the caller heard the agent again, over the calls of the dead gateway; null: never. */
  readonly killToAudioMs: { readonly p50: number; readonly p99: number };
  /** Contexts that agents wrote. */
  readonly contextsIn: number;
  /** Those of them that are in the database, once. */
  readonly contextsOut: number;
  /** Contexts whose content is another one than was written, in the database or while it was dead. */
  readonly contextHashMismatches: number;
  /** Numbers missing in the log of a call. */
  readonly eventGaps: number;
  /** Numbers that are there again. */
  readonly eventRepeats: number;
  readonly checks: readonly AnyCheck[];
}

/** A gap in the agent's sound shorter than this is none, ms. */
const SHORTEST_GAP_MS = 200;
/** The agent was heard when it was for so long, ms. */
const HEARD_MS = 100;

/** Looks at everything; the result is ok when every check is. */
export function verifyCluster(
  evidence: ClusterEvidence,
  promises: ClusterPromises = PROMISES,
): ClusterResult {
  const { calls, events, killed } = evidence;
  const claims = claimsByGateway(evidence);
  const cross = calls.filter((call) => isCross(call, evidence)).length;
  const natsAgents = new Set(evidence.agents.flatMap((a) => (a.wire === "nats" ? [a.agentId] : [])));
  const onNats = calls.filter((call) => natsAgents.has(call.agentId) && wasHeard(call)).length;
  const orphans = calls.filter(({ ownerBefore }) => ownerBefore === killed.gatewayId);
  const { p50, p99 } = spreadOf(orphans.map((call) => silenceAfter(call, killed.atMs)));
  const { gaps, repeats } = numbering(evidence);
  const out = calls.filter(({ stored }) => stored.length === 1).length;
  const mismatches = calls.filter(differs).length;
  const checks: AnyCheck[] = [];
  const check = (name: string, ok: boolean, detail: string) => checks.push({ name, ok, detail });
  const every = (name: string, among: readonly CallEvidence[], holds: (call: CallEvidence) => boolean) => {
    const wrong = among.filter((call) => !holds(call)).map(({ number }) => number);
    check(
      name,
      among.length > 0 && wrong.length === 0,
      wrong.length > 0 ? `not: call ${wrong.join(", ")}` : `${among.length} calls`,
    );
  };

  check(
    "both gateways claimed calls",
    evidence.gateways.length > 1 && evidence.gateways.every((id) => (claims[id] ?? 0) > 0),
    Object.entries(claims)
      .map(([id, n]) => `${id}: ${n}`)
      .join(", "),
  );
  check("agents had calls of the other gateway", cross > 0, `${cross} calls`);
  check("an agent on NATS was heard", onNats > 0, `${onNats} calls`);
  every("every caller heard its agent", calls, wasHeard);
  every("and no other agent", calls, ({ heardOthersMs }) => heardOthersMs === 0);
  every("the dead gateway had calls, another took them over", orphans, (call) => {
    const taken = of(events, call).filter(({ type }) => type === "takenOver");
    const [one] = taken;
    return (
      taken.length === 1 &&
      one?.gatewayId !== killed.gatewayId &&
      call.ownerAfter === one?.gatewayId &&
      one.gatewayId !== ""
    );
  });
  every(
    "no call of a living gateway was taken over",
    calls.filter((call) => !orphans.includes(call)),
    (call) =>
      call.ownerAfter === call.ownerBefore && of(events, call).every(({ type }) => type !== "takenOver"),
  );
  every(
    `their callers heard the agent again within ${promises.backWithinMs / 1000} s`,
    orphans,
    (call) => silenceAfter(call, killed.atMs) <= promises.backWithinMs,
  );
  every("every caller heard the agent after the kill", calls, (call) =>
    call.heardAgent.some(
      ({ startMs, endMs }) =>
        endMs - Math.max(startMs, killed.atMs + SETTLED_MS) >= HEARD_MS && endMs <= call.endedAtMs + 1_000,
    ),
  );
  every(
    "no call ended but as its agent wanted",
    calls,
    (call) => call.providerEnd === (call.escalated ? "caller_hung_up" : "agent_disconnected"),
  );
  every("nothing was commanded twice", calls, onceEach);
  every(
    "a human heard the caller, and nothing of the agent",
    calls.filter(({ escalated }) => escalated),
    (call) => call.humanHeardCallerMs >= promises.humanHearsMs && call.humanHeardAgentMs === 0,
  );
  every(
    "contexts could be read at a gateway while the database was dead",
    calls,
    ({ readWhileAway }) => readWhileAway !== undefined,
  );
  every("each context is in the database once", calls, ({ stored }) => stored.length === 1);
  check(
    "no other context is there",
    evidence.foreignDocuments === 0,
    `${evidence.foreignDocuments} documents`,
  );
  every("no word is lost, doubled or changed", calls, (call) => !differs(call));
  every("each call's log begins and ends", calls, (call) => {
    const types = of(events, call).map(({ type }) => type);
    return ["arrived", "answered", "ended"].every((type) => types.filter((t) => t === type).length === 1);
  });
  check("no gap in the event log", gaps === 0 && events.length > 0, `${gaps} numbers missing`);
  check("no repeat in the event log", repeats === 0, `${repeats} numbers twice`);
  return {
    ok: checks.every(({ ok }) => ok),
    claimsByGateway: claims,
    crossGatewayCalls: cross,
    natsAgentCalls: onNats,
    killToAudioMs: { p50, p99 },
    contextsIn: calls.length,
    contextsOut: out,
    contextHashMismatches: mismatches,
    eventGaps: gaps,
    eventRepeats: repeats,
    checks,
  };
}

/** What the provider still played when the gateway died is over by then, ms. */
const SETTLED_MS = 1_500;

/**
 * From the kill until the caller heard its agent again: the sound after the first gap behind the kill. 0 when there was
 * none, Infinity when it never came back.
 */
export function silenceAfter({ heardAgent }: CallEvidence, killMs: number): number {
  let quietFromMs = killMs;
  for (const { startMs, endMs } of heardAgent) {
    if (endMs <= killMs) continue;
    if (startMs - Math.max(quietFromMs, killMs) >= SHORTEST_GAP_MS && endMs - startMs >= HEARD_MS)
      return Math.round(startMs - killMs);
    quietFromMs = endMs;
  }
  return heardAgent.some(({ endMs }) => endMs > killMs + SETTLED_MS) ? 0 : Number.POSITIVE_INFINITY;
}

function wasHeard({ heardAgent }: CallEvidence): boolean {
  return heardAgent.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0) >= HEARD_MS;
}

function of(events: readonly LoggedEvent[], { callId }: CallEvidence): LoggedEvent[] {
  return events.filter((event) => event.callId === callId);
}

function claimsByGateway({ gateways, events, calls }: ClusterEvidence): Record<string, number> {
  const claims: Record<string, number> = Object.fromEntries(gateways.map((id) => [id, 0]));
  for (const call of calls) {
    const owner = of(events, call).find(({ type }) => type === "arrived")?.gatewayId;
    if (owner) claims[owner] = (claims[owner] ?? 0) + 1;
  }
  return claims;
}

/** Its first holder was connected to another gateway than the one that claimed it. */
function isCross(call: CallEvidence, { events, agents }: ClusterEvidence): boolean {
  const own = of(events, call);
  const owner = own.find(({ type }) => type === "arrived")?.gatewayId;
  const holder = own.find((event) => event.holder)?.holder;
  const at = agents.find(({ agentId }) => agentId === holder)?.gatewayId;
  return owner !== undefined && at !== undefined && at !== owner;
}

/** Each of these at most once, and what the course of the call needs, once. */
function onceEach({ commands, escalated }: CallEvidence): boolean {
  const times = (name: string) => commands.filter((command) => command === name).length;
  const needed = escalated
    ? ["call.answer", "call.connect", "call.close"]
    : ["call.answer", "call.disconnect"];
  const others = ["call.connect", "call.close", "call.disconnect"].filter((name) => !needed.includes(name));
  return needed.every((name) => times(name) === 1) && others.every((name) => times(name) === 0);
}

function differs({ written, readWhileAway, stored }: CallEvidence): boolean {
  const hash = contentHash(written);
  return [readWhileAway, ...stored].some((view) => view !== undefined && contentHash(view) !== hash);
}

/** Every call's numbers run from 1 on, in the order of the log. */
function numbering({ calls, events }: ClusterEvidence): { gaps: number; repeats: number } {
  let gaps = 0;
  let repeats = 0;
  for (const call of calls) {
    const seen = new Set<number>();
    let last = 0;
    for (const { sequence } of of(events, call)) {
      if (seen.has(sequence) || sequence <= last) repeats++;
      seen.add(sequence);
      last = Math.max(last, sequence);
    }
    gaps += last - seen.size;
  }
  return { gaps, repeats };
}
