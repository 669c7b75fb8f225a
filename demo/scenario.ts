import {
  type CalleeBehaviour,
  callee,
  hangUp,
  type Script,
  type ScriptStep,
  type SimCall,
  say,
  sayAfterAgent,
  source,
  tone,
  type VoiceName,
  wait,
  waitForAgent,
  waitForAgentSpeech,
  waitUntil,
} from "@callweave/simulator";
import type { CallState, ContextStatus, EndReason, EscalationOutcome, EscalationReason } from "callweave";
import type { Prompts } from "../agents/escalation/prompts.js";
import type { CallerKind, Variant } from "./options.js";

/** Voices: three people that can be told apart. */
export const VOICES = { caller: "rms", agent: "slt", specialist: "awb" } as const satisfies Record<
  string,
  VoiceName
>;

/** The caller's number. */
export const CALLER_NUMBER = "+15550123";

/** How a variant has to end. */
export interface Expectation {
  /** What the caller says to the agent, sentence by sentence; `understood: false` for what nobody could understand. */
  readonly callerSaid: ReadonlyArray<{ readonly text: string; readonly understood: boolean }>;
  /** What the agent has to say, in this order, each heard by the caller to its end. */
  readonly agentSays: readonly string[];
  /** The announcement before the handover; undefined when nothing is handed over. */
  readonly announcement: string | undefined;
  /** What caller and specialist say to each other after the agent left; undefined when they never talk. */
  readonly talk: { readonly caller: readonly string[]; readonly specialist: readonly string[] } | undefined;
  readonly states: readonly CallState[];
  readonly endReason: EndReason;
  readonly status: ContextStatus;
  readonly escalationReason: EscalationReason | undefined;
  readonly escalationOutcomes: readonly EscalationOutcome[];
  /** The context's own outcome field; undefined: not looked at. */
  readonly contextOutcome: string | undefined;
  /** Words that the summary has to contain. */
  readonly summaryContains: readonly string[];
  /** Why the call ended for the provider. */
  readonly providerEnd: "caller_hung_up" | "agent_disconnected";
}

/** A variant ready to be played. */
export interface Scenario {
  readonly title: string;
  /** Something that one has to know about this variant. */
  readonly remark: string | undefined;
  readonly callerScript: Script;
  readonly callee: CalleeBehaviour;
  readonly expectation: Expectation;
  /** Options for the agent's command line. */
  readonly agentFlags: readonly string[];
}

interface Part {
  readonly said: readonly string[];
  readonly agentSays: readonly string[];
  readonly reason: EscalationReason;
  readonly summary: readonly string[];
  readonly understood: boolean;
}

const ESCALATING: readonly CallerKind[] = ["asks", "angry", "out-of-scope", "mumbles"];
const QUESTION = "What is your address?";
const WISH = "Can I talk to a real person please?";
const SPECIALIST_SAYS = [
  "Hello, I have your notes here, how can I help you?",
  "I will send it to you right away.",
];
const CALLER_SAYS = ["Please send me the directions."];
const GREETING = "The person you called is not available, leave a message after the tone.";
const MESSAGE = "I want to leave a message.";
const MESSAGE_TEXT = "Please call me back tomorrow morning.";

/**
 * Scripts and expectations of a variant.
 * @param call gives the call once it is placed; the scripts look at it while it runs
 */
export function makeScenario(variant: Variant, prompts: Prompts, call: () => SimCall | undefined): Scenario {
  if (ESCALATING.includes(variant.caller)) return handover(variant, prompts, call);
  return withoutHandover(variant.caller, prompts);
}

/** The caller's half before the handover; `short`: without a question before, since the rest is long. */
function beforeHandover(kind: CallerKind, prompts: Prompts, short: boolean): Part {
  const { sentences } = prompts;
  const answer = prompts.topics.find(({ id }) => id === "address")?.answer ?? "";
  const reasons = prompts.summary.reasons;
  switch (kind) {
    case "angry":
      return {
        said: ["This is a waste of my time."],
        agentSays: [],
        reason: "FRUSTRATED",
        summary: [reasons.FRUSTRATED],
        understood: true,
      };
    case "out-of-scope":
      return {
        said: ["I want my money back."],
        agentSays: [],
        reason: "OUT_OF_SCOPE",
        summary: ["money", reasons.OUT_OF_SCOPE],
        understood: true,
      };
    case "mumbles":
      return {
        said: ["Blah blurp glug.", "Bla bla wub."],
        agentSays: [sentences.not_understood],
        reason: "NOT_UNDERSTOOD",
        summary: [reasons.NOT_UNDERSTOOD],
        understood: false,
      };
    default:
      return {
        said: short ? [WISH] : [QUESTION, WISH],
        agentSays: short ? [] : [`${answer} ${sentences.anything_else}`],
        reason: "ASKED_FOR_HUMAN",
        summary: short ? [reasons.ASKED_FOR_HUMAN] : ["our address", reasons.ASKED_FOR_HUMAN],
        understood: true,
      };
  }
}

