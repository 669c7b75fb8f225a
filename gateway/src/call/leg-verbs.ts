import type { ConnectOutcome } from "../telephony/telephony.js";
import { cancelled } from "./after-wait.js";
import type { CallCore } from "./call-core.js";
import { fromTelephony, outcomeUnknown, unlessAborted } from "./call-core.js";
import { CallError } from "./call-error.js";
import type { AgentMode } from "./call-state.js";

/** Answers. */
export async function answer(core: CallCore): Promise<void> {
  try {
    await unlessAborted(core.leg.answer(), core.over, core.facts.callId);
  } catch (error) {
    const known = fromTelephony(error, core.facts.callId, "AnswerCall");
    if (known.reason === "OUTCOME_UNKNOWN") core.answerUnknown = true;
    throw known;
  }
  if (core.lifecycle.answered(core.clock.wallNow())) core.events.record({ type: "answered" });
  core.updateOutlet();
}

/** Sets who hears the agent leg. */
export async function setMode(core: CallCore, mode: AgentMode): Promise<void> {
  try {
    await unlessAborted(core.leg.setAgentMode(mode), core.over, core.facts.callId);
  } catch (error) {
    throw fromTelephony(error, core.facts.callId, "SetAgentMode");
  }
  if (core.lifecycle.modeSet(mode)) core.events.record({ type: "modeSet", mode });
  core.updateOutlet();
}

/**
 * Rings the callee. `pickedUp` runs synchronously with the news, before any more audio goes out. The attempt is stored
 * before it has an effect.
 */
export async function ringCallee(
  core: CallCore,
  ringTimeSeconds: number,
  whileRinging: "HOLD_AUDIO" | "AGENT",
  signal: AbortSignal,
  pickedUp: () => void = () => {},
): Promise<ConnectOutcome> {
  const { callId } = core.facts;
  core.flags.ringing = whileRinging;
  core.updateOutlet();
  try {
    await unlessAborted(core.events.record({ type: "ringing", ringTimeSeconds }), signal, callId);
    const connecting = core.leg.connect(ringTimeSeconds).then((outcome) => {
      // Also when nobody waits for it any more: the state follows what happened at the provider.
      if (outcome === "connected" && core.lifecycle.connected(core.clock.wallNow())) {
        if (!signal.aborted) pickedUp();
        core.events.record({ type: "connected" });
        core.updateOutlet();
      }
      return outcome;
    });
    const outcome = await unlessAborted(connecting, signal, callId);
    if (core.lifecycle.ended) throw cancelled(callId, "CALL_ENDED");
    return outcome;
  } catch (error) {
    throw fromTelephony(error, callId, "ConnectCall");
  } finally {
    core.flags.ringing = undefined;
    core.updateOutlet();
  }
}

/** ConnectCall: an unanswered or unknown outcome is an error. */
export async function connect(core: CallCore, ringTimeSeconds: number, signal: AbortSignal): Promise<void> {
  const { callId } = core.facts;
  const outcome = await ringCallee(core, ringTimeSeconds, "AGENT", signal);
  if (outcome === "unknown") throw outcomeUnknown(callId, "ConnectCall");
  if (outcome === "unanswered") {
    throw new CallError("CALLEE_UNANSWERED", `nobody picked up within ${ringTimeSeconds} s`, {
      call_id: callId,
      ring_time_seconds: String(ringTimeSeconds),
    });
  }
}

/** The agent leg leaves: in CONNECTED the parties talk on, else the call is over. */
export async function close(core: CallCore): Promise<void> {
  const reason = core.lifecycle.state === "CONNECTED" ? "LEFT_TO_PARTIES" : "DISCONNECTED";
  core.expectedEnd = reason;
  try {
    await untilOver(core, core.leg.close());
  } catch (error) {
    if (!core.lifecycle.ended) core.expectedEnd = undefined;
    throw fromTelephony(error, core.facts.callId, "CloseCall");
  }
  core.end(reason);
}

/** Ends the call for everyone. */
export async function disconnect(core: CallCore): Promise<void> {
  core.expectedEnd = "DISCONNECTED";
  try {
    await untilOver(core, core.leg.disconnect());
  } catch (error) {
    if (!core.lifecycle.ended) core.expectedEnd = undefined;
    throw fromTelephony(error, core.facts.callId, "DisconnectCall");
  }
  core.end("DISCONNECTED");
}

/** The command, or the end of the call, which is what it was for. */
function untilOver(core: CallCore, command: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = () => resolve();
    if (core.over.aborted) over();
    core.over.addEventListener("abort", over, { once: true });
    command.then(resolve, reject).finally(() => core.over.removeEventListener("abort", over));
  });
}
