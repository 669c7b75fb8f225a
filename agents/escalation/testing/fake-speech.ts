import { pcmBytes } from "../../speech/pcm.js";
import {
  RECOGNITION_RATE_HZ,
  type ReplyModel,
  type ReplyPart,
  type ReplyRequest,
  SpeechError,
  type SpeechToText,
  type TextToSpeech,
  type Transcript,
  type VoiceActivity,
  type VoiceEvent,
} from "../../speech/ports.js";

/** Each word of {@link FakeTextToSpeech} lasts so long, ms. */
export const WORD_MS = 100;

/** Audio as long as the text has words; keeps the texts. */
export class FakeTextToSpeech implements TextToSpeech {
  readonly name = "fake-tts";
  readonly texts: string[] = [];
  fail = false;

  async warmUp(): Promise<void> {}
  async close(): Promise<void> {}

  async speak(text: string): Promise<{ sampleRateHz: number; chunks: AsyncIterable<Buffer> }> {
    if (this.fail) throw new SpeechError("PROVIDER_FAILED", this.name, "told to fail");
    this.texts.push(text);
    const words = text.split(/\s+/).filter(Boolean).length;
    async function* chunks() {
      yield Buffer.alloc(pcmBytes(words * WORD_MS, RECOGNITION_RATE_HZ), 1);
    }
    return { sampleRateHz: RECOGNITION_RATE_HZ, chunks: chunks() };
  }
}

/** Gives the prepared texts, one per utterance; an Error is thrown instead. */
export class FakeSpeechToText implements SpeechToText {
  readonly name = "fake-stt";
  readonly next: Array<string | SpeechError | Promise<string>> = [];
  readonly bytes: number[] = [];

  async warmUp(): Promise<void> {}
  async close(): Promise<void> {}

  utterance() {
    let bytes = 0;
    return {
      write: (pcm: Buffer) => {
        bytes += pcm.length;
      },
      finish: async (): Promise<Transcript> => {
        this.bytes.push(bytes);
        const next = await (this.next.shift() ?? "");
        if (next instanceof SpeechError) throw next;
        return { text: next };
      },
      abort() {},
    };
  }
}

/** A frame that is not all zero is speech; three silent frames end it. */
export class FakeVoiceActivity implements VoiceActivity {
  readonly frameMs = 20;
  speaking = false;
  #silent = 0;

  get silentMs(): number {
    return this.#silent * this.frameMs;
  }

  process(frame: Buffer): VoiceEvent | undefined {
    const voiced = frame.some((byte) => byte !== 0);
    if (voiced) this.#silent = 0;
    else this.#silent++;
    if (!this.speaking && voiced) {
      this.speaking = true;
      return "SPEECH_STARTED";
    }
    if (this.speaking && this.#silent >= 3) {
      this.speaking = false;
      return "SPEECH_ENDED";
    }
    return undefined;
  }

  reset(): void {
    this.speaking = false;
  }
  close(): void {}
}

/** Answers with prepared replies; a SpeechError is thrown, a Promise is waited for. */
export class FakeReplyModel implements ReplyModel {
  readonly name = "fake-model";
  readonly next: Array<readonly ReplyPart[] | SpeechError | Promise<readonly ReplyPart[]>> = [];
  readonly requests: ReplyRequest[] = [];

  async *reply(request: ReplyRequest): AsyncGenerator<ReplyPart> {
    this.requests.push({ ...request, turns: [...request.turns] });
    const next = await (this.next.shift() ?? []);
    if (next instanceof SpeechError) throw next;
    yield* next;
  }
}

/** One frame of speech, and one of silence. */
export const SPEECH_FRAME = Buffer.alloc(640, 7);
export const SILENT_FRAME = Buffer.alloc(640);
