import { setImmediate } from "node:timers/promises";
import type { Resampler } from "../../speech/local/resampler.js";
import type { ReplyModel } from "../../speech/ports.js";
import { SpeechChain, type SpeechChainOptions } from "../conversation/speech-chain.js";
import { HelpDesk } from "../dialogue/help-desk.js";
import { Judge } from "../dialogue/judge.js";
import { loadPrompts } from "../prompts.js";
import { EscalationSession } from "../session.js";
import type { SessionOptions, SessionResult } from "../session-options.js";
import { FakeCall } from "./fake-call.js";
import {
  FakeSpeechToText,
  FakeTextToSpeech,
  FakeVoiceActivity,
  SILENT_FRAME,
  SPEECH_FRAME,
} from "./fake-speech.js";

const NO_RESAMPLING: Resampler = { process: (pcm) => pcm, reset() {}, close() {} };

export interface HarnessOptions {
  readonly call?: ConstructorParameters<typeof FakeCall>[0];
  readonly model?: ReplyModel;
  readonly session?: SessionOptions;
  readonly chain?: Partial<SpeechChainOptions>;
}

/** A session over fakes: the caller's words go in, what the agent did comes out. */
export class Harness {
  readonly prompts = loadPrompts("en");
  readonly helpDesk = new HelpDesk(this.prompts);
  readonly call: FakeCall;
  readonly stt = new FakeSpeechToText();
  readonly tts = new FakeTextToSpeech();
  readonly events: Array<{ event: string; fields: Readonly<Record<string, unknown>> }> = [];
  readonly result: Promise<SessionResult>;

  constructor(options: HarnessOptions = {}) {
    this.call = new FakeCall(options.call);
    const earlier = (this.call.context?.turns ?? []).flatMap(({ role, text }) =>
      role === "SPECIALIST" ? [] : [{ role, text }],
    );
    const conversation = new SpeechChain(
      this.call,
      {
        vad: new FakeVoiceActivity(),
        stt: this.stt,
        tts: this.tts,
        model: options.model ?? this.helpDesk,
        resamplerFor: () => NO_RESAMPLING,
      },
      { locale: "en", instructions: "", tools: [], earlierTurns: earlier, ...options.chain },
    );
    const ruled = options.model === undefined;
    const topicOf = (text: string) => this.helpDesk.topicOf(text)?.name;
    const judge = new Judge(this.prompts, {
      ...(ruled ? { understands: (turns) => this.helpDesk.understands(turns) } : {}),
      topicOf: (text) => topicOf(text) || undefined,
    });
    const session = new EscalationSession(
      { call: this.call, conversation, judge, prompts: this.prompts, topicOf },
      { log: (event, fields = {}) => this.events.push({ event, fields }), ...options.session },
    );
    this.result = session.run();
  }

  /** Let everything happen that can happen without time passing. */
  async settle(): Promise<void> {
    for (let i = 0; i < 40; i++) await setImmediate();
  }

  /** The caller begins to speak. */
  async begin(): Promise<void> {
    for (let i = 0; i < 3; i++) this.call.hear(SPEECH_FRAME);
    await this.settle();
  }

  /** The caller stops; `text` is what is understood. */
  async stop(text: string | FakeSpeechToText["next"][number]): Promise<void> {
    this.stt.next.push(text);
    for (let i = 0; i < 4; i++) this.call.hear(SILENT_FRAME);
    await this.settle();
  }

  /** The caller says something, after `frames` (20 ms each) of speech. */
  async caller(text: string | FakeSpeechToText["next"][number], frames = 50): Promise<void> {
    for (let i = 0; i < frames; i++) this.call.hear(SPEECH_FRAME);
    await this.stop(text);
  }

  /** What the agent said since the last time this was asked. */
  said(): string {
    return this.tts.texts.splice(0).join(" ");
  }
}
