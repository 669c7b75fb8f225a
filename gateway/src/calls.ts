import { createEncoder } from "./audio/converter.js";
import type { Actor, CallCommand, CommandReply } from "./call/call-commands.js";
import { CallError } from "./call/call-error.js";
import type { CallRegistry } from "./call/call-registry.js";
import type { CallSnapshot } from "./call/call-state.js";
import type { AudioFormat } from "./dispatch/agent-port.js";
import { effectiveFormat } from "./dispatch/audio-format.js";
import type { CallFilter, Listener, Listening } from "./gateway-api.js";

/** The calls of this gateway as the wires see them: by tenant, filtered, with listeners in their own format. */
export class Calls {
  constructor(
    private readonly registry: CallRegistry,
    /** Listeners of one call. */
    private readonly maxListeners: number,
  ) {}

  get(tenant: string, callId: string): CallSnapshot {
    return this.registry.get(tenant, callId).snapshot();
  }

  /** Newest first. */
  list(tenant: string, filter: CallFilter): CallSnapshot[] {
    const { pools, states } = filter;
    return this.registry.snapshots(
      tenant,
      filter.callIds,
      (call) =>
        (pools.length === 0 || pools.includes(call.facts.pool)) &&
        (states.length === 0 || states.includes(call.lifecycle.state)),
    );
  }

  execute(
    actor: Actor,
    callId: string,
    requestId: string,
    command: CallCommand,
    waitMs: number,
  ): Promise<CommandReply> {
    return this.registry.get(actor.tenant, callId).execute(actor, requestId, command, waitMs);
  }

  listen(
    actor: Actor,
    callId: string,
    source: "MIXED" | "AGENT",
    format: AudioFormat,
    listener: Listener,
  ): Listening {
    const call = this.registry.get(actor.tenant, callId);
    if (call.lifecycle.ended || !("audio" in call))
      throw new CallError("CALL_STATE", "the call is over", endedMetadata(callId));
    if (call.audio.tapCount >= this.maxListeners) {
      throw new CallError("LIMIT_REACHED", `at most ${this.maxListeners} listeners per call`, {
        limit: "max_listeners_per_call",
        max: String(this.maxListeners),
      });
    }
    const actual = effectiveFormat(format, call.facts.sampleRateHz);
    const encoder = createEncoder(call.facts.sampleRateHz, actual);
    const stop = call.audio.tap(source, {
      audio(position, pcm) {
        const encoded = encoder.encode(pcm);
        if (encoded.length > 0) listener.audio(position, pcm.length >> 1, encoded);
      },
      gap(from, durationMs, reason) {
        encoder.reset();
        listener.gap(from, durationMs, reason);
      },
      ended: () => listener.ended(call.lifecycle.endReason ?? "TERMINATED"),
    });
    return { format: actual, stop };
  }
}

function endedMetadata(callId: string): Record<string, string> {
  return { call_id: callId, state: "DISCONNECTED", verb: "ListenCall", allowed: "" };
}
