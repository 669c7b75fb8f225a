import { loadProtoJson } from "./contract/proto-json.js";

/** What is made once and would otherwise be made while the first caller waits: some 300 ms in which nothing else runs. */
export interface WarmUp {
  /** Hold sounds that calls may hear. */
  readonly sounds: Iterable<{ loop(sampleRateHz: number): unknown }>;
  /** Rates of the connectors, Hz. */
  readonly sampleRatesHz: readonly number[];
  /** Whether messages are read or written as JSON here. */
  readonly json: boolean;
}

/** Makes it now. */
export function warmUp({ sounds, sampleRatesHz, json }: WarmUp): void {
  for (const sound of sounds) for (const rate of new Set(sampleRatesHz)) sound.loop(rate);
  if (json) loadProtoJson();
}
