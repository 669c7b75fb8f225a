import type { LoggedEvent, LoggedSeat } from "../../../demo/cluster/evidence.js";
import type { AgentNote, BatchEvidence, CallEvidence, HeardRun } from "../evidence.js";
import type { Fault } from "../plan.js";

/** A change of one call of the evidence. */
export type Change = (call: CallEvidence) => Partial<CallEvidence>;

const CALL = "call-1";
const SUMMARY = "Wants a person.";
export const FAULT: Fault = {
  number: 1,
  phase: "draining",
  victim: "agent",
  how: "kill",
  forMs: 200,
  lane: 0,
  delayMs: 0,
  choice: 0,
};

/** Agent 0 dies while it talks, agent 1 has the call 2.1 s later and hands it to a human. All as it has to be. */
export function madeBatch(change: Change = () => ({}), fault: Partial<Fault> = {}): BatchEvidence {
  const call = madeCall();
  return {
    number: 1,
    hits: [{ fault: { ...FAULT, ...fault }, atMs: 1_000, target: "first", overMs: undefined }],
    calls: [{ ...call, ...change(call) }],
    stalls: [],
  };
}

function madeCall(): CallEvidence {
  const first = { instance: "first", voice: 0 } as const;
  const second = { instance: "second", voice: 1 } as const;
  const notes: AgentNote[] = [
    { ...first, atMs: 90, type: "offer", text: "" },
    { ...first, atMs: 210, type: "given", epoch: 1 },
    { ...first, atMs: 215, type: "event", sequence: 5, event: "answered", durable: true },
    { ...first, atMs: 220, type: "writing", turnId: "1-0", text: "Hello." },
    { ...first, atMs: 240, type: "written", turnId: "1-0" },
    { ...second, atMs: 3_110, type: "offer", text: "" },
    { ...second, atMs: 3_230, type: "given", epoch: 2 },
    { ...second, atMs: 3_240, type: "writing", turnId: "2-1", text: "Hello again." },
    { ...second, atMs: 3_260, type: "written", turnId: "2-1" },
    { ...second, atMs: 3_800, type: "escalating" },
    { ...second, atMs: 4_900, type: "escalated", outcome: "CONNECTED" },
  ];
  const seat = (state: string, cause: string, epoch: number, instanceId: string): LoggedSeat => ({
    state,
    cause,
    epoch,
    instanceId,
    agentId: `agent-0-${instanceId}`,
  });
  const events: Array<Omit<LoggedEvent, "callId" | "sequence">> = [
    { type: "arrived", atMs: 50, gatewayId: "gateway-1" },
    { type: "offered", atMs: 80 },
    { type: "seatChanged", atMs: 200, seat: seat("HELD", "ACCEPTED", 1, "first") },
    { type: "commandStarted", atMs: 205, verb: "AnswerCall" },
    { type: "answered", atMs: 210 },
    { type: "seatChanged", atMs: 1_005, seat: seat("SUSPENDED", "LOST", 1, "first") },
    { type: "offered", atMs: 3_105 },
    { type: "seatChanged", atMs: 3_220, seat: seat("HELD", "ACCEPTED", 2, "second") },
    { type: "commandStarted", atMs: 3_810, verb: "EscalateCall" },
    { type: "contextWritten", atMs: 3_830 },
    { type: "ringing", atMs: 4_400 },
    { type: "connected", atMs: 4_850 },
    { type: "ended", atMs: 4_880 },
    { type: "commandDone", atMs: 4_890, verb: "EscalateCall" },
  ];
  const heard: HeardRun[] = [
    { voice: 0, lane: 0, startMs: 260, endMs: 1_005, repeats: 0 },
    { voice: 1, lane: 0, startMs: 3_280, endMs: 4_300, repeats: 0 },
  ];
  return {
    lane: 0,
    callId: CALL,
    caller: "+15553000001",
    callee: "+15550140000",
    placedAtMs: 0,
    endedAtMs: 5_100,
    providerEnd: "caller_hung_up",
    owner: "gateway-1",
    commands: ["call.answer", "call.connect", "call.close"],
    heard,
    silent: [{ startMs: 1_005, endMs: 1_105 }],
    notes,
    log: events.map((event, index) => ({ ...event, callId: CALL, sequence: index + 1 })),
    stored: [
      {
        callId: CALL,
        caller: "+15553000001",
        callee: "+15550140000",
        turns: [
          { id: "1-0", role: "AI", text: "Hello." },
          { id: "2-1", role: "AI", text: "Hello again." },
        ],
        summary: SUMMARY,
        reason: "ASKED_FOR_HUMAN",
      },
    ],
    summary: SUMMARY,
  };
}
