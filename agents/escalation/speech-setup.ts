import type { Readable } from "node:stream";
import {
  CachedTextToSpeech,
  CallerScript,
  ensureSpeechPython,
  FallbackTextToSpeech,
  FLITE_VOICES,
  FliteTextToSpeech,
  type FliteVoice,
  OpenAiReplyModel,
  OpenAiSpeechToText,
  OpenAiTextToSpeech,
  PocketsphinxSpeechToText,
  type ReplyModel,
  ScriptedSpeechToText,
  type SpeechToText,
} from "../speech/index.js";
import type { Log } from "./log.js";

/** The values of `--speech`. */
export const SPEECH_KINDS = ["local", "openai", "scripted"] as const;
/** One of {@link SPEECH_KINDS}. */
export type SpeechKind = (typeof SPEECH_KINDS)[number];

/** Settings of OpenAI-compatible servers; the key comes from the environment alone. */
export interface OpenAiSettings {
  readonly apiKey: string;
  readonly baseUrl?: string | undefined;
  readonly transcriptionModel: string;
  readonly speechModel: string;
  readonly voice: string;
  readonly chatModel: string;
}

/** What the command line says about speech. */
export interface SpeechSettings {
  /**
   * `local`: flite and pocketsphinx, offline, English. `openai`: a server for everything. `scripted`: flite speaks, the
   * caller's words are given by `script`.
   */
  readonly kind: SpeechKind;
  /** `rules`: the help desk of the prompts file. `openai`: a chat model. Default: `openai` with `openai` speech, else `rules`. */
  readonly reply?: "rules" | "openai" | undefined;
  readonly voice?: string | undefined;
  /** Path of the caller's sentences, or `-` for standard input. Used by `scripted`, and by `local` where no recogniser is. */
  readonly script?: string | undefined;
  readonly openAi?: OpenAiSettings | undefined;
}

/** What all calls of a process share. */
export interface Speech {
  readonly stt: SpeechToText;
  readonly tts: CachedTextToSpeech;
  /** A model for the replies; undefined: the rules of the help desk. */
  readonly model: ReplyModel | undefined;
  readonly voice: string | undefined;
  /** Locales that can be spoken and understood; undefined: any. */
  readonly locales: readonly string[] | undefined;
  /** Set when the recogniser is scripted: a call begins at the caller's n-th sentence. */
  readonly scripted: ScriptedSpeechToText | undefined;
  close(): Promise<void>;
}

/** Make the providers. Throws an Error with what to do when one cannot be had. */
export async function makeSpeech(
  settings: SpeechSettings,
  log: Log,
  stdin: Readable = process.stdin,
): Promise<Speech> {
  const { openAi } = settings;
  const reply = settings.reply ?? (settings.kind === "openai" ? "openai" : "rules");
  if ((settings.kind === "openai" || reply === "openai") && !openAi?.apiKey) {
    throw new Error("set OPENAI_API_KEY (any text for a self-hosted server that needs none)");
  }
  const flite = () =>
    new FliteTextToSpeech(settings.kind === "openai" ? {} : { voice: fliteVoice(settings.voice) });
  const tts = new CachedTextToSpeech(
    settings.kind === "openai" && openAi
      ? new FallbackTextToSpeech(
          new OpenAiTextToSpeech({ ...server(openAi), model: openAi.speechModel, voice: openAi.voice }),
          flite(),
          (error) => log("speech_fallback", { provider: error.provider, reason: error.reason }),
        )
      : flite(),
  );
  const { stt, scripted } = await recogniser(settings, log, stdin);
  return {
    stt,
    scripted,
    tts,
    model:
      reply === "openai" && openAi
        ? new OpenAiReplyModel({ ...server(openAi), model: openAi.chatModel })
        : undefined,
    voice: settings.voice,
    locales: settings.kind === "openai" ? undefined : ["en"],
    close: async () => {
      await Promise.allSettled([stt.close(), tts.close()]);
    },
  };
}

async function recogniser(
  settings: SpeechSettings,
  log: Log,
  stdin: Readable,
): Promise<{ stt: SpeechToText; scripted: ScriptedSpeechToText | undefined }> {
  const { openAi, script } = settings;
  if (settings.kind === "openai" && openAi) {
    const stt = new OpenAiSpeechToText({ ...server(openAi), model: openAi.transcriptionModel });
    return { stt, scripted: undefined };
  }
  if (settings.kind === "local") {
    const { found, why } = await ensureSpeechPython();
    if (found) return { stt: new PocketsphinxSpeechToText({ python: found }), scripted: undefined };
    if (script === undefined) {
      throw new Error(
        `no offline recogniser on this machine (${why}); use --speech openai, or --script with a demo`,
      );
    }
    log("recogniser_missing", { why, instead: "scripted" });
  }
  if (script === undefined) throw new Error("--speech scripted needs --script with the caller's sentences");
  const lines = script === "-" ? CallerScript.fromStream(stdin) : await CallerScript.fromFile(script);
  const scripted = new ScriptedSpeechToText(lines);
  return { stt: scripted, scripted };
}

function server(settings: OpenAiSettings): { apiKey: string; baseUrl?: string } {
  return { apiKey: settings.apiKey, ...(settings.baseUrl ? { baseUrl: settings.baseUrl } : {}) };
}

function fliteVoice(voice: string | undefined): FliteVoice {
  return FLITE_VOICES.find((known) => known === voice) ?? "slt";
}
