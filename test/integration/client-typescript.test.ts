import { callee, makeTone, say, tone, toneAmplitude, toneSpans, wait } from "@callweave/simulator";
import { type AgentOptions, agent, type Call, type CallHandler, connect, type Worker } from "callweave";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Stack, startStack, until } from "../harness/gateway.js";

// The client library against the real gateway and the simulator, over sockets.
const RATE = 16_000;

let stack: Stack;
const started: (() => unknown)[] = [];

beforeEach(async () => {
  stack = await startStack({ simulator: { playoutBufferMs: 300 } });
});

afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
  await stack.stop();
});

async function startAgent(handler: CallHandler, options: Partial<AgentOptions> = {}): Promise<Worker> {
  const worker = agent(
    {
      endpoint: stack.address,
      agentId: "hello",
      capacity: 10,
      audioFormat: { sampleRateHertz: RATE },
      onError: (error) => {
        errors.push(error);
      },
      onStatus: () => {},
      ...options,
    },
    handler,
  );
  const errors: unknown[] = [];
  started.push(async () => {
    await worker.close();
    expect(errors).toEqual([]);
  });
  await worker.start();
  return worker;
}

function observer() {
  const client = connect({ endpoint: stack.address });
  started.push(() => client.close());
  return client;
}

/** s16le of a pure tone. */
function pcmTone(frequencyHz: number, seconds: number): Buffer {
  const samples = makeTone(frequencyHz, seconds, RATE, 8_000);
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

describe("an agent in a few lines", () => {
  it("answers, speaks, hears, and ends the call behind its words when it returns", async () => {
    let heard = 0;
    await startAgent(async (call) => {
      await call.play(pcmTone(440, 0.8));
      for await (const chunk of call.audio()) {
        if (!chunk.pcm) continue;
        const samples = new Int16Array(chunk.pcm.length / 2);
        for (let i = 0; i < samples.length; i++) samples[i] = chunk.pcm.readInt16LE(i * 2);
        heard = Math.max(heard, toneAmplitude(samples, RATE, 1_000));
        if (heard > 1_000) break;
      }
      call.play(pcmTone(600, 0.8));
    });
    const call = stack.simulator.placeCall({ caller: [wait(0.3), tone(1_000, 20, 8_000)] });
    await call.waitFor("ANSWERED", 10_000);
    await call.waitFor("DISCONNECTED", 20_000);
    expect(heard).toBeGreaterThan(1_000);
    const { caller, sampleRate } = call.recording;
    const answered = call.events.find((event) => event.type.includes("answer"))?.callMs ?? 0;
    expect(sampleRate).toBe(RATE);
    expect(answered).toBeLessThan(call.recording.durationMs);
    expect(toneAmplitude(caller, RATE, 440)).toBeGreaterThan(500);
    // The last word was heard to its end: 0.8 s of it are in the recording.
    const spans = call.recording.agentSpansAt("caller");
    expect(spans.reduce((sum, s) => sum + s.endMs - s.startMs, 0)).toBeGreaterThanOrEqual(1_580);
  });

  it("tells when words were heard and drops them at an interrupt", async () => {
    const results: Record<string, unknown> = {};
    const done = new Promise<void>((resolve, reject) => {
      startAgent(async (call) => {
        const begin = performance.now();
        call.play(pcmTone(440, 0.5));
        results.first = await call.mark("first");
        results.firstMs = performance.now() - begin;
        const playing = call.play(pcmTone(500, 20));
        const mark = call.mark("never");
        await until(() => call.playback.playedMs > 800, "the second tone is heard");
        results.cleared = await call.clear();
        results.playing = await playing;
        results.mark = await mark;
        call.play(pcmTone(700, 0.4));
        results.last = await call.drained();
      }).catch(reject);
      void until(() => results.last, "all was said", 20_000).then(() => resolve(), reject);
    });
    const call = stack.simulator.placeCall();
    await done;
    await call.waitFor("DISCONNECTED", 20_000);
    expect(results).toMatchObject({ first: "PLAYED", playing: "CLEARED", mark: "CLEARED", last: "PLAYED" });
    expect(results.firstMs).toBeGreaterThan(400);
    const cleared = results.cleared as { droppedMs: number; playedMs: number };
    expect(cleared.droppedMs).toBeGreaterThan(17_000);
    expect(cleared.playedMs).toBeGreaterThan(700);
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(300);
  });

  it("ends its handler's work when the caller hangs up", async () => {
    let ended: unknown;
    let begun = false;
    await startAgent(async (call) => {
      begun = true;
      call.signal.addEventListener("abort", () => {
        ended = call.signal.reason;
      });
      for await (const _ of call.audio());
      await call.play(pcmTone(440, 1));
    });
    const call = stack.simulator.placeCall();
    await until(() => begun, "the handler");
    call.hangUp();
    await until(() => ended, "the end of the call");
    expect(ended).toMatchObject({ reason: "CALL_OVER", metadata: { cause: "CALL_ENDED" } });
  });
});

describe("escalation", () => {
  it("says, saves, connects and leaves", async () => {
    let outcome: unknown;
    let calls = 0;
    await startAgent(async (call) => {
      calls++;
      await call.appendTurns([{ id: "t-1", role: "CALLER", text: "I want a person." }]);
      await call.play(pcmTone(440, 1));
      outcome = await call.escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: "The caller wants a person.",
        data: { topic: "invoice" },
        target: { callee: { ringTimeSeconds: 20 } },
      });
    });
    const call = stack.simulator.placeCall({
      callee: callee.picksUp({ afterSeconds: 0.5, script: [say("Hello, how can I help?", "rms")] }),
    });
    await call.waitUntil(() => call.agentLeft, { timeoutMs: 20_000 });
    await until(() => outcome, "the outcome");
    expect(outcome).toEqual({ outcome: "CONNECTED", durability: "STORE" });
    expect(call.state).not.toBe("DISCONNECTED");
    // The announcement was over before the callee's phone rang.
    const [announcement] = toneSpans(call.recording.caller, RATE, 440, { bridgeMs: 60 });
    const connecting = call.events.find((event) => event.type === "call.connect")?.callMs ?? 0;
    expect(announcement!.endMs - announcement!.startMs).toBeGreaterThanOrEqual(960);
    expect(connecting).toBeGreaterThanOrEqual(announcement!.endMs);
    const context = await observer().contexts.get(call.id);
    expect(context).toMatchObject({
      status: "HANDED_OVER",
      escalationReason: "ASKED_FOR_HUMAN",
      escalationOutcome: "CONNECTED",
      summary: "The caller wants a person.",
      data: { topic: "invoice" },
      turns: [{ id: "t-1", role: "CALLER" }],
    });
    expect(calls).toBe(1);
    call.hangUp();
  });

  it("leaves the call with the agent when nobody is there", async () => {
    let outcome: string | undefined;
    await startAgent(async (call) => {
      ({ outcome } = await call.escalate({
        reason: "FRUSTRATED",
        target: { callee: { ringTimeSeconds: 20 } },
      }));
      await call.play(pcmTone(700, 0.5));
    });
    const call = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await call.waitFor("DISCONNECTED", 20_000);
    expect(outcome).toBe("UNANSWERED");
    expect(toneAmplitude(call.recording.caller, RATE, 700)).toBeGreaterThan(200);
  });
});

