import type { StoredEvent } from "../call/call-events.js";
import type { AuditSink } from "./audit-sink.js";

/** Calls whose last SetAgentMode is remembered; beyond it the oldest is forgotten. */
const MAX_REMEMBERED = 10_000;

const MODES = { BARGE: "BARGE", WHISPER: "WHISPER", SPY: "SPY" } as const;

/** Writes down from the events of calls: who has the seat, and whom the agent leg hears and is heard by. */
export class CallEventAudit {
  private readonly givers = new Map<string, string>();

  constructor(private readonly sink: AuditSink) {}

  onEvent(event: StoredEvent): void {
    const { tenant, callId, body } = event;
    const call = `${tenant}\n${callId}`;
    switch (body.type) {
      case "commandStarted":
        if (body.verb === "SetAgentMode") this.remember(call, body.actor);
        break;
      case "modeSet":
        this.sink.record({
          tenant,
          kind: MODES[body.mode],
          // Connecting and escalating set modes too.
          actor: this.givers.get(call) ?? "gateway",
          operation: "SetAgentMode",
          callId,
        });
        this.givers.delete(call);
        break;
      case "seatChanged": {
        const { state, agentId, instanceId, epoch } = body.seat;
        this.sink.record({
          tenant,
          kind: "SEAT_CHANGED",
          actor: agentId === "" ? "gateway" : `agent:${agentId}`,
          operation: "",
          callId,
          details: { cause: body.cause, state, epoch: String(epoch), instance_id: instanceId },
        });
        break;
      }
      case "ended":
        this.givers.delete(call);
        break;
    }
  }

  private remember(call: string, actor: string): void {
    this.givers.set(call, actor);
    if (this.givers.size <= MAX_REMEMBERED) return;
    for (const oldest of this.givers.keys()) {
      this.givers.delete(oldest);
      break;
    }
  }
}
