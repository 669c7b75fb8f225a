import OpenAI from "openai";
import { SpeechError } from "../ports.js";

/** What the three OpenAI-compatible providers share. */
export interface OpenAiOptions {
  /** Base URL of the server, e.g. of a self-hosted one. Default: OpenAI's own. */
  readonly baseUrl?: string;
  /** The key. Never logged, never in an error. Self-hosted servers mostly take any. */
  readonly apiKey: string;
  /** Longest wait for one request, ms; then it is tried once more. Default 10 000. */
  readonly timeoutMs?: number;
  /** Further tries after an answer of 408, 409, 429 or 5xx, no connection or no answer in time. Default 1. */
  readonly retries?: number;
}

/** A client with the options' bounds and no logging of its own. */
export function openAiClient(options: OpenAiOptions): OpenAI {
  return new OpenAI({
    apiKey: options.apiKey,
    ...(options.baseUrl === undefined ? {} : { baseURL: options.baseUrl }),
    timeout: options.timeoutMs ?? 10_000,
    maxRetries: options.retries ?? 1,
    logLevel: "off",
  });
}

/** A SpeechError that tells the status and nothing of the request, the answer's body or the key. */
export function openAiError(error: unknown, provider: string): SpeechError {
  if (error instanceof SpeechError) return error;
  if (error instanceof OpenAI.APIUserAbortError) return new SpeechError("ABORTED", provider, "aborted");
  if (error instanceof OpenAI.APIConnectionTimeoutError) {
    return new SpeechError("PROVIDER_FAILED", provider, "no answer in time");
  }
  if (error instanceof OpenAI.APIConnectionError)
    return new SpeechError("PROVIDER_FAILED", provider, "no connection");
  if (error instanceof OpenAI.APIError) {
    return new SpeechError("PROVIDER_FAILED", provider, `answered with status ${error.status ?? "unknown"}`);
  }
  if (error instanceof Error && error.name === "AbortError")
    return new SpeechError("ABORTED", provider, "aborted");
  return new SpeechError("PROVIDER_FAILED", provider, error instanceof Error ? error.name : "failed");
}
