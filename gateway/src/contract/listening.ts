import type { ListenCallRequest } from "@callweave/proto";
import type { GatewayApi } from "../gateway-api.js";
import type { Credential } from "./authenticator.js";
import { toPbAudioFormat } from "./convert.js";
import { type ListenSink, ListenWriter } from "./listen-writer.js";
import { clientActor, listenRequest } from "./operations.js";

/** A listener on some wire. */
export interface OpenListening {
  /** Stops; may be called more than once. Answers how much audio was dropped for a slow receiver, in ms, once. */
  stop(): number;
}

/**
 * Begins to hear a call; the messages of ListenCall go to `sink`, and wait there up to `maxListenMs` of audio. Aborted
 * meanwhile, nothing is heard. Rejects with CallError.
 */
export async function openListening(
  api: GatewayApi,
  request: ListenCallRequest,
  credential: Credential,
  sink: ListenSink,
  maxListenMs: number,
  signal: AbortSignal,
): Promise<OpenListening> {
  const { callId, source, format } = listenRequest(request);
  const { sampleRateHz } = await api.calls.get(credential.tenant, callId);
  const writer = new ListenWriter(sink, sampleRateHz, maxListenMs);
  const listening = await api.calls.listen(clientActor(credential), callId, source, format, writer);
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
