import { ALLOWED } from "../../gateway/src/call/call-commands.js";
import type { CallState, Verb } from "../../gateway/src/call/call-state.js";
import { Lifecycle } from "../../gateway/src/call/lifecycle.js";
import { enumValues, rpcs, table } from "./proto-comments.js";

const STATES: readonly CallState[] = ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"];

/** The states with their meaning. */
export function states(): string {
  return meanings("call.proto", "CallState");
}

/** State × verb, from the table that the gateway itself looks into. */
export function verbsByState(): string {
  const rows = (Object.keys(ALLOWED) as Verb[]).map((verb) => [
    `\`${verb}\``,
    ...STATES.map((state) => (ALLOWED[verb][state] ? "yes" : "–")),
  ]);
  return table(["verb", ...STATES], rows);
}

/** What each verb does, as the contract says it. */
export function verbMeanings(): string {
  const rows = rpcs("call_service.proto", "CallService")
    .filter(({ name }) => name in ALLOWED)
    .map(({ name, lines }) => [`\`${name}\``, lines.join(" ")]);
  return table(["verb", "what it does"], rows);
}

/** State × news of the provider, found by trying it on the life cycle itself. */
export function transitions(): string {
  const now = new Date(0);
  const news: readonly (readonly [string, (life: Lifecycle) => unknown])[] = [
    ["answered", (life) => life.answered(now)],
    ["callee picked up", (life) => life.connected(now)],
    ["agent mode set", (life) => life.modeSet("SPY")],
    ["over", (life) => life.end("TERMINATED", now)],
  ];
  const rows = STATES.map((state) => [
    state,
    ...news.map(([, happen]) => {
      const life = inState(state, now);
      const changed = happen(life);
      return changed ? (life.state === state ? "stays" : life.state) : "ignored";
    }),
  ]);
  return table(["state", ...news.map(([title]) => title)], rows);
}

/** Why a call is over. */
export function endReasons(): string {
  return meanings("call.proto", "EndReason");
}

/** Who hears the agent. */
export function agentModes(): string {
  return meanings("call.proto", "AgentMode");
}

/** How an escalation ends. */
export function escalationOutcomes(): string {
  return meanings("escalation.proto", "EscalationOutcome");
}

/** Why an agent escalates. */
export function escalationReasons(): string {
  return meanings("escalation.proto", "EscalationReason");
}

function meanings(file: string, name: string): string {
  const rows = enumValues(file, name).map((value) => [`\`${value.name}\``, value.lines.join(" ")]);
  return table(["", "meaning"], rows);
}

function inState(state: CallState, now: Date): Lifecycle {
  const life = new Lifecycle();
  if (state === "ANSWERED") life.answered(now);
  if (state === "CONNECTED") life.connected(now);
  if (state === "DISCONNECTED") life.end("TERMINATED", now);
  return life;
}
