// An agent of the marathon, a process to be killed and frozen. Talks for a moment, writes a turn, escalates. Prints what it is
// told and what it does as JSON lines. Environment: MARATHON_AGENT, see AgentSettings.
import { agent, type Call, CallweaveError } from "callweave";
import type { AgentSettings } from "./agent-process.js";
import { numberedTone } from "./numbers.js";

const settings = JSON.parse(process.env.MARATHON_AGENT ?? "{}") as AgentSettings;
const { voice, lane, plant } = settings;
const say = (callId: string, note: object) =>
  process.stdout.write(`${JSON.stringify({ callId, atMs: Date.now(), ...note })}\n`);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const TRANSIENT = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED"]);
const RETRY_MS = 200;
const RING_SECONDS = 20;

/** Again under the same id while nobody could be asked, as long as the agent has the call. */
async function patiently<T>(call: Call, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const again = error instanceof CallweaveError && TRANSIENT.has(String(error.code));
      if (!again || call.signal.aborted) throw error;
      await pause(RETRY_MS);
    }
  }
}

async function writeTurn(call: Call): Promise<void> {
  const id = `${call.epoch}-${voice}`;
  const text = `I am agent ${voice}, and it is epoch ${call.epoch}.`;
  say(call.id, { type: "writing", turnId: id, text });
  const sent = plant === "altered-turn" ? `${text} Really.` : text;
  if (plant !== "lost-turn") await patiently(call, () => call.appendTurns([{ id, role: "AI", text: sent }]));
  say(call.id, { type: "written", turnId: id });
}

/** Hands over to the callee; when that cannot be known or does not work, ends what is left of the call. */
async function handOver(call: Call): Promise<void> {
  if (!call.context?.escalationOutcome && call.state !== "CONNECTED") {
    say(call.id, { type: "escalating" });
    try {
      const { outcome } = await call.escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: `Wants a person. (${call.caller})`,
        target: { callee: { ringTimeSeconds: RING_SECONDS } },
      });
      say(call.id, { type: "escalated", outcome });
      if (outcome === "CONNECTED") return;
    } catch (error) {
      say(call.id, { type: "trouble", text: `escalation: ${error}` });
      if (call.signal.aborted) return;
    }
  }
  await patiently(call, () => call.disconnect());
}

const worker = agent(
  {
    endpoints: settings.endpoints,
    agentId: `agent-${lane}-${voice}`,
    instanceId: settings.instance,
    pool: `lane-${lane}`,
    capacity: 2,
    sendAheadMs: 400,
    noAudio: true,
    whenHandlerReturns: "keep",
    async accept(offer) {
      say(offer.call.callId, { type: "offer", text: "" });
      await pause(settings.thinkMs);
      return true;
    },
    onStatus: (status) => say("", { type: "trouble", text: status.type }),
    onError: (error, callId) => say(callId ?? "", { type: "trouble", text: String(error) }),
  },
  async (call) => {
    say(call.id, { type: "given", epoch: call.epoch });
    call.on("event", ({ type, sequence, durable }) =>
      say(call.id, { type: "event", event: type, sequence, durable }),
    );
    call.on("ended", ({ cause }) => say(call.id, { type: "ended", text: cause }));
    const hush = new AbortController();
    const until = AbortSignal.any([call.signal, hush.signal]);
    void call.play(numberedTone(voice, lane, call.epoch, call.sampleRateHertz, until)).catch(() => {});
    const trouble = (error: unknown) => say(call.id, { type: "trouble", text: String(error) });
    await writeTurn(call).catch(trouble);
    await pause(settings.talkMs);
    hush.abort();
    await handOver(call).catch(trouble);
  },
);
worker.run().catch((error) => say("", { type: "trouble", text: `fatal: ${error}` }));
await worker.start();
say("", { type: "ready" });
