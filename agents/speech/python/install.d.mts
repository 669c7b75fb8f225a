export interface SpeechPython {
  /** Path of the interpreter. */
  readonly python: string;
  /** To be added to the environment of the process. */
  readonly env: Record<string, string>;
}
export function speechCacheDir(): string;
export function resolveSpeechPython(): SpeechPython | undefined;
export function ensureSpeechPython(options?: {
  by?: "install" | "run";
}): Promise<{ found?: SpeechPython; why: string }>;
