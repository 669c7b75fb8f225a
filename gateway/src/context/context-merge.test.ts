import { describe, expect, it } from "vitest";
import { turn } from "./context-fixture.js";
import { contextHash } from "./context-hash.js";
import {
  commonBase,
  descended,
  knownBase,
  type MergeBase,
  mergeContexts,
  replayStep,
  unknownBase,
} from "./context-merge.js";
import { emptyContext } from "./context-rules.js";
import type { CallContext } from "./context-types.js";

const NOW = new Date("2026-03-01T00:00:00Z");
const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);

function context(over: Partial<CallContext> = {}): CallContext {
  return { ...emptyContext("t", "c-1", NOW, ""), revision: 1, expireTime: at(1000), ...over };
}

const BASE = context({ summary: "base", data: { a: 1, gone: true }, caller: "+15550100" });

describe("merging two writes", () => {
  const merge = (
    mine: Partial<CallContext>,
    theirs: Partial<CallContext>,
    base: MergeBase = knownBase(BASE),
  ) => mergeContexts({ ...BASE, ...mine }, base, { ...BASE, ...theirs }, at(500));

  it("takes what only one of them changed from that one, without a conflict", () => {
    const merged = merge(
      { status: "ESCALATING", escalationReason: "FRUSTRATED", updateTime: at(1), revision: 2 },
      { summary: "theirs", summarySource: "MODEL", updateTime: at(2), revision: 4 },
    );
    expect(merged).toMatchObject({
      status: "ESCALATING",
      escalationReason: "FRUSTRATED",
      summary: "theirs",
      summarySource: "MODEL",
      revision: 5,
      updateTime: at(2),
      conflicts: [],
    });
  });

  it("keeps the later of two changes, and the other as a conflict", () => {
    const older = { summary: "mine", outcome: "same", status: "ENDED" as const, updateTime: at(1) };
    const newer = { summary: "theirs", outcome: "same", status: "HANDED_OVER" as const, updateTime: at(2) };
    const merged = merge(older, newer);
    expect(merged).toMatchObject({ summary: "theirs", outcome: "same", status: "HANDED_OVER" });
    const conflict = (field: string, value: string) => ({ time: at(500), field, value, writeTime: at(1) });
    expect(merged.conflicts).toEqual([conflict("status", "ENDED"), conflict("summary", "mine")]);
    expect(merge(newer, older)).toMatchObject({ summary: "theirs", status: "HANDED_OVER" });
  });

  it("merges data by key, deletions too", () => {
    const merged = merge(
      { data: { a: 2, mine: [1] }, updateTime: at(2) },
      { data: { a: 3, gone: true, theirs: null }, updateTime: at(1) },
    );
    expect(merged.data).toEqual({ a: 2, mine: [1], theirs: null });
    expect(merged.conflicts).toMatchObject([{ field: "data.a", value: "3" }]);
  });

  it("keeps every turn and note of both, in order of time", () => {
    const note = (text: string, seconds: number) => ({ time: at(seconds), author: "a", text });
    const merged = merge(
      {
        turns: [
          turn("1", { time: at(1) }),
          turn("3", { time: at(3), text: "mine" }),
          turn("4", { time: at(4) }),
        ],
        notes: [note("x", 1), note("z", 3)],
      },
      {
        turns: [
          turn("1", { time: at(1), heard: "half" }),
          turn("2", { time: at(2) }),
          turn("3", { time: at(3) }),
        ],
        notes: [note("x", 1), note("y", 2)],
      },
    );
    expect(merged.turns.map((t) => [t.id, t.heard])).toEqual([
      ["1", "half"],
      ["2", ""],
      ["3", ""],
      ["4", ""],
    ]);
    expect(merged).toMatchObject({ turnCount: 4, truncated: false });
    expect(merged.notes.map((n) => n.text)).toEqual(["x", "y", "z"]);
    expect(merged.conflicts).toMatchObject([{ field: "turns.3", value: "mine" }]);
  });

  it("does not let the guess of a first write replace what the store knows", () => {
    const guess = context({ caller: "+15550100", locale: "en-US" });
    const mine = { ...guess, status: "ESCALATING" as const, updateTime: at(9) };
    const stored = context({ caller: "+15550100", locale: "de", summary: "s", createTime: at(-60) });
    const merged = mergeContexts(mine, unknownBase(guess), stored, at(500));
    expect(merged).toMatchObject({ locale: "de", summary: "s", status: "ESCALATING", createTime: at(-60) });
    // ACTIVE was what every context begins with, but nobody knows whether the other meant it.
    expect(merged.conflicts).toMatchObject([{ field: "status", value: "ACTIVE" }]);
    const bare = mergeContexts(mine, unknownBase(guess), context({ caller: "", locale: "" }), at(500));
    expect(bare).toMatchObject({ caller: "+15550100", locale: "en-US" });
  });

  it("takes nothing for deleted of which the other never knew", () => {
    const base = commonBase(knownBase(BASE), { kind: "none" });
    const merged = mergeContexts({ ...BASE, outcome: "o" }, base, context({ data: { b: 1 } }), at(500));
    expect(merged).toMatchObject({ data: { a: 1, gone: true, b: 1 }, summary: "base", outcome: "o" });
    expect(commonBase(knownBase(BASE), knownBase(BASE))).toEqual(knownBase(BASE));
  });

  it("lets a refused transcript stay refused, also in the conflicts", () => {
    const merged = merge(
      { consent: { transcript: false }, updateTime: at(1), turns: [] },
      {
        consent: { transcript: true },
        summary: "words",
        turns: [turn("1")],
        updateTime: at(2),
        conflicts: [{ time: at(0), field: "turns.9", value: "words", writeTime: at(0) }],
      },
    );
    expect(merged).toMatchObject({ consent: { transcript: false }, turns: [], turnCount: 0, summary: "" });
    expect(JSON.stringify(merged)).not.toContain("words");
  });
});