describe("observers", () => {
  it("watch, hear and command a call, and send notes to its agent", async () => {
    const notes: string[] = [];
    let held: Call | undefined;
    await startAgent(async (call) => {
      held = call;
      call.on("note", ({ text }) => notes.push(text));
      await call.ended;
    });
    const client = observer();
    const { cursor } = await client.calls.list();
    const types: string[] = [];
    const abort = new AbortController();
    const watching = (async () => {
      for await (const item of client.calls.watch({ cursor, signal: abort.signal })) {
        if (item.type !== "event") continue;
        types.push(item.event.type);
        if (item.event.type === "ended") break;
      }
    })();
    const call = stack.simulator.placeCall({ caller: [tone(1_000, 30, 8_000)] });
    await call.waitFor("ANSWERED", 10_000);
    await until(() => held?.state === "ANSWERED", "the agent has the call");
    expect(await client.calls.get(call.id)).toMatchObject({ state: "ANSWERED", seat: { agentId: "hello" } });

    const listening = client.calls.listen(call.id, { source: "MIXED" });
    let pcmBytes = 0;
    for await (const chunk of listening) {
      pcmBytes += chunk.pcm?.length ?? 0;
      if (pcmBytes > RATE) break;
    }
    expect(listening.format).toEqual({ encoding: "S16LE", sampleRateHertz: RATE });

    expect(await client.calls.sendNote(call.id, "be brief")).toBe(true);
    await until(() => notes.length > 0, "the note");
    expect(notes).toEqual(["be brief"]);
    await expect(client.calls.setMode(call.id, "SPY")).rejects.toMatchObject({
      reason: "CALL_STATE",
      callId: call.id,
    });
    expect((await client.fleet.agents()).map((a) => [a.agentId, a.callIds])).toEqual([["hello", [call.id]]]);
    expect(await client.fleet.pools()).toMatchObject([{ name: "default", capacity: 10, busy: 1 }]);
    expect(await client.fleet.gateways()).toMatchObject([{ gatewayId: "gateway-test", callCount: 1 }]);

    const result = await client.calls.disconnect(call.id, { waitMs: 5_000 });
    expect(result.pending).toBe(false);
    await watching;
    abort.abort();
    expect(types).toEqual(
      expect.arrayContaining(["arrived", "seatChanged", "answered", "noteSent", "ended"]),
    );
  });
});
