import { type Call, type CallEnd, CallweaveError, type Contexts } from "callweave";
import { describe, expect, it } from "vitest";
import { bindCall, endReason, resumedContext } from "./call-binding.js";
import { type EscalateRequest, TurnsRefused } from "./call-port.js";

const REQUEST: EscalateRequest = {
  reason: "ASKED_FOR_HUMAN",
  summary: "A summary.",
  summarySource: "RULES",
  routingHint: "billing",
  ringSeconds: 20,
  after: "PLAYBACK_DRAINED",
};

const over = () => new CallweaveError("CALL_OVER", "ABORTED", "over", {});

/** As much of a call of the client as the binding looks at. */
function bind(
  parts: Partial<Record<keyof Call, unknown>> = {},
  contexts: Partial<Contexts> = {},
  options = {},
) {
  const end = { resolve: (_: CallEnd) => {} };
  const ended = new Promise<CallEnd>((resolve) => {
    end.resolve = resolve;
  });
  const call = {
    id: "call-1",
    caller: "+15550101",
    callee: "+15550100",
    locale: "en",
    attempt: 1,
    sampleRateHertz: 16_000,
    context: undefined,
    state: "PENDING",
    playback: { queuedMs: 300, aheadMs: 700, playedMs: 0 },
    ended,
    on: () => () => {},
    ...parts,
  } as unknown as Call;
  return { port: bindCall(call, contexts as Contexts, options), end };
}

