import { type SpeakOptions, SpeechError, type SpokenAudio, type TextToSpeech } from "./ports.js";

/**
 * Says a text with `first`; where that fails before any audio came, with `second`, so that the caller hears at least
 * that he is being connected. A failure in the middle of a text is not mended.
 */
export class FallbackTextToSpeech implements TextToSpeech {
  readonly name: string;

  constructor(
    private readonly first: TextToSpeech,
    private readonly second: TextToSpeech,
    private readonly onFallback: (error: SpeechError) => void = () => {},
  ) {
    this.name = `${first.name}+${second.name}`;
  }

  async warmUp(): Promise<void> {
    await Promise.allSettled([this.first.warmUp(), this.second.warmUp()]);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.first.close(), this.second.close()]);
  }

  async speak(text: string, options: SpeakOptions): Promise<SpokenAudio> {
    try {
      return await this.first.speak(text, options);
    } catch (error) {
      const failure = SpeechError.from(error, this.first.name);
      if (failure.reason === "ABORTED") throw failure;
      this.onFallback(failure);
      return this.second.speak(text, { ...options, voice: undefined });
    }
  }
}
