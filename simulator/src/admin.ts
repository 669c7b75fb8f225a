import type { IncomingMessage, ServerResponse } from "node:http";
import { RECORDING_TRACKS, type RecordingTrack } from "./audio/recording.js";
import { decodeWav, encodeWav } from "./audio/wav.js";
import type { SimCall } from "./call.js";
import { hangUp, play, type Script, say, wait, waitForAgent } from "./party/script.js";
import { sendError, sendJson } from "./plane/rest.js";
import type { Simulator } from "./simulator.js";
import { parseCallee, parseFault, scheduleFault } from "./spec.js";

/** A call as the CLI asks for it; also the body of `POST /simulator/v1/calls`. */
export interface CallSpec {
  readonly connector?: string;
  readonly from?: string;
  readonly to?: string;
  /** A WAV file's bytes in base64: the caller plays it after the agent has spoken (or after 1 s). */
  readonly wavBase64?: string;
  /** Sentences the caller says, each after the agent has finished. */
  readonly say?: readonly string[];
  /** Callee per attempt to connect, see `parseCallee`. */
  readonly callee?: readonly string[];
  /** Faults, see `parseFault`. */
  readonly faults?: readonly string[];
  /** Hang up so many seconds after the last words. Absent: stay on the line. */
  readonly hangUpAfterSeconds?: number;
  readonly patienceSeconds?: number;
  readonly seed?: number;
}

/** What `GET /simulator/v1/calls/{id}` answers. */
export interface CallReport {
  readonly id: string;
  readonly state: string;
  readonly endReason: string | null;
  readonly ringing: boolean;
  readonly agentMode: string;
  readonly agentLeft: boolean;
  readonly durationMs: number;
  readonly stats: SimCall["stats"];
  /** The log without buffer requests. */
  readonly events: readonly { readonly callMs: number; readonly type: string; readonly data: unknown }[];
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Places a call described by a spec. */
export function placeCallFromSpec(simulator: Simulator, spec: CallSpec): SimCall {
  const script: Script[number][] = [];
  if (spec.wavBase64 !== undefined)
    script.push(wait(1), play(decodeWav(Buffer.from(spec.wavBase64, "base64"))));
  for (const text of spec.say ?? []) script.push(...waitForAgent(), say(text));
  if (spec.hangUpAfterSeconds !== undefined) script.push(wait(spec.hangUpAfterSeconds), hangUp());
  const faults = (spec.faults ?? []).map(parseFault);
  const call = simulator.placeCall({
    ...(spec.connector ? { connector: spec.connector } : {}),
    ...(spec.from !== undefined ? { from: spec.from } : {}),
    ...(spec.to ? { to: spec.to } : {}),
    ...(spec.seed !== undefined ? { seed: spec.seed } : {}),
    ...(spec.patienceSeconds !== undefined ? { patienceSeconds: spec.patienceSeconds } : {}),
    ...(spec.callee?.length ? { callee: spec.callee.map(parseCallee) } : {}),
    caller: script,
  });
  for (const fault of faults) scheduleFault(simulator, call, fault);
  return call;
}

/** The state of a call in JSON. */
export function reportOf(call: SimCall): CallReport {
  return {
    id: call.id,
    state: call.state,
    endReason: call.endReason ?? null,
    ringing: call.ringing,
    agentMode: call.agentMode,
    agentLeft: call.agentLeft,
    durationMs: call.recording.durationMs,
    stats: call.stats,
    events: call.events
      .filter(({ type }) => type !== "buffer_request")
      .map(({ callMs, type, data }) => ({ callMs: Math.round(callMs), type, data })),
  };
}

/** The control API of the CLI: no authentication, so for loopback only. @internal */
export function handleAdmin(request: IncomingMessage, response: ServerResponse, simulator: Simulator): void {
  // A page in a browser must not place calls here: only plain clients send no Origin.
  if (request.headers.origin !== undefined) {
    sendError(response, 403, "FORBIDDEN", "browsers may not use this API");
    return;
  }
  const path = new URL(request.url ?? "/", "http://localhost").pathname.slice("/simulator/v1".length);
  const part = path.split("/").filter((piece) => piece !== "");
  if (path === "/calls" && request.method === "POST") {
    readBody(request, (body) => {
      try {
        const call = placeCallFromSpec(simulator, JSON.parse(body) as CallSpec);
        sendJson(response, 201, reportOf(call));
      } catch (error) {
        sendError(response, 400, "INVALID_REQUEST", error instanceof Error ? error.message : String(error));
      }
    });
    return;
  }
  if (path === "/status") {
    const connections = simulator.connections.map(({ connectorUuid, sdkVersion, sampleRate }) => ({
      connectorUuid,
      sdkVersion,
      sampleRate,
    }));
    sendJson(response, 200, {
      connections,
      calls: simulator.calls.map(reportOf),
      stats: simulator.stats,
    });
    return;
  }
  const call = part[0] === "calls" ? simulator.calls.find(({ id }) => id === part[1]) : undefined;
  if (!call) {
    sendError(response, 404, "NOT_FOUND", "no such call");
    return;
  }
  if (part.length === 2) {
    sendJson(response, 200, reportOf(call));
    return;
  }
  if (part[2] === "hangup" && request.method === "POST") {
    call.hangUp();
    sendJson(response, 200, reportOf(call));
    return;
  }
  const track = part[2] === "recording" ? part[3]?.replace(/\.wav$/, "") : undefined;
  if (track === undefined || !(RECORDING_TRACKS as readonly string[]).includes(track)) {
    sendError(response, 404, "NOT_FOUND", "no such resource");
    return;
  }
  const file = encodeWav({
    sampleRate: call.recording.sampleRate || 8000,
    samples: call.recording.track(track as RecordingTrack),
  });
  response.writeHead(200, { "content-type": "audio/wav", "content-length": file.length });
  response.end(file);
}

function readBody(request: IncomingMessage, done: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) request.destroy();
    else chunks.push(chunk);
  });
  request.on("end", () => done(Buffer.concat(chunks).toString()));
}