describe("what a replay does", () => {
  const mine = context({ summary: "mine", revision: 2, updateTime: at(1) });

  it.each<[string, CallContext, MergeBase, CallContext | undefined, string]>([
    ["nothing is there", mine, { kind: "none" }, undefined, "write"],
    ["nothing is there any more", mine, knownBase(BASE), undefined, "write"],
    ["it is there", mine, knownBase(BASE), { ...mine, lineage: ["x"] }, "nothing"],
    ["what it was made from is there", mine, knownBase(BASE), BASE, "write"],
    [
      "an earlier waiting state of it is there",
      descended(mine, context()),
      { kind: "none" },
      context(),
      "write",
    ],
    [
      "something made of it is there",
      mine,
      { kind: "none" },
      descended(context({ revision: 9 }), mine),
      "nothing",
    ],
    ["something else is there", mine, knownBase(BASE), context({ summary: "theirs" }), "merge"],
    ["something is there and nothing was", mine, { kind: "none" }, BASE, "merge"],
  ])("when %s", (_name, waiting, base, stored, step) => {
    expect(replayStep(waiting, base, stored, at(500)).do).toBe(step);
  });

  it("leaves a trace that makes a repetition harmless", () => {
    const step = replayStep(mine, knownBase(BASE), context({ summary: "theirs" }), at(500));
    if (step.do !== "merge") throw new Error("a merge was expected");
    expect(replayStep(mine, knownBase(BASE), step.context, at(600)).do).toBe("nothing");
    const changed = { ...step.context, revision: 9, outcome: "later" };
    expect(replayStep(mine, knownBase(BASE), changed, at(600)).do).toBe("nothing");
  });

  it("hashes what is said, however it is stored", () => {
    expect(contextHash(context({ data: { a: 1, b: 2 } }))).toBe(
      contextHash(context({ data: { b: 2, a: 1 } })),
    );
    expect(contextHash(context({ lineage: ["x"], conflicts: [] }))).toBe(contextHash(context()));
    expect(contextHash(context({ summary: "x" }))).not.toBe(contextHash(context()));
  });
});
