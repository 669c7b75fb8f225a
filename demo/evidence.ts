import type { CallContext, CallEvent } from "callweave";
import type { Variant } from "./options.js";

/** A stretch of the call, ms since it was placed. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Something that the simulated provider saw. */
export interface ProviderEvent {
  readonly atMs: number;
  /** `in`: came from the gateway, `out`: was sent to it, `none`: happened in the call. */
  readonly direction: "in" | "out" | "none";
  readonly type: string;
  readonly data: unknown;
}

/** An event of the gateway's API, with its time on the axis of the call. */
export type GatewayEvent = CallEvent & { readonly atMs: number };

/**
 * What is known of one call from the outside: the provider's recordings and record, the gateway's public API. Nothing in
 * it comes from the agent's own process.
 */
export interface Evidence {
  readonly variant: Variant;
  readonly callId: string;
  /** How the caller's words reached the agent. */
  readonly speechToText: "pocketsphinx" | "scripted";
  readonly sampleRateHz: number;
  /** Length of the recordings, ms. */
  readonly durationMs: number;
  readonly heard: {
    readonly caller: Int16Array;
    readonly specialist: Int16Array;
    /** What was sent to the gateway. */
    readonly agent: Int16Array;
  };
  readonly said: {
    readonly caller: Int16Array;
    readonly specialist: Int16Array;
    /** The agent's leg as it was played out, hold sound included. */
    readonly agent: Int16Array;
  };
  /** The gateway's hold sound at the rate of the call, one turn of its loop. */
  readonly holdSound: Int16Array;
  /** When audio of the agent's leg was played to the specialist. */
  readonly agentAtSpecialist: readonly Span[];
  readonly providerEvents: readonly ProviderEvent[];
  readonly providerEnd: string | undefined;
  /** From WatchCalls, in their order. */
  readonly gatewayEvents: readonly GatewayEvent[];
  /** The context after everything. */
  readonly context: CallContext | undefined;
  /** The context as the desk read it when the specialist's phone began to ring; when the answer was there. */
  readonly contextWhileRinging: { readonly atMs: number; readonly context: CallContext } | undefined;
}

/** The first event of the provider of that type. */
export function providerEvent(evidence: Evidence, type: string): ProviderEvent | undefined {
  return evidence.providerEvents.find((event) => event.type === type);
}

/** When the specialist's phone rang, attempt by attempt. */
export function ringing(evidence: Evidence): Span[] {
  const spans: Span[] = [];
  let startMs: number | undefined;
  for (const { type, atMs } of evidence.providerEvents) {
    if (type === "ringing") startMs = atMs;
    else if (type.startsWith("ring.") && startMs !== undefined) {
      spans.push({ startMs, endMs: atMs });
      startMs = undefined;
    }
  }
  return spans;
}
