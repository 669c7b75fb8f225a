/** A Python that has `pocketsphinx`, and how to start it. */
export interface SpeechPython {
  /** Path of the interpreter. */
  readonly python: string;
  /** To be added to the environment of the process. */
  readonly env: Record<string, string>;
}
/** Where what is installed goes: `CALLWEAVE_CACHE_DIR`, else `.cache` of the repository. */
export function speechCacheDir(): string;
/** The Python found by an earlier install, or undefined. Reads one small file, starts nothing, needs no network. */
export function resolveSpeechPython(): SpeechPython | undefined;
/** The Python for speech, installed if need be; `why` tells why there is none. Never throws. */
export function ensureSpeechPython(options?: {
  /** Who asks: a failure at install time is tried again at the first run. Default `run`. */
  by?: "install" | "run";
  /** How long it may take in all, ms. Default: `CALLWEAVE_SPEECH_INSTALL_MS`, else 90 000 at install, 60 000 at run. */
  budgetMs?: number;
}): Promise<{ found?: SpeechPython; why: string }>;
