import { describe, expect, it } from "vitest";
import { audit, type Zero } from "./auditor.js";
import type { AgentNote, CallEvidence } from "./evidence.js";
import { type Change, madeBatch } from "./testing/made-evidence.js";

const stored = ({ stored: [only] }: CallEvidence) => only as CallEvidence["stored"][number];
const without = (type: string): Change => {
  return (call) => ({ log: call.log.filter((event) => event.type !== type) });
};
const plus =
  (note: AgentNote): Change =>
  ({ notes }) => ({ notes: [...notes, note] });
const second = { instance: "second", voice: 1, atMs: 4_000 } as const;

/** Each fault is planted into evidence that is otherwise as it has to be. */
const PLANTED: ReadonlyArray<readonly [what: Zero, name: string, change: Change]> = [
  ["contextsLost", "no document", () => ({ stored: [] })],
  [
    "contextsLost",
    "a turn that was told as stored is gone",
    (call) => ({ stored: [{ ...stored(call), turns: stored(call).turns.slice(1) }] }),
  ],
  [
    "contextsLost",
    "the summary of the escalation is gone",
    (call) => ({ stored: [{ ...stored(call), summary: "", reason: "" }] }),
  ],
  [
    "contextsAltered",
    "a letter of a turn is another",
    (call) => ({
      stored: [
        {
          ...stored(call),
          turns: stored(call).turns.map((turn) => ({ ...turn, text: turn.text.replace("l", "1") })),
        },
      ],
    }),
  ],
  [
    "contextsAltered",
    "a turn that nobody wrote",
    (call) => ({
      stored: [
        {
          ...stored(call),
          turns: [...stored(call).turns, { id: "9-9", role: "AI", text: "Who said that?" }],
        },
      ],
    }),
  ],
  ["contextsAltered", "two documents", (call) => ({ stored: [stored(call), stored(call)] })],
  ["contextsAltered", "another caller", (call) => ({ stored: [{ ...stored(call), caller: "+15550199" }] })],
  [
    "summariesLost",
    "a gateway died before it had saved, and the next one went on without the words",
    (call) => ({
      stored: [{ ...stored(call), summary: "" }],
      log: call.log.map((event) =>
        event.type === "contextWritten" ? { ...event, type: "takenOver" } : event,
      ),
    }),
  ],
  ["eventGaps", "an event is missing", without("ringing")],
  ["eventGaps", "there is no log", () => ({ log: [] })],
  [
    "eventRepeats",
    "an event is there twice",
    ({ log }) => ({ log: log.flatMap((event) => (event.type === "ringing" ? [event, event] : [event])) }),
  ],
  [
    "toldNotLogged",
    "an agent was told a durable event that the log has not",
    plus({ ...second, type: "event", sequence: 15, event: "noteSent", durable: true }),
  ],
  [
    "toldNotLogged",
    "an agent was told another event under the same number",
    plus({ ...second, type: "event", sequence: 10, event: "connected", durable: true }),
  ],
  ["commandsTwice", "rung twice", ({ commands }) => ({ commands: [...commands, "call.connect"] })],
  ["callsStuck", "never ended for the provider", () => ({ providerEnd: undefined })],
  ["callsStuck", "never ended in the log", ({ log }) => ({ log: log.slice(0, 10) })],
  ["callsDropped", "the provider gave up", () => ({ providerEnd: "media_lost" })],
  [
    "seatsTwice",
    "two agents were told that they have one epoch",
    plus({ instance: "first", voice: 0, atMs: 4_000, type: "given", epoch: 2 }),
  ],
  [
    "seatsTwice",
    "an epoch comes back",
    ({ log }) => ({
      log: log.map((event) =>
        event.seat?.epoch === 2 ? { ...event, seat: { ...event.seat, epoch: 0 } } : event,
      ),
    }),
  ],
  [
    "wrongVoices",
    "the dead agent is heard again behind the new one",
    ({ heard }) => ({ heard: [...heard, { voice: 0, lane: 0, startMs: 4_350, endMs: 4_400, repeats: 0 }] }),
  ],
  [
    "wrongVoices",
    "frames are heard again",
    ({ heard }) => ({ heard: heard.map((run) => ({ ...run, repeats: 1 })) }),
  ],
  [
    "wrongVoices",
    "an agent of another call is heard",
    ({ heard }) => ({ heard: heard.map((run) => ({ ...run, lane: 3 })) }),
  ],
  ["silencesTooLong", "no hold audio", () => ({ silent: [{ startMs: 1_005, endMs: 3_280 }] })],
];

