import type { AgentEvidence, CallEvidence, ClusterEvidence, ContextView, LoggedEvent } from "../evidence.js";

/** What may be spoilt. */
type Writable<T> = T extends object ? { -readonly [K in keyof T]: Writable<T[K]> } : T;

/** Evidence that may be spoilt. */
export type Spoilable = Writable<ClusterEvidence>;

const GATEWAYS = ["gateway-1", "gateway-2"];
const KILL_MS = 3_000;
const AGENTS: readonly AgentEvidence[] = [
  { agentId: "agent-one", wire: "grpc", toneHz: 5_000, gatewayId: "gateway-1" },
  { agentId: "agent-two", wire: "grpc", toneHz: 6_000, gatewayId: "gateway-2" },
  { agentId: "agent-nats", wire: "nats", toneHz: 7_000, gatewayId: undefined },
];

/** A round of six calls in which everything is as it has to be; gateway-1 dies. */
export function madeRound(): Spoilable {
  const calls = Array.from({ length: 6 }, (_, index) => callOf(index));
  const made: ClusterEvidence = {
    gateways: GATEWAYS,
    agents: AGENTS,
    calls,
    // As in a log: the calls' events between one another.
    events: calls.flatMap(eventsOf).sort((a, b) => a.atMs - b.atMs),
    killed: { gatewayId: "gateway-1", atMs: KILL_MS },
    databaseAway: { startMs: 2_500, endMs: 9_000 },
    foreignDocuments: 0,
    endMs: 10_000,
  };
  return structuredClone(made) as Spoilable;
}

function callOf(index: number): CallEvidence {
  const number = index + 1;
  const orphan = index % 2 === 0;
  const escalated = index >= 3;
  const agent = AGENTS[index % AGENTS.length] as AgentEvidence;
  const written = contextOf(number, escalated);
  const heard = orphan
    ? [
        { startMs: 500, endMs: 3_800 },
        { startMs: 5_100 + number, endMs: 8_000 },
      ]
    : [{ startMs: 500, endMs: 8_000 }];
  return {
    number,
    callId: `call-${number}`,
    placedAtMs: 400,
    agentId: agent.agentId,
    escalated,
    heardAgent: heard,
    heardOthersMs: 0,
    humanHeardCallerMs: escalated ? 700 : 0,
    humanHeardAgentMs: 0,
    commands: escalated ? ["call.answer", "call.connect", "call.close"] : ["call.answer", "call.disconnect"],
    providerEnd: escalated ? "caller_hung_up" : "agent_disconnected",
    endedAtMs: 8_500,
    ownerBefore: orphan ? "gateway-1" : "gateway-2",
    ownerAfter: "gateway-2",
    written,
    readWhileAway: written,
    stored: [written],
  };
}

function contextOf(number: number, escalated: boolean): ContextView {
  return {
    callId: `call-${number}`,
    caller: `+1555200010${number}`,
    callee: "+15550161",
    turns: [
      { id: `${number}-1`, role: "CALLER", text: "I have a question." },
      { id: `${number}-2`, role: "AI", text: "One moment." },
    ],
    summary: escalated ? "Wants a person." : "",
    reason: escalated ? "ASKED_FOR_HUMAN" : "",
  };
}

function eventsOf(call: CallEvidence): LoggedEvent[] {
  const orphan = call.ownerBefore !== call.ownerAfter;
  const bodies: Omit<LoggedEvent, "callId" | "sequence">[] = [
    { type: "arrived", atMs: 400, gatewayId: call.ownerBefore },
    { type: "offered", atMs: 410 },
    { type: "seatChanged", atMs: 420, holder: call.agentId },
    { type: "answered", atMs: 430 },
    ...(orphan ? [{ type: "takenOver", atMs: 5_000, gatewayId: call.ownerAfter }] : []),
    ...(call.escalated ? [{ type: "connected", atMs: 8_000 }] : []),
    { type: "ended", atMs: 8_400 },
  ];
  return bodies.map((body, index) => ({ callId: call.callId, sequence: index + 1, ...body }));
}
