import type { CommandOutcome } from "./call-commands.js";
import type { EscalationPlan, EscalationStep, StoredEvent } from "./call-events.js";
import type { AgentMode, CallState, SeatSnapshot, Verb } from "./call-state.js";

/** A command that the event log knows of. */
export interface RestoredCommand {
  readonly verb: Verb;
  readonly requestId: string;
  readonly bodyHash: string;
  /** Unset: begun, and nobody knows how it ended. */
  readonly outcome?: CommandOutcome;
}

/** An escalation that was under way. */
export interface RestoredEscalation {
  readonly requestId: string;
  readonly step: EscalationStep;
  readonly plan?: EscalationPlan;
}

/** What the event log says of a call that another gateway had, or this one before it was restarted. */
export interface RestoredCall {
  /** Sequence of its newest event in the log. */
  readonly lastSequence: number;
  /** The owner's number; the new owner is one more. */
  readonly ownerEpoch: number;
  readonly fromGatewayId: string;
  /** Unset when the log says that the call was over: it comes again as a new one, with its numbers going on. */
  readonly live?: RestoredLife;
}

/** The part of a restored call that was still going on. */
export interface RestoredLife {
  readonly state: Exclude<CallState, "DISCONNECTED">;
  readonly agentMode?: AgentMode;
  readonly createTime: Date;
  readonly answerTime?: Date;
  readonly connectTime?: Date;
  /** Audio position of the newest event, and its time. */
  readonly position: number;
  readonly positionTime: Date;
  /** As it was told last; the holder may still live. */
  readonly seat: SeatSnapshot;
  readonly seatLeftEmpty: boolean;
  readonly commands: readonly RestoredCommand[];
  /** Set when an EscalateCall is among the commands without outcome. */
  readonly escalation?: RestoredEscalation;
}

const EMPTY_SEAT: SeatSnapshot = { state: "VACANT", agentId: "", instanceId: "", epoch: 0, attempt: 0 };

/** Folds the events of one call, oldest first, into what is known of it; undefined without events. */
export function restoreCall(events: readonly StoredEvent[]): RestoredCall | undefined {
  const last = events.at(-1);
  if (!last) return undefined;
  const fold = new Fold(last);
  for (const event of events) fold.add(event);
  return fold.result();
}

class Fold {
  private gatewayId = "";
  private state: CallState = "PENDING";
  private mode: AgentMode | undefined;
  private createTime: Date;
  private answerTime: Date | undefined;
  private connectTime: Date | undefined;
  private seat = EMPTY_SEAT;
  private seatLeftEmpty = false;
  private readonly commands = new Map<string, RestoredCommand>();
  private escalation: RestoredEscalation | undefined;

  constructor(private readonly last: StoredEvent) {
    this.createTime = last.time;
  }

  add({ time, body }: StoredEvent): void {
    switch (body.type) {
      case "arrived":
        // Also after an end: the provider brought the same id again.
        this.gatewayId = body.call.gatewayId;
        this.state = "PENDING";
        this.createTime = body.call.createTime;
        this.answerTime = undefined;
        this.connectTime = undefined;
        this.mode = undefined;
        this.seatLeftEmpty = false;
        break;
      case "answered":
        this.state = "ANSWERED";
        this.answerTime = time;
        break;
      case "connected":
        this.state = "CONNECTED";
        this.connectTime = time;
        this.mode = "BARGE";
        break;
      case "modeSet":
        this.mode = body.mode;
        break;
      case "offered":
        this.seat = { ...this.seat, attempt: Math.max(this.seat.attempt, body.attempt) };
        break;
      case "seatChanged":
        this.seat = body.seat;
        this.seatLeftEmpty = body.cause === "ESCALATED" && body.seat.state === "VACANT";
        break;
      case "commandStarted": {
        const { verb, requestId, bodyHash } = body;
        this.commands.set(requestId, { verb, requestId, bodyHash });
        break;
      }
      case "commandDone": {
        const { type: _, ...outcome } = body;
        const begun = this.commands.get(body.requestId);
        if (begun) this.commands.set(body.requestId, { ...begun, outcome });
        if (this.escalation?.requestId === body.requestId) this.escalation = undefined;
        break;
      }
      case "escalation":
        this.escalation = {
          requestId: body.requestId,
          step: body.step,
          ...(body.plan ? { plan: body.plan } : this.escalation?.plan ? { plan: this.escalation.plan } : {}),
        };
        break;
      case "ended":
        this.state = "DISCONNECTED";
        break;
      case "takenOver":
        this.gatewayId = body.gatewayId;
        break;
      default:
        break;
    }
  }

  result(): RestoredCall {
    const { last, state } = this;
    return {
      lastSequence: last.sequence,
      ownerEpoch: last.ownerEpoch,
      fromGatewayId: this.gatewayId,
      ...(state === "DISCONNECTED" ? {} : { live: this.life(state) }),
    };
  }

  private life(state: RestoredLife["state"]): RestoredLife {
    const { escalation } = this;
    const open = escalation && this.commands.get(escalation.requestId)?.outcome === undefined;
    return {
      state,
      ...(state === "CONNECTED" && this.mode ? { agentMode: this.mode } : {}),
      createTime: this.createTime,
      ...(this.answerTime ? { answerTime: this.answerTime } : {}),
      ...(this.connectTime ? { connectTime: this.connectTime } : {}),
      position: this.last.position,
      positionTime: this.last.time,
      seat: this.seat,
      seatLeftEmpty: this.seatLeftEmpty,
      commands: [...this.commands.values()],
      ...(open ? { escalation } : {}),
    };
  }
}
