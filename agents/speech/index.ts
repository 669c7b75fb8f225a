/** Speech and model behind small ports, with an offline default. See `agents/README.md`. */
export { CachedTextToSpeech, type CachedTextToSpeechOptions } from "./cached-text-to-speech.js";
export { FallbackTextToSpeech } from "./fallback-text-to-speech.js";
export { FLITE_VOICES, type FliteOptions, FliteTextToSpeech, type FliteVoice } from "./local/flite.js";
export { type FvadOptions, loadFvad } from "./local/fvad.js";
export { type PocketsphinxOptions, PocketsphinxSpeechToText } from "./local/pocketsphinx.js";
export { loadResampler, type Resampler, type ResamplerOptions } from "./local/resampler.js";
export type { OpenAiOptions } from "./openai/http.js";
export { OpenAiReplyModel, type OpenAiReplyModelOptions } from "./openai/reply-model.js";
export { OpenAiSpeechToText, type OpenAiSpeechToTextOptions } from "./openai/speech-to-text.js";
export { OpenAiTextToSpeech, type OpenAiTextToSpeechOptions } from "./openai/text-to-speech.js";
export { FrameCutter, pcmBytes, pcmDurationMs, rms, wavFile } from "./pcm.js";
export {
  RECOGNITION_RATE_HZ,
  type ReplyModel,
  type ReplyPart,
  type ReplyRequest,
  type ReplyTool,
  type ReplyTurn,
  type SpeakerRole,
  type SpeakOptions,
  SpeechError,
  type SpeechErrorReason,
  type SpeechToText,
  type SpokenAudio,
  type TextToSpeech,
  type Transcript,
  type UtteranceOptions,
  type UtteranceStream,
  type VoiceActivity,
  type VoiceEvent,
} from "./ports.js";
export { ensureSpeechPython, resolveSpeechPython, type SpeechPython } from "./python/install.mjs";
export { CallerScript } from "./scripted/caller-script.js";
export { ScriptedSpeechToText } from "./scripted/scripted-speech-to-text.js";
