import { type Call, type CallContext, type CallEnd, CallweaveError, type Contexts } from "callweave";
import {
  type CallEndReason,
  type CallerAudio,
  type CallPort,
  type ContextPatch,
  type EscalateRequest,
  type EscalationOutcome,
  type ResumedContext,
  type Turn,
  TurnsRefused,
} from "./call-port.js";
import { PlaybackClock } from "./playback-clock.js";

/** Options of {@link bindCall}. */
export interface CallBindingOptions {
  /** Told when audio could not be queued. Default: nobody. */
  readonly onPlayError?: (error: unknown) => void;
  /**
   * How long escalating and disconnecting may wait for queued audio to be heard, ms; after that they are refused
   * (AFTER_DEADLINE). Default 60 000.
   */
  readonly afterDeadlineMs?: number;
}

/**
 * A call of the Callweave client as the agent's {@link CallPort}.
 * @param contexts where turns and context are written; of a client of its own, so that the last words are written although the
 *   call, or the worker, is over
 */
export function bindCall(call: Call, contexts: Contexts, options: CallBindingOptions = {}): CallPort {
  const { onPlayError = () => {}, afterDeadlineMs = 60_000 } = options;
  const ended = call.ended.then(endReason);
  const clock = new PlaybackClock();
  const queuedMs = () => call.playback.queuedMs + call.playback.aheadMs;
  call.on("playback", () => clock.set(queuedMs()));
  call.on("ended", () => clock.stop());
  return {
    id: call.id,
    caller: call.caller,
    callee: call.callee,
    locale: call.locale,
    attempt: call.attempt,
    sampleRateHz: call.sampleRateHertz,
    context: call.context && resumedContext(call.context),
    ended,
    audio: () => callerAudio(call),
    answer: async () => {
      if (call.state === "PENDING") await call.answer();
    },
    play: (pcm) => {
      call.play(pcm).catch(onPlayError);
      clock.set(queuedMs());
    },
    mark: (name) => call.mark(name).catch(() => "CLEARED" as const),
    clear: () => {
      const cleared = call.clear();
      clock.set(0);
      return cleared;
    },
    queuedMs,
    unheardMs: () => clock.unheardMs,
    appendTurns: async (turns: readonly Turn[]) => {
      await contexts.appendTurns(call.id, turns).catch(asTurnsRefused);
    },
    updateContext: async (patch: ContextPatch) => {
      await contexts.save(call.id, patch);
    },
    escalate: (request) => escalate(call, request, afterDeadlineMs, ended),
    disconnect: async ({ after }) => {
      await call
        .disconnect(after === "NOW" ? {} : { after: "drained", afterDeadlineMs, onInterrupt: "PROCEED" })
        .catch(unlessOver);
    },
  };
}

/** A turn that breaks a rule, or has no room in the context any more, has no better luck the next time. */
function asTurnsRefused(error: unknown): never {
  if (error instanceof CallweaveError) {
    const { reason, code, metadata } = error;
    const full = reason === "LIMIT_REACHED" && metadata.limit?.startsWith("max_turn");
    if (reason === "INVALID_FIELD" || code === "INVALID_ARGUMENT" || full)
      throw new TurnsRefused(reason, { cause: error });
  }
  throw error;
}

async function escalate(
  call: Call,
  request: EscalateRequest,
  afterDeadlineMs: number,
  ended: Promise<CallEndReason>,
): Promise<EscalationOutcome> {
  const callee = { ringTimeSeconds: request.ringSeconds };
  try {
    const { outcome } = await call.escalate({
      reason: request.reason,
      summary: request.summary,
      summarySource: request.summarySource,
      routingHint: request.routingHint,
      target: request.pool === undefined ? { callee } : { pool: request.pool, thenCallee: callee },
      after: "drained",
      afterDeadlineMs,
      onInterrupt: "PROCEED",
    });
    return outcome;
  } catch (error) {
    if (!(error instanceof CallweaveError) || error.reason !== "CALL_OVER") throw error;
    // The call was over before the result came: how it ended tells the result.
    return (await ended) === "LEFT_TO_PARTIES" ? "CONNECTED" : "CALLER_LEFT";
  }
}

async function* callerAudio(call: Call): AsyncGenerator<CallerAudio> {
  for await (const chunk of call.audio()) {
    if (chunk.pcm) yield { kind: "AUDIO", pcm: chunk.pcm, positionMs: chunk.atMs };
    else yield { kind: "GAP", gapMs: chunk.gapMs };
  }
}

/** The contract's reasons as the four that make a difference to the agent. */
export function endReason(end: CallEnd): CallEndReason {
  if (end.cause === "ESCALATED") return "LEFT_TO_PARTIES";
  if (end.cause !== "CALL_ENDED") return "SEAT_LOST";
  if (end.endReason === "LEFT_TO_PARTIES" || end.endReason === "DISCONNECTED") return end.endReason;
  return "HUNG_UP";
}

/** What the offer brought of the call's context. */
export function resumedContext(context: CallContext): ResumedContext {
  return {
    turns: context.turns.map((turn, index) => ({
      id: turn.id ?? `earlier-${index}`,
      role: turn.role,
      text: turn.text,
      locale: turn.locale ?? context.locale ?? "",
      time: turn.time ?? new Date(0),
      ...(turn.heard ? { heard: turn.heard } : {}),
      ...(turn.interrupted ? { interrupted: true } : {}),
    })),
    summary: context.summary ?? "",
    status: context.status ?? "ACTIVE",
    ...(context.escalationReason === undefined ? {} : { escalationReason: context.escalationReason }),
    transcriptAllowed: context.consent?.transcript ?? true,
    ...(context.consent?.disclosedTime ? { disclosedTime: context.consent.disclosedTime } : {}),
  };
}

function unlessOver(error: unknown): void {
  if (!(error instanceof CallweaveError) || error.reason !== "CALL_OVER") throw error;
}