describe("bindCall", () => {
  it("answers a call that nobody has answered, and no other", async () => {
    let answers = 0;
    const answer = async () => {
      answers++;
    };
    await bind({ answer }).port.answer();
    await bind({ answer, state: "ANSWERED" }).port.answer();
    expect(answers).toBe(1);
  });

  it("escalates to the original callee behind the queued audio, whatever the caller says meanwhile", async () => {
    const requests: unknown[] = [];
    const escalate = async (request: unknown) => {
      requests.push(request);
      return { outcome: "UNANSWERED" };
    };
    expect(await bind({ escalate }).port.escalate(REQUEST)).toBe("UNANSWERED");
    expect(requests[0]).toMatchObject({
      reason: "ASKED_FOR_HUMAN",
      summarySource: "RULES",
      routingHint: "billing",
      target: { callee: { ringTimeSeconds: 20 } },
      after: "drained",
      onInterrupt: "PROCEED",
    });
    await bind({ escalate }).port.escalate({ ...REQUEST, pool: "humans" });
    expect(requests[1]).toMatchObject({ target: { pool: "humans", thenCallee: { ringTimeSeconds: 20 } } });
  });

  it.each([
    ["LEFT_TO_PARTIES", "CONNECTED"],
    ["TERMINATED", "CALLER_LEFT"],
  ] as const)(
    "tells the outcome of a call that was over before the result: %s is %s",
    async (reason, outcome) => {
      const { port, end } = bind({ escalate: () => Promise.reject(over()) });
      end.resolve({ cause: "CALL_ENDED", endReason: reason });
      expect(await port.escalate(REQUEST)).toBe(outcome);
    },
  );

  it("passes other refusals on", async () => {
    const refusal = new CallweaveError("PENDING_COMMAND", "ABORTED", "another one", {});
    const { port } = bind({ escalate: () => Promise.reject(refusal) });
    await expect(port.escalate(REQUEST)).rejects.toBe(refusal);
  });

  it("disconnects behind the queued audio; a call that is over already is as good", async () => {
    const requests: unknown[] = [];
    const disconnect = async (request: unknown) => {
      requests.push(request);
      if (requests.length > 1) throw over();
    };
    const { port } = bind({ disconnect });
    await port.disconnect({ after: "PLAYBACK_DRAINED" });
    await port.disconnect({ after: "NOW" });
    expect(requests).toEqual([expect.objectContaining({ after: "drained", onInterrupt: "PROCEED" }), {}]);
  });

  it("waits so long for queued audio as it is told", async () => {
    const requests: unknown[] = [];
    const disconnect = async (request: unknown) => requests.push(request);
    await bind({ disconnect }, {}, { afterDeadlineMs: 5 }).port.disconnect({ after: "PLAYBACK_DRAINED" });
    await bind({ disconnect }).port.disconnect({ after: "PLAYBACK_DRAINED" });
    expect(requests).toMatchObject([{ afterDeadlineMs: 5 }, { afterDeadlineMs: 60_000 }]);
  });

  it("takes a mark that will never come for cleared, and counts what is queued anywhere", async () => {
    const { port } = bind({ mark: () => Promise.reject(over()) });
    expect(await port.mark("x")).toBe("CLEARED");
    expect(port.queuedMs()).toBe(1_000);
  });

  it("tells what was not heard when the call ended, though its queue is gone then", async () => {
    const listeners: Record<string, () => void> = {};
    const playback = { queuedMs: 0, aheadMs: 0, playedMs: 0 };
    const { port } = bind({
      playback,
      play: async () => {
        playback.queuedMs = 60_000;
      },
      on: (name: string, listener: () => void) => {
        listeners[name] = listener;
      },
    });
    port.play(Buffer.alloc(2));
    expect(port.unheardMs()).toBeGreaterThan(30_000);
    Object.assign(playback, { queuedMs: 100_000, aheadMs: 20_000 });
    listeners.playback?.();
    expect(port.unheardMs()).toBeGreaterThan(90_000);
    Object.assign(playback, { queuedMs: 0, aheadMs: 0 });
    listeners.ended?.();
    const left = port.unheardMs();
    expect(left).toBeGreaterThan(90_000);
    expect(port.unheardMs()).toBe(left);
  });

  it("hears audio and gaps", async () => {
    async function* audio() {
      yield { pcm: Buffer.alloc(640), positionSamples: 0, atMs: 0 };
      yield { gapMs: 40, reason: "PROVIDER", positionSamples: 320, atMs: 20 };
    }
    const heard = [];
    for await (const item of bind({ audio }).port.audio()) heard.push(item.kind);
    expect(heard).toEqual(["AUDIO", "GAP"]);
  });

  it("writes context and turns by the call's id", async () => {
    const written: unknown[] = [];
    const contexts = {
      save: async (...args: unknown[]) => written.push(args),
      appendTurns: async (...args: unknown[]) => written.push(args),
    } as unknown as Contexts;
    const { port } = bind({}, contexts);
    await port.updateContext({ status: "ENDED" });
    await port.appendTurns([]);
    expect(written).toEqual([
      ["call-1", { status: "ENDED" }],
      ["call-1", []],
    ]);
  });

  it.each([
    ["INVALID_FIELD", "INVALID_ARGUMENT", {}, true],
    ["TRANSPORT", "INVALID_ARGUMENT", {}, true],
    ["LIMIT_REACHED", "RESOURCE_EXHAUSTED", { limit: "max_turns" }, true],
    ["LIMIT_REACHED", "RESOURCE_EXHAUSTED", { limit: "max_requests" }, false],
    ["CONTEXT_NOT_SAVED", "UNAVAILABLE", {}, false],
    ["TRANSPORT", "DEADLINE_EXCEEDED", {}, false],
  ] as const)(
    "tells turns refused for good from those to send again: %s %s %j",
    async (reason, code, metadata, refused) => {
      const error = new CallweaveError(reason, code, "no", metadata);
      const contexts = { appendTurns: () => Promise.reject(error) } as unknown as Contexts;
      const thrown = await bind({}, contexts)
        .port.appendTurns([])
        .catch((caught: unknown) => caught);
      expect(thrown instanceof TurnsRefused).toBe(refused);
      expect(refused ? (thrown as Error).cause : thrown).toBe(error);
    },
  );

  it.each([
    [{ cause: "CALL_ENDED", endReason: "TERMINATED" }, "HUNG_UP"],
    [{ cause: "CALL_ENDED", endReason: "MEDIA_LOST" }, "HUNG_UP"],
    [{ cause: "CALL_ENDED", endReason: "DISCONNECTED" }, "DISCONNECTED"],
    [{ cause: "CALL_ENDED", endReason: "LEFT_TO_PARTIES" }, "LEFT_TO_PARTIES"],
    [{ cause: "ESCALATED" }, "LEFT_TO_PARTIES"],
    [{ cause: "TRANSFERRED" }, "SEAT_LOST"],
    [{ cause: "GRACE_EXPIRED" }, "SEAT_LOST"],
    [{ cause: "LOST" }, "SEAT_LOST"],
    [{ cause: "CLOSED" }, "SEAT_LOST"],
  ] as const)("%j is %s", (end, reason) => {
    expect(endReason(end)).toBe(reason);
  });

  it("reads what another agent left", () => {
    const context = resumedContext({
      turns: [
        { id: "1-a1", role: "AI", text: "Hello there", heard: "Hello", interrupted: true },
        { role: "CALLER", text: "hi", heard: "", interrupted: false },
      ],
      summary: "A summary.",
      status: "ESCALATING",
      escalationReason: "FRUSTRATED",
      consent: { transcript: false, disclosedTime: new Date(5) },
      locale: "en",
    } as never);
    expect(context).toMatchObject({
      status: "ESCALATING",
      escalationReason: "FRUSTRATED",
      transcriptAllowed: false,
      disclosedTime: new Date(5),
    });
    expect(context.turns[0]).toMatchObject({ heard: "Hello", interrupted: true });
    expect(context.turns[1]).not.toHaveProperty("heard");
  });
});
