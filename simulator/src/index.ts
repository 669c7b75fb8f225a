// @callweave/simulator: Telcoflow's server side for tests, demos and benchmarks. See README.md.
export type { CallReport, CallSpec } from "./admin.js";
export { placeCallFromSpec, reportOf } from "./admin.js";
export type {
  AnalysisWindow,
  SilenceGapOptions,
  SoundSpanOptions,
  TimeSpan,
  ToneSpanOptions,
} from "./audio/analysis.js";
export { makeTone, rms, silenceGaps, soundSpans, toneAmplitude, toneSpans } from "./audio/analysis.js";
export type { DecodedFrame, FrameToneBand } from "./audio/frame-tone.js";
export { decodeFrameTone, encodeFrameTone } from "./audio/frame-tone.js";
export type { SampleRate } from "./audio/mix.js";
export { FRAME_MS, isSampleRate, samplesPerFrame } from "./audio/mix.js";
export type { PlayoutOptions, PlayoutStats } from "./audio/playout.js";
export type { CallRecording, RecordingTrack } from "./audio/recording.js";
export { RECORDING_TRACKS } from "./audio/recording.js";
export { resample } from "./audio/resample.js";
export type { Pcm } from "./audio/wav.js";
export { decodeWav, encodeWav, readWav, writeWav } from "./audio/wav.js";
export type { SimCall } from "./call.js";
export type { CallLogEvent, EventPlane } from "./call-log.js";
export type {
  AgentMode,
  CallDirection,
  CallEndReason,
  CallOptions,
  CallState,
  CallStats,
  CommandFault,
} from "./call-types.js";
export { CALL_DEFAULTS } from "./call-types.js";
export type { SimClock, SimTimer } from "./clock.js";
export { ManualClock, realClock } from "./clock.js";
export type { CallFaults, MalformedMedia } from "./faults/call-faults.js";
export { MALFORMED_MEDIA } from "./faults/call-faults.js";
export type { OrphanPolicy } from "./faults/orphan.js";
export { parseOrphanPolicy } from "./faults/orphan.js";
export type {
  ControlResponseFault,
  DropOptions,
  MalformedControl,
  RefuseOptions,
  SimFaults,
} from "./faults/sim-faults.js";
export { MALFORMED_CONTROL } from "./faults/sim-faults.js";
export type { ConnectorOptions, PlaceCallOptions, SimulatorOptions } from "./options.js";
export { DEFAULT_CONNECTOR } from "./options.js";
export type { Party, PartyRole, PartyState } from "./party/party.js";
export type { CalleeBehaviour, FrameSource, Script, ScriptStep } from "./party/script.js";
export {
  callee,
  frameTone,
  hangUp,
  live,
  noise,
  play,
  say,
  sayAfterAgent,
  source,
  tone,
  wait,
  waitForAgent,
  waitForAgentSilence,
  waitForAgentSpeech,
  waitUntil,
} from "./party/script.js";
export type { ControlConnection } from "./plane/control-connection.js";
export type { CallFlow, Channel, CommandName, SessionView } from "./plane/messages.js";
export { COMMANDS } from "./plane/messages.js";
export { CONTROL_PATH, MEDIA_PATH, type TlsOptions } from "./plane/server.js";
export type { Session } from "./plane/sessions.js";
export type { SimulatorStats } from "./simulator.js";
export { Simulator } from "./simulator.js";
export type { FaultSpec } from "./spec.js";
export { parseCallee, parseFault, scheduleFault } from "./spec.js";
export { sharedVoice, Voice, type VoiceName } from "./voice/voice.js";
