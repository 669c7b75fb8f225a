import { setImmediate } from "node:timers/promises";
import type { ReplyTurn, SpeechError } from "../speech/ports.js";
import {
  type CallEndReason,
  type CallPort,
  type ContextPatch,
  ESCALATION_REASONS,
  type EscalateRequest,
  type EscalationOutcome,
  type EscalationReason,
  type Turn,
} from "./call-port.js";
import type {
  AiTurn,
  CallerTurn,
  Conversation,
  ConversationHandler,
  SaidOutcome,
  ToolCall,
} from "./conversation/conversation.js";
import type { Judge } from "./dialogue/judge.js";
import { atMostThreeSentences, summarise } from "./dialogue/summary.js";
import { fill, type Prompts } from "./prompts.js";
import {
  type Phase,
  SESSION_DEFAULTS,
  type SessionOptions,
  type SessionParts,
  type SessionResult,
} from "./session-options.js";
import { cutOffFields, nameOf, resumption, type TalkEnd, unheardRest, within } from "./session-tools.js";
import { TurnLog } from "./turn-log.js";

/**
 * One call of the escalation agent, from answering to the handover, the goodbye or the caller's hanging up. It decides what
 * happens after each turn; hearing, speaking and replying are the conversation's.
 */
export class EscalationSession implements ConversationHandler {
  readonly #call: CallPort;
  readonly #conversation: Conversation;
  readonly #judge: Judge;
  readonly #prompts: Prompts;
  readonly #topicOf: SessionParts["topicOf"];
  readonly #options: Required<SessionOptions>;
  readonly #log: TurnLog;
  readonly #turns: ReplyTurn[] = [];
  readonly #indexOfAiTurn = new Map<number, number>();
  #callerTurns = 0;
  #phase: Phase = { name: "TALKING" };
  #silence: NodeJS.Timeout | undefined;
  #silences = 0;
  #escalations = 0;
  /** The gateway has an escalation under way, and writes the context itself. */
  #escalationGiven = false;
  #lastReason: EscalationReason | undefined;
  #disclosedTime: Date | undefined;
  /** The caller refused to be written down, and that is not written yet: each write has it until one succeeds. */
  #refusalOwed = false;
  #refusalWritten: Promise<void> = Promise.resolve();
  #cutOff: AiTurn | undefined;
  /** The call goes on without this agent. */
  #wentElsewhere = false;
  #finish: (result: SessionResult) => void = () => {};
  readonly #finished = new Promise<SessionResult>((resolve) => {
    this.#finish = resolve;
  });

  constructor(parts: SessionParts, options: SessionOptions = {}) {
    this.#call = parts.call;
    this.#conversation = parts.conversation;
    this.#judge = parts.judge;
    this.#prompts = parts.prompts;
    this.#topicOf = parts.topicOf;
    this.#options = { ...SESSION_DEFAULTS, ...options };
    this.#log = new TurnLog(parts.call, {
      onError: (error) => this.#options.log("turns_not_written", { error: nameOf(error) }),
    });
    this.#disclosedTime = parts.call.context?.disclosedTime;
    for (const turn of parts.call.context?.turns ?? []) {
      if (turn.role !== "SPECIALIST") this.#turns.push({ role: turn.role, text: turn.heard ?? turn.text });
    }
  }

  /** Run the call to its end. Rejects only when the call, which goes on, could not be answered: somebody else may. */
  async run(): Promise<SessionResult> {
    void this.#call.ended.then((reason) => this.#callEnded(reason));
    if (await this.#answered()) {
      try {
        this.#conversation.start(this);
        await this.#open();
      } catch (error) {
        this.#options.log("session_failed", { error: nameOf(error) });
        if (this.#phase.name === "TALKING") void this.#escalate("PROVIDER_FAILED");
      }
    }
    const result = await this.#finished;
    clearTimeout(this.#silence);
    await this.#conversation.close();
    await within(this.#log.flush(), this.#options.finalWriteMs);
    this.#options.log("session_over", {
      result,
      turns: this.#turns.length,
      ...(this.#log.dropped > 0 ? { turns_dropped: this.#log.dropped } : {}),
    });
    return result;
  }

  // What the conversation tells.

  callerStarted(): void {
    clearTimeout(this.#silence);
  }

  async callerTurn(turn: CallerTurn): Promise<"REPLY" | "HANDLED"> {
    const cutOff = this.#cutOff;
    this.#cutOff = undefined;
    if (turn.text === "" && turn.interrupting) return this.#goOnAfterNoise(cutOff);
    if (turn.text !== "") {
      this.#silences = 0;
      if (this.#judge.hears("no_transcript", turn.text)) this.#refuse();
      this.#turns.push({ role: "CALLER", text: turn.text });
      this.#write({
        id: this.#id("c", ++this.#callerTurns),
        role: "CALLER",
        text: turn.text,
        time: turn.time,
      });
    }
    switch (this.#phase.name) {
      case "TALKING":
        return this.#judgeTurn(turn);
      case "UNANSWERED":
        await this.#choose(turn.text, this.#phase);
        return "HANDLED";
      case "MESSAGE":
        if (turn.text !== "") void this.#callback(turn.text);
        return "HANDLED";
      default:
        return "HANDLED";
    }
  }

  aiTurn(turn: AiTurn): void {
    // With the caller still there, the clock of a call that went elsewhere says nothing about what is heard.
    if (this.#wentElsewhere) return;
    const heard = turn.interrupted ? (turn.heard ?? turn.text) : turn.text;
    const index = this.#indexOfAiTurn.get(turn.number);
    if (index === undefined) {
      this.#indexOfAiTurn.set(turn.number, this.#turns.push({ role: "AI", text: heard }) - 1);
    } else this.#turns[index] = { role: "AI", text: heard };
    if (turn.interrupted) this.#cutOff = turn;
    this.#write({
      id: this.#id("a", turn.number),
      role: "AI",
      text: turn.text,
      time: turn.time,
      ...cutOffFields(turn),
    });
  }

  toolCall(call: ToolCall): void {
    if (this.#phase.name !== "TALKING") return;
    if (call.name === "end_call") void this.#endCall("ENDED");
    else if (call.name === "escalate_to_human") {
      const reason = ESCALATION_REASONS.find((known) => known === call.arguments.reason) ?? "ASKED_FOR_HUMAN";
      const summary =
        typeof call.arguments.summary === "string" ? atMostThreeSentences(call.arguments.summary) : "";
      void this.#escalate(reason, summary);
    } else this.#options.log("unknown_tool", { tool: call.name });
  }

  quiet(): void {
    clearTimeout(this.#silence);
    if (!["TALKING", "UNANSWERED", "MESSAGE"].includes(this.#phase.name)) return;
    this.#silence = setTimeout(() => void this.#silent(), this.#options.silenceMs);
  }

  failed(error: SpeechError): void {
    this.#options.log("provider_failed", { provider: error.provider, reason: error.reason });
    if (this.#phase.name === "TALKING") void this.#escalate("PROVIDER_FAILED");
    else if (this.#phase.name === "UNANSWERED" || this.#phase.name === "MESSAGE")
      void this.#callback(undefined);
  }

  // The course of the talk.

  /** False when the call was over before it was answered. Throws when it could not be answered. */
  async #answered(): Promise<boolean> {
    if (!this.#options.answer) return true;
    try {
      await this.#call.answer();
      return true;
    } catch (error) {
      this.#options.log("not_answered", { error: nameOf(error) });
      if (await Promise.race([this.#call.ended.then(() => true), setImmediate(false)])) return false;
      this.#phase = { name: "OVER" };
      await this.#conversation.close();
      throw error;
    }
  }

  /** The first sentence, or how to go on with a talk that another agent began. */
  async #open(): Promise<void> {
    const { sentences } = this.#prompts;
    const { context, attempt } = this.#call;
    if (attempt > 1 && context && (context.turns.length > 0 || context.status === "ESCALATING")) {
      this.#options.log("resumed", { attempt, turns: context.turns.length });
      if (context.status === "ESCALATING") {
        await this.#escalate(
          context.escalationReason ?? "ASKED_FOR_HUMAN",
          context.summary,
          sentences.resumed_escalation,
        );
        return;
      }
      if (context.status === "ENDED" || context.status === "CALLBACK_WANTED") {
        this.#enter({ name: "ENDING" });
        await this.#say(sentences.goodbye, false);
        await this.#disconnect(context.status);
        return;
      }
      await this.#say(resumption(this.#prompts, this.#turns, this.#topicOf));
      return;
    }
    // Disclosure is heard to its end, whatever the caller says meanwhile.
    const said = await this.#say(sentences.disclosure, false);
    if (said === "QUEUED") {
      this.#disclosedTime = new Date();
      void this.#update({ status: "ACTIVE", locale: this.#prompts.locale, consent: this.#consent() });
    }
    if (this.#phase.name === "TALKING" && this.#callerTurns === 0) await this.#say(sentences.how_can_i_help);
  }

  async #judgeTurn(turn: CallerTurn): Promise<"REPLY" | "HANDLED"> {
    const { sentences } = this.#prompts;
    const turns = turn.text === "" ? [...this.#turns, { role: "CALLER" as const, text: "" }] : this.#turns;
    const verdict = this.#judge.judge(turns, turn.text === "" ? undefined : turn.confidence);
    this.#options.log("turn_judged", {
      verdict: verdict.kind,
      ...(verdict.kind === "ESCALATE" ? { reason: verdict.reason } : {}),
    });
    switch (verdict.kind) {
      case "REPLY":
        return "REPLY";
      case "ESCALATE":
        void this.#escalate(verdict.reason);
        break;
      case "WRONG_NUMBER":
        void this.#endCall(
          "WRONG_NUMBER",
          fill(sentences.wrong_number, { business: this.#prompts.business }),
        );
        break;
      case "GOODBYE":
        void this.#endCall("ENDED", sentences.goodbye);
        break;
      case "CALLBACK":
        this.#phase = { name: "MESSAGE" };
        void this.#say(sentences.leave_message_now);
        break;
      case "REFUSES_TRANSCRIPT":
        void this.#say(sentences.consent_refused);
        break;
      case "NOT_UNDERSTOOD":
        void this.#say(sentences.not_understood);
        break;
    }
    return "HANDLED";
  }

  /** The caller coughed while the agent spoke: say what was not heard, or answer what was asked before. */
  #goOnAfterNoise(cutOff: AiTurn | undefined): "REPLY" | "HANDLED" {
    if (!["TALKING", "UNANSWERED", "MESSAGE"].includes(this.#phase.name)) return "HANDLED";
    if (!cutOff)
      return this.#turns.at(-1)?.role === "CALLER" && this.#phase.name === "TALKING" ? "REPLY" : "HANDLED";
    const rest = unheardRest(cutOff);
    if (rest !== "") void this.#say(`${this.#prompts.sentences.repeat} ${rest}`);
    return "HANDLED";
  }

  async #silent(): Promise<void> {
    const { sentences } = this.#prompts;
    if (this.#phase.name === "MESSAGE" || this.#phase.name === "UNANSWERED") return this.#callback(undefined);
    if (this.#phase.name !== "TALKING") return;
    this.#silences++;
    if (this.#silences <= 2) {
      await this.#say(this.#silences === 1 ? sentences.silence_1 : sentences.silence_2);
      return;
    }
    await this.#endCall("SILENT", sentences.silence_goodbye);
  }

  /** Announce, escalate, act on how it ended. */
  async #escalate(reason: EscalationReason, modelSummary = "", announcement?: string): Promise<void> {
    this.#enter({ name: "ESCALATING" });
    this.#escalations++;
    this.#lastReason = reason;
    await this.#say(announcement ?? this.#prompts.announcements[reason], false);
    if (this.#over) return;
    const summary = this.#summary({ reason });
    const request: EscalateRequest = {
      reason,
      summary: this.#log.allowed ? modelSummary || summary : "",
      summarySource: this.#log.allowed && modelSummary !== "" ? "MODEL" : "RULES",
      routingHint: this.#options.routingHint,
      ringSeconds: this.#options.ringSeconds,
      ...(this.#options.pool === "" ? {} : { pool: this.#options.pool }),
      after: "PLAYBACK_DRAINED",
    };
    let outcome: EscalationOutcome;
    await within(this.#refusalWritten, this.#options.consentWriteMs);
    if (this.#over) return;
    this.#escalationGiven = true;
    try {
      outcome = await this.#call.escalate(request);
    } catch (error) {
      this.#options.log("escalation_failed", { error: nameOf(error) });
      outcome = "REJECTED";
    }
    this.#escalationGiven = false;
    this.#options.log("escalated", { reason, outcome, attempt: this.#escalations });
    await this.#afterEscalation(outcome, reason);
  }

  async #afterEscalation(outcome: EscalationOutcome, reason: EscalationReason): Promise<void> {
    if (this.#over) return;
    switch (outcome) {
      case "CONNECTED":
      case "LEAVE_FAILED":
        this.#end("HANDED_OVER");
        return;
      case "CALLER_LEFT":
        this.#end("ABANDONED");
        return;
      case "UNKNOWN":
        await within(this.#call.ended, this.#options.unknownOutcomeMs);
        if (!this.#over) await this.#nobody(reason);
        return;
      default:
        await this.#nobody(reason);
    }
  }

  /** Nobody was reached: say so; once more, or a message. */
  async #nobody(reason: EscalationReason): Promise<void> {
    const { sentences } = this.#prompts;
    const again = this.#escalations < this.#options.maxEscalations;
    if (again && reason === "EMERGENCY") {
      await this.#escalate(reason, "", sentences.unanswered_emergency);
      return;
    }
    this.#enter(again ? { name: "UNANSWERED", asked: 1 } : { name: "MESSAGE" });
    await this.#say(again ? sentences.unanswered : sentences.leave_message);
  }

  /** The answer to "once more, or a message?". */
  async #choose(text: string, phase: Extract<Phase, { name: "UNANSWERED" }>): Promise<void> {
    const { sentences } = this.#prompts;
    const judge = this.#judge;
    if (judge.hears("emergency", text)) return void this.#escalate("EMERGENCY");
    if (judge.hears("message", text)) {
      this.#phase = { name: "MESSAGE" };
      void this.#say(sentences.leave_message_now);
    } else if (judge.hears("yes", text) && !judge.hears("no", text)) {
      void this.#escalate(this.#lastReason ?? "ASKED_FOR_HUMAN", "", sentences.trying_again);
    } else if (judge.hears("no", text) || judge.hears("goodbye", text)) {
      void this.#callback(undefined);
    } else if (phase.asked < 2) {
      phase.asked++;
      void this.#say(sentences.unanswered_unclear);
    } else {
      // Asked twice; what he says is what he wants to have told.
      void this.#callback(text === "" ? undefined : text);
    }
  }

  async #callback(said: string | undefined): Promise<void> {
    const { sentences } = this.#prompts;
    this.#enter({ name: "ENDING" });
    const allowed = this.#log.allowed;
    const message = allowed ? said : undefined;
    const written = this.#update({
      status: "CALLBACK_WANTED",
      summarySource: "RULES",
      ...(allowed ? { summary: this.#summary({ reason: this.#lastReason, message }) } : {}),
      ...(message === undefined ? {} : { data: { message } }),
    });
    await this.#say(
      message === undefined ? sentences.callback_without_message : sentences.message_taken,
      false,
    );
    await written;
    await this.#disconnect("CALLBACK_WANTED");
  }

  async #endCall(result: SessionResult, goodbye?: string): Promise<void> {
    this.#enter({ name: "ENDING" });
    const written = this.#update({
      status: "ENDED",
      outcome: result,
      ...this.#finalSummary(),
    });
    if (goodbye !== undefined) await this.#say(goodbye, false);
    await written;
    await this.#disconnect(result);
  }

  /** End the call when everything said was heard. */
  async #disconnect(result: SessionResult): Promise<void> {
    if (!this.#over) {
      try {
        await Promise.race([this.#call.disconnect({ after: "PLAYBACK_DRAINED" }), this.#call.ended]);
      } catch (error) {
        this.#options.log("disconnect_failed", { error: nameOf(error) });
        await this.#call.disconnect({ after: "NOW" }).catch(() => {});
      }
    }
    this.#end(result);
  }

  #callEnded(reason: CallEndReason): void {
    const phase = this.#phase.name;
    this.#wentElsewhere = reason === "LEFT_TO_PARTIES" || reason === "SEAT_LOST";
    this.#options.log("call_ended", { reason, phase });
    if (phase === "ENDING" || phase === "OVER") return;
    if (reason === "LEFT_TO_PARTIES") this.#end("HANDED_OVER");
    else if (reason === "SEAT_LOST") this.#end("LOST");
    // While escalating the gateway writes by itself that the caller hung up.
    else if (this.#escalationGiven) this.#end("ABANDONED");
    else {
      const result = reason === "DISCONNECTED" ? "ENDED" : "ABANDONED";
      const written = this.#update({ status: result, ...this.#finalSummary() });
      this.#phase = { name: "OVER" };
      void within(written, this.#options.finalWriteMs).then(() => this.#finish(result));
    }
  }

  get #over(): boolean {
    return this.#phase.name === "OVER";
  }

  #enter(phase: Phase): void {
    clearTimeout(this.#silence);
    this.#silences = 0;
    if (this.#over) return;
    this.#phase = phase;
    this.#conversation.setMode(phase.name === "ESCALATING" || phase.name === "ENDING" ? "LISTEN" : "TALK");
  }

  #end(result: SessionResult): void {
    this.#phase = { name: "OVER" };
    this.#finish(result);
  }

  #say(text: string, interruptible = true): Promise<SaidOutcome> {
    return this.#over ? Promise.resolve("FAILED") : this.#conversation.say(text, { interruptible });
  }

  #consent(): { disclosedTime?: Date; transcript: boolean } {
    const disclosedTime = this.#disclosedTime;
    return { transcript: this.#log.allowed, ...(disclosedTime === undefined ? {} : { disclosedTime }) };
  }

  /** What a talk that is over was about; nothing when the caller refused to be written down. */
  #finalSummary(): { summary?: string; summarySource?: "RULES" } {
    return this.#log.allowed ? { summary: this.#summary({}), summarySource: "RULES" } : {};
  }

  #summary(end: TalkEnd): string {
    return summarise(this.#prompts, this.#turns, this.#topicOf, end);
  }

  /** Whatever else the caller says in this turn: nothing of the talk stays written, nothing more is. */
  #refuse(): void {
    if (!this.#log.allowed) return;
    this.#log.refuse();
    this.#refusalOwed = true;
    this.#refusalWritten = this.#update({});
  }

  async #update(patch: ContextPatch): Promise<void> {
    const withRefusal = this.#refusalOwed;
    try {
      await this.#call.updateContext(withRefusal ? { ...patch, consent: this.#consent() } : patch);
      if (withRefusal) this.#refusalOwed = false;
    } catch (error) {
      this.#options.log("context_not_written", { error: nameOf(error) });
    }
  }

  #write(turn: Omit<Turn, "locale">): void {
    this.#log.append({ ...turn, locale: this.#prompts.locale });
  }

  /** Ids are unique within the call, over all the agents that had it. */
  #id(kind: "a" | "c", number: number): string {
    return `${this.#call.attempt}-${kind}${number}`;
  }
}
