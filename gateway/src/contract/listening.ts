import { AudioSource, type ListenCallRequest } from "@callweave/proto";
import { type AuditSink, NO_AUDIT } from "../audit/audit-sink.js";
import type { AudioFormat } from "../dispatch/agent-port.js";
import type { GatewayApi, Listener, Listening } from "../gateway-api.js";
import type { Credential } from "./authenticator.js";
import { clientActor } from "./client-actor.js";
import { toPbAudioFormat } from "./convert.js";
import { admit, recordDenied } from "./guard.js";
import { type ListenLimits, type ListenSink, ListenWriter } from "./listen-writer.js";
import { audioFormat, callId, enumName } from "./validate.js";

const OPERATION = "CallService/ListenCall";

/** A call that somebody may hear. */
export interface AdmittedListener {
  readonly callId: string;
  readonly source: "MIXED" | "AGENT";
  /** As asked for; a rate of 0 means that of the call. */
  readonly format: AudioFormat;
  /** Of the call. */
  readonly sampleRateHz: number;
  /** The gateway that has the call. */
  readonly gatewayId: string;
  /** "client:<name>" */
  readonly actor: string;
  /** Begins to hear, and writes that down. */
  begin(listener: Listener): Promise<Listening>;
  /** Writes down that it hears what somebody else has begun. */
  joined(): void;
}

/**
 * The one way to hear a call, for every wire: checks the request, the rule and that the call is there. Rejects with
 * INVALID_FIELD, PERMISSION_DENIED, CALL_NOT_FOUND.
 */
export async function admitListener(
  api: GatewayApi,
  credential: Credential,
  request: ListenCallRequest,
  audit: AuditSink,
): Promise<AdmittedListener> {
  const id = callId("call_id", request.callId);
  const source = enumName("source", AudioSource, request.source, ["MIXED", "AGENT"] as const, "MIXED");
  const format = audioFormat("format", request.format);
  await admit(api, OPERATION, credential, { callId: id }, audit);
  const actor = clientActor(credential);
  const { sampleRateHz, gatewayId, caller } = await api.calls
    .get(credential.tenant, id)
    .catch((error: unknown) => {
      recordDenied(audit, OPERATION, credential, id, error);
      throw error;
    });
  const joined = () =>
    audit.record({
      tenant: credential.tenant,
      kind: "LISTEN",
      actor: actor.name,
      operation: OPERATION,
      callId: id,
      number: caller,
      details: { source },
    });
  return {
    callId: id,
    source,
    format,
    sampleRateHz,
    gatewayId,
    actor: actor.name,
    joined,
    async begin(listener) {
      const listening = await api.calls.listen(actor, id, source, format, listener);
      joined();
      return listening;
    },
  };
}

/** A listener on some wire. */
export interface OpenListening {
  /** Stops; may be called more than once. Answers how much audio was dropped for a slow receiver, in ms, once. */
  stop(): number;
}

/**
 * Begins to hear a call; the messages of ListenCall go to `sink`, and wait there within `limits`. Aborted
 * meanwhile, nothing is heard. Rejects with CallError.
 */
export async function openListening(
  api: GatewayApi,
  request: ListenCallRequest,
  credential: Credential,
  sink: ListenSink,
  limits: ListenLimits,
  signal: AbortSignal,
  audit: AuditSink = NO_AUDIT,
): Promise<OpenListening> {
  const admitted = await admitListener(api, credential, request, audit);
  const writer = new ListenWriter(sink, admitted.sampleRateHz, limits);
  const listening = await admitted.begin(writer);
  let stopped = false;
  const stop = () => {
    if (stopped) return 0;
    stopped = true;
    writer.close();
    listening.stop();
    return writer.droppedMs;
  };
  if (signal.aborted) stop();
  else writer.start(toPbAudioFormat(listening.format));
  return { stop };
}
