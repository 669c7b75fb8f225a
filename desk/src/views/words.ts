import {
  AgentMode,
  type Call,
  type CallContext,
  type CallEvent,
  CallState,
  EndReason,
  EscalationOutcome,
  EscalationReason,
  EscalationStep,
  OfferEnd,
  SeatCause,
  SeatState,
  TurnRole,
  UnservedAction,
} from "@callweave/proto/messages";
import type { CallEntry } from "../model/call-entry.js";
import { isOver } from "../model/call-entry.js";
import { t, tFor } from "../text/index.js";

/** Where a call stands, in words. */
export function stateOf(entry: CallEntry): string {
  const { call, escalation, ringing } = entry;
  if (isOver(entry)) return tFor("end", EndReason[call.endReason]);
  if (escalation && escalation.step !== EscalationStep.LEAVING) {
    if (escalation.step === EscalationStep.CONFIRMING) return t("state.confirming");
    return ringing ? t("state.ringing") : t("state.escalating");
  }
  if (ringing) return t("state.ringing");
  if (call.state === CallState.CONNECTED) return t("state.CONNECTED");
  if (call.seat?.state === SeatState.OFFERED || call.seat?.state === SeatState.VACANT)
    return t("state.waiting");
  return tFor("state", CallState[call.state]);
}

/** The colour that goes with it. */
export function toneOf(entry: CallEntry): string {
  if (isOver(entry)) return entry.call.endReason === EndReason.LEFT_TO_PARTIES ? "good" : "plain";
  if (entry.waitingSinceMs !== undefined) return "warn";
  return entry.call.state === CallState.CONNECTED ? "good" : "accent";
}

/** Who speaks for us in a call: "support-bot", or nobody. */
export function holderOf(call: Call): string {
  const { seat } = call;
  if (!seat || seat.agentId === "") return "";
  return seat.state === SeatState.SUSPENDED ? t("seat.suspended", { name: seat.agentId }) : seat.agentId;
}

/** Why it was escalated; empty when it was not. */
export function reasonOf(context: CallContext | undefined): string {
  if (!context || context.escalationReason === EscalationReason.UNSPECIFIED) return "";
  return tFor("reason", EscalationReason[context.escalationReason]);
}

/** Who said a turn. */
export function roleOf(role: TurnRole): string {
  return tFor("role", TurnRole[role]);
}

/** The mode of the agent leg. */
export function modeOf(mode: AgentMode): string {
  return tFor("mode", AgentMode[mode]);
}

/** "client:desk-1" is a person at a desk, "agent:support-bot" the agent. */
export function actorName(actor: string): string {
  return actor.replace(/^(?:client|agent):/, "");
}

/** What an event says to a person; empty for what only programs need. */
export function eventText({ event }: CallEvent): string {
  switch (event?.$case) {
    case "arrived":
      return t("event.arrived");
    case "unserved":
      return t("event.unserved", { action: tFor("unserved", UnservedAction[event.value.action]) });
    case "offered":
      return t("event.offered", { name: event.value.agentId });
    case "offerEnded":
      return t("event.offerEnded", {
        name: event.value.agentId,
        end: tFor("offerEnd", OfferEnd[event.value.end]),
      });
    case "seatChanged": {
      const name = event.value.seat?.agentId ?? "";
      const cause = tFor("seatCause", SeatCause[event.value.cause]);
      return name === "" ? t("event.seatFree", { cause }) : t("event.seat", { name, cause });
    }
    case "answered":
      return t("event.answered");
    case "ringing":
      return t("event.ringing", { seconds: event.value.ringTimeSeconds });
    case "connected":
      return t("event.connected");
    case "modeSet":
      return t("event.modeSet", { mode: modeOf(event.value.mode) });
    case "commandStarted":
      return t("event.commandStarted", {
        verb: verbOf(event.value.verb),
        name: actorName(event.value.actor),
      });
    case "commandDone": {
      const { verb, error, escalation } = event.value;
      if (escalation)
        return t("event.escalationDone", { outcome: tFor("outcome", EscalationOutcome[escalation.outcome]) });
      if (error) return t("event.commandFailed", { verb: verbOf(verb), why: error.message });
      return t("event.commandDone", { verb: verbOf(verb) });
    }
    case "escalation":
      return tFor("step", EscalationStep[event.value.step]);
    case "contextWritten":
      return t("event.contextWritten", { revision: event.value.revision, turns: event.value.turnCount });
    case "noteSent":
      return t(event.value.delivered ? "event.note" : "event.noteLost", {
        name: actorName(event.value.actor),
      });
    case "ended":
      return tFor("end", EndReason[event.value.reason]);
    case "mediaChanged":
      return t("event.media");
    case "holdChanged":
      return t(event.value.holding ? "event.hold" : "event.holdEnd");
    case "takenOver":
      return t("event.takenOver", { gateway: event.value.gatewayId });
    case "eventsLost":
      return t("event.lost");
    default:
      return "";
  }
}

/** The event says who did what: part of the audit. */
export function isAudit({ event }: CallEvent): boolean {
  return (
    event?.$case === "commandStarted" ||
    event?.$case === "noteSent" ||
    event?.$case === "seatChanged" ||
    event?.$case === "modeSet"
  );
}

function verbOf(verb: string): string {
  return tFor("verb", verb);
}
