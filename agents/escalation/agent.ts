import { loadFvad, loadResampler, type Resampler, type VoiceActivity } from "../speech/index.js";
import type { CallPort } from "./call-port.js";
import { SentenceSplitter } from "./conversation/heard.js";
import { SpeechChain } from "./conversation/speech-chain.js";
import { HelpDesk } from "./dialogue/help-desk.js";
import { Judge } from "./dialogue/judge.js";
import { replyTools } from "./dialogue/reply-tools.js";
import { type Log, maskNumber } from "./log.js";
import { fill, loadPrompts, PROMPTS_DIR, type Prompts } from "./prompts.js";
import { EscalationSession } from "./session.js";
import type { SessionOptions, SessionResult } from "./session-options.js";
import type { Speech } from "./speech-setup.js";

/** What the agent hears, speaks and answers with, and how it treats calls. */
export interface EscalationAgentOptions {
  readonly speech: Speech;
  readonly log: Log;
  /** Folder of `<locale>.yaml` files. Default: the agent's own. */
  readonly promptsDir?: string | undefined;
  /** For calls whose route gives no locale, or one that has no prompts. Default `en`. */
  readonly locale?: string | undefined;
  readonly session?: SessionOptions;
}

/** Takes calls: one {@link EscalationSession} each, with the speech that all of them share. */
export class EscalationAgent {
  readonly #options: EscalationAgentOptions;
  readonly #newVad: () => VoiceActivity;
  readonly #resamplerFor: (fromHz: number, toHz: number) => Resampler;
  readonly #prompts = new Map<string, Prompts>();

  private constructor(
    options: EscalationAgentOptions,
    newVad: () => VoiceActivity,
    resamplerFor: (fromHz: number, toHz: number) => Resampler,
  ) {
    this.#options = options;
    this.#newVad = newVad;
    this.#resamplerFor = resamplerFor;
  }

  /** Load what the agent needs and get the speech providers ready. Throws when one of them cannot work. */
  static async create(options: EscalationAgentOptions): Promise<EscalationAgent> {
    const [newVad, newResampler] = await Promise.all([
      loadFvad(),
      loadResampler(),
      options.speech.stt.warmUp(),
      options.speech.tts.warmUp(),
    ]);
    const agent = new EscalationAgent(options, newVad, newResampler);
    agent.#promptsFor(options.locale ?? "en");
    return agent;
  }

  /** Have the fixed sentences spoken once, so that each call's first words start at once. May go on beside calls. */
  async preload(): Promise<void> {
    const { speech } = this.#options;
    const prompts = this.#promptsFor(this.#options.locale ?? "en");
    const { sentences, announcements } = prompts;
    const texts = [
      sentences.disclosure,
      sentences.how_can_i_help,
      sentences.anything_else,
      ...Object.values(announcements),
      sentences.not_understood,
      sentences.silence_1,
      sentences.unanswered,
      sentences.goodbye,
    ];
    const spoken = texts.flatMap((text) => {
      const splitter = new SentenceSplitter();
      return [...splitter.push(text), ...splitter.end()];
    });
    await speech.tts.preload(spoken, {
      locale: prompts.locale,
      ...(speech.voice ? { voice: speech.voice } : {}),
    });
  }

  /** One call, to its end. Never rejects because of the talk; rejects when the call could not be begun. */
  async handle(call: CallPort): Promise<SessionResult> {
    const { speech, log } = this.#options;
    const prompts = this.#promptsFor(call.locale || (this.#options.locale ?? "en"));
    const helpDesk = new HelpDesk(prompts);
    const topicOf = (text: string) => helpDesk.topicOf(text)?.name;
    const callLog: Log = (event, fields) => log(event, { call_id: call.id, ...fields });
    callLog("call_taken", { caller: maskNumber(call.caller), attempt: call.attempt, locale: prompts.locale });
    const earlier = (call.context?.turns ?? []).filter(({ role }) => role !== "SPECIALIST");
    const speaker = speech.scripted ? call.caller || call.id : call.id;
    speech.scripted?.skipTo(speaker, earlier.filter(({ role }) => role === "CALLER").length);
    const conversation = new SpeechChain(
      call,
      {
        vad: this.#newVad(),
        stt: speech.stt,
        tts: speech.tts,
        model: speech.model ?? helpDesk,
        resamplerFor: this.#resamplerFor,
      },
      {
        locale: prompts.locale,
        speaker,
        voice: speech.voice,
        instructions: instructions(prompts),
        tools: replyTools(prompts),
        earlierTurns: earlier.map(({ role, text, heard }) => ({
          role: role === "AI" ? "AI" : "CALLER",
          text: heard ?? text,
        })),
      },
    );
    const judge = new Judge(prompts, {
      ...(speech.model ? {} : { understands: (turns) => helpDesk.understands(turns) }),
      topicOf: (text) => topicOf(text) || undefined,
    });
    const session = new EscalationSession(
      { call, conversation, judge, prompts, topicOf },
      { ...this.#options.session, log: callLog },
    );
    return session.run();
  }

  #promptsFor(locale: string): Prompts {
    const known = this.#prompts.get(locale);
    if (known) return known;
    const { speech, log, promptsDir } = this.#options;
    const fallback = this.#options.locale ?? "en";
    let prompts = loadPrompts(locale, promptsDir ?? PROMPTS_DIR, fallback);
    const language = (tag: string) => tag.split("-")[0] ?? "";
    if (speech.locales && !speech.locales.includes(language(prompts.locale))) {
      log("locale_not_spoken", { locale: prompts.locale, instead: speech.locales[0] });
      prompts = loadPrompts(speech.locales[0] ?? "en", promptsDir ?? PROMPTS_DIR);
    }
    this.#prompts.set(locale, prompts);
    return prompts;
  }
}

/** What the model is told to be, with the facts of the prompts file. */
function instructions(prompts: Prompts): string {
  const facts = prompts.topics
    .filter(({ answer, name }) => answer !== "" && name !== "")
    .map(({ name, answer }) => `${name}: ${answer}`)
    .join(" ");
  const orders = Object.entries(prompts.order.states).map(([number, state]) =>
    fill(prompts.order.status, { number, state }),
  );
  return fill(prompts.model.instructions, {
    business: prompts.business,
    facts: `${facts} ${orders.join(" ")}`,
  });
}