function handover(variant: Variant, prompts: Prompts, call: () => SimCall | undefined): Scenario {
  const noAnswer = variant.callee === "no-answer";
  const part = beforeHandover(variant.caller, prompts, noAnswer);
  const { sentences } = prompts;
  const announcement = prompts.announcements[part.reason];
  const opening = [sentences.disclosure, sentences.how_can_i_help];
  const before = part.said.flatMap((text) => sayAfterAgent(text, VOICES.caller, 0.8));
  const agentLeft = waitUntil(() => call()?.agentLeft ?? false, 90);
  const common = {
    callerSaid: part.said.map((text) => ({ text, understood: part.understood })),
    announcement,
    escalationReason: part.reason,
    contextOutcome: undefined,
  };
  if (noAnswer) {
    const unanswered = () => call()?.events.some(({ type }) => type === "ring.unanswered") ?? false;
    return {
      title: "nobody picks up; the caller leaves a message",
      remark: undefined,
      callerScript: [
        ...before,
        waitUntil(unanswered, 90),
        forgetWhatWasHeard(),
        ...sayAfterAgent(MESSAGE, VOICES.caller, 1),
        ...sayAfterAgent(MESSAGE_TEXT, VOICES.caller, 1),
      ],
      callee: callee.never(),
      agentFlags: ["--ring-seconds", "4"],
      expectation: {
        ...common,
        callerSaid: [
          ...common.callerSaid,
          { text: MESSAGE, understood: true },
          { text: MESSAGE_TEXT, understood: true },
        ],
        agentSays: [
          ...opening,
          ...part.agentSays,
          announcement,
          sentences.unanswered,
          sentences.leave_message_now,
          sentences.message_taken,
        ],
        talk: undefined,
        states: ["PENDING", "ANSWERED", "DISCONNECTED"],
        endReason: "DISCONNECTED",
        status: "CALLBACK_WANTED",
        escalationOutcomes: ["UNANSWERED"],
        summaryContains: ["call me back"],
        providerEnd: "agent_disconnected",
      },
    };
  }
  const voicemail = variant.callee === "voicemail";
  const talk = voicemail
    ? { specialist: [GREETING], caller: ["Please call me back."] }
    : { specialist: SPECIALIST_SAYS, caller: CALLER_SAYS };
  const calleeScript: Script = voicemail
    ? [agentLeft, wait(0.3), say(GREETING, VOICES.specialist), tone(1000, 0.4)]
    : [
        agentLeft,
        wait(0.3),
        say(SPECIALIST_SAYS[0] ?? "", VOICES.specialist),
        ...waitForAgent(0.7, 15),
        say(SPECIALIST_SAYS[1] ?? "", VOICES.specialist),
      ];
  const [words = ""] = talk.caller;
  return {
    title: voicemail ? "a voicemail picks up" : "the specialist picks up",
    remark: voicemail
      ? "A voicemail picked up. With confirm NONE, as here, it counts as a person: the agent has left. " +
        "Use confirm DESK_ACCEPT or SPOKEN_YES where that must not be."
      : undefined,
    callerScript: [
      ...before,
      agentLeft,
      forgetWhatWasHeard(),
      ...waitForAgent(0.7, 20),
      say(words, VOICES.caller),
      ...(voicemail ? [wait(0.5)] : waitForAgent(0.7, 15)),
      hangUp(),
    ],
    callee: callee.picksUp({ afterSeconds: 2.5, script: calleeScript }),
    agentFlags: ["--ring-seconds", "20"],
    expectation: {
      ...common,
      agentSays: [...opening, ...part.agentSays, announcement],
      talk,
      states: ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"],
      endReason: "LEFT_TO_PARTIES",
      status: "HANDED_OVER",
      escalationOutcomes: ["CONNECTED"],
      summaryContains: part.summary,
      providerEnd: "caller_hung_up",
    },
  };
}

function withoutHandover(kind: CallerKind, prompts: Prompts): Scenario {
  const { sentences } = prompts;
  const opening = [sentences.disclosure, sentences.how_can_i_help];
  const common = {
    announcement: undefined,
    talk: undefined,
    states: ["PENDING", "ANSWERED", "DISCONNECTED"],
    escalationReason: undefined,
    escalationOutcomes: [],
    summaryContains: [],
  } satisfies Partial<Expectation>;
  const base = { remark: undefined, callee: callee.never(), agentFlags: [] };
  if (kind === "silent") {
    return {
      ...base,
      title: "the caller says nothing",
      callerScript: [],
      agentFlags: ["--silence-ms", "2500"],
      expectation: {
        ...common,
        callerSaid: [],
        agentSays: [...opening, sentences.silence_1, sentences.silence_2, sentences.silence_goodbye],
        endReason: "DISCONNECTED",
        status: "ENDED",
        contextOutcome: "SILENT",
        providerEnd: "agent_disconnected",
      },
    };
  }
  if (kind === "wrong-number") {
    const said = "Sorry, I have the wrong number.";
    return {
      ...base,
      title: "the caller has the wrong number",
      callerScript: sayAfterAgent(said, VOICES.caller, 0.8),
      expectation: {
        ...common,
        callerSaid: [{ text: said, understood: true }],
        agentSays: [...opening, sentences.wrong_number.replaceAll("{business}", prompts.business)],
        endReason: "DISCONNECTED",
        status: "ENDED",
        contextOutcome: "WRONG_NUMBER",
        providerEnd: "agent_disconnected",
      },
    };
  }
  return {
    ...base,
    title: "the caller hangs up in the middle of the answer",
    callerScript: [...sayAfterAgent(QUESTION, VOICES.caller, 0.8), waitForAgentSpeech(), wait(1.5), hangUp()],
    expectation: {
      ...common,
      callerSaid: [{ text: QUESTION, understood: true }],
      agentSays: opening,
      endReason: "TERMINATED",
      status: "ABANDONED",
      contextOutcome: undefined,
      summaryContains: ["our address"],
      providerEnd: "caller_hung_up",
    },
  };
}

/** What was heard so far is no answer: speech from now on is. */
function forgetWhatWasHeard(): ScriptStep {
  return source(() => false);
}