describe("the auditor of the marathon", () => {
  it("finds nothing where nothing is wrong, and measures", () => {
    expect(audit(madeBatch())).toEqual({
      problems: [],
      reofferMs: [2_100],
      takeoverMs: [],
      silenceMs: [100],
      silenceRecordedMs: [100],
    });
  });

  for (const [what, name, change] of PLANTED)
    it(`${what}: ${name}`, () => {
      const { problems } = audit(madeBatch(change));
      expect(problems.map((problem) => problem.what)).toContain(what);
    });

  it("phasesMissed: a fault that never came", () => {
    const batch = madeBatch();
    const hits = batch.hits.map((hit) => ({ ...hit, atMs: undefined }));
    expect(audit({ ...batch, hits }).problems.map(({ what }) => what)).toEqual(["phasesMissed"]);
  });

  it("lets a write be there or not whose agent died before it was told", () => {
    const dies: Change = (call) => ({ notes: call.notes.filter(({ type }) => type !== "written") });
    expect(audit(madeBatch(dies)).problems).toEqual([]);
    const gone: Change = (call) => ({ ...dies(call), stored: [{ ...stored(call), turns: [] }] });
    expect(audit(madeBatch(gone)).problems).toEqual([]);
  });

  it("the edge of the silence: 300 ms, not 301", () => {
    const silent = (endMs: number): Change => {
      return () => ({ silent: [{ startMs: 900, endMs }] });
    };
    expect(audit(madeBatch(silent(1_305))).problems).toEqual([]);
    expect(audit(madeBatch(silent(1_306))).problems.map(({ what }) => what)).toEqual(["silencesTooLong"]);
  });

  it("does not count the time in which the provider's own process stood still, and tells it", () => {
    const batch = madeBatch(() => ({ silent: [{ startMs: 900, endMs: 1_405 }] }));
    const stalls = [
      { startMs: 950, endMs: 1_035 },
      { startMs: 1_300, endMs: 1_370 },
      { startMs: 1_500, endMs: 1_900 },
    ];
    const found = audit({ ...batch, stalls });
    expect(found).toMatchObject({ problems: [], silenceMs: [300], silenceRecordedMs: [400] });
  });

  it("lets frames be heard once more for each gateway of an agent that died, not more often", () => {
    const moved = (repeats: number): Change => {
      return ({ log, heard }) => ({
        log: log.map((event) =>
          event.seat?.epoch === 2 ? { ...event, seat: { ...event.seat, cause: "TAKEN_OVER" } } : event,
        ),
        heard: heard.map((run) => ({ ...run, repeats: run.voice === 1 ? repeats : 0 })),
      });
    };
    expect(audit(madeBatch(moved(1))).problems).toEqual([]);
    expect(audit(madeBatch(moved(2))).problems.map(({ what }) => what)).toEqual(["wrongVoices"]);
  });

  it("measures the takeover of a killed gateway, and nothing else then", () => {
    const taken: Change = ({ log }) => ({
      log: [...log.slice(0, -1), { callId: "call-1", sequence: 14, type: "takenOver", atMs: 3_900 }],
    });
    const found = audit(madeBatch(taken, { victim: "gateway" }));
    expect(found).toMatchObject({ takeoverMs: [2_900], reofferMs: [], silenceMs: [] });
  });
});
