import type { AudioFormat } from "./agent-port.js";

/** The format in effect for a call: rate 0 becomes the call's rate, or 8000 for G.711. */
export function effectiveFormat(wanted: AudioFormat, callRateHz: number): AudioFormat {
  const natural = wanted.encoding === "S16LE" ? callRateHz : 8000;
  return { encoding: wanted.encoding, sampleRateHz: wanted.sampleRateHz || natural };
}
