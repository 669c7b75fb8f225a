import type { AgentMode, CallState, EndReason } from "./call-state.js";
import type { RestoredLife } from "./restore.js";

/** Each state carries what is only true in it. */
type Status =
  | { readonly t: "PENDING" }
  | { readonly t: "ANSWERED"; readonly answerTime: Date }
  | {
      readonly t: "CONNECTED";
      readonly answerTime?: Date;
      readonly connectTime: Date;
      readonly mode: AgentMode;
    }
  | {
      readonly t: "DISCONNECTED";
      readonly answerTime?: Date;
      readonly connectTime?: Date;
      readonly endTime: Date;
      readonly reason: EndReason;
    };

/**
 * PENDING → ANSWERED → CONNECTED → DISCONNECTED, only forward, connect allowed from PENDING. Late, repeated and
 * reordered news from the provider change nothing; DISCONNECTED absorbs all.
 */
export class Lifecycle {
  private status: Status = { t: "PENDING" };

  get state(): CallState {
    return this.status.t;
  }

  get ended(): boolean {
    return this.status.t === "DISCONNECTED";
  }

  get agentMode(): AgentMode | undefined {
    return this.status.t === "CONNECTED" ? this.status.mode : undefined;
  }

  get endReason(): EndReason | undefined {
    return this.status.t === "DISCONNECTED" ? this.status.reason : undefined;
  }

  /** The times that are known. */
  times(): { answerTime?: Date; connectTime?: Date; endTime?: Date } {
    const { t, ...rest } = this.status as Status & { mode?: unknown; reason?: unknown };
    void t;
    return {
      ...("answerTime" in rest && rest.answerTime ? { answerTime: rest.answerTime as Date } : {}),
      ...("connectTime" in rest && rest.connectTime ? { connectTime: rest.connectTime as Date } : {}),
      ...("endTime" in rest && rest.endTime ? { endTime: rest.endTime as Date } : {}),
    };
  }

  /** Where an earlier owner of the call had brought it. Only before any news. */
  restore(life: RestoredLife, now: Date): void {
    const { state, answerTime, connectTime, agentMode } = life;
    if (state === "ANSWERED") this.setStatus({ t: state, answerTime: answerTime ?? now });
    if (state === "CONNECTED") {
      this.setStatus({
        t: state,
        ...(answerTime ? { answerTime } : {}),
        connectTime: connectTime ?? now,
        mode: agentMode ?? "BARGE",
      });
    }
  }

  /** Answered; false when that is no news. */
  answered(now: Date): boolean {
    if (this.status.t !== "PENDING") return false;
    this.setStatus({ t: "ANSWERED", answerTime: now });
    return true;
  }

  /** The callee picked up; false when that is no news. */
  connected(now: Date): boolean {
    if (this.status.t !== "PENDING" && this.status.t !== "ANSWERED") return false;
    const { answerTime } = this.times();
    this.setStatus({
      t: "CONNECTED",
      ...(answerTime ? { answerTime } : {}),
      connectTime: now,
      mode: "BARGE",
    });
    return true;
  }

  /** Who hears the agent; false outside CONNECTED. */
  modeSet(mode: AgentMode): boolean {
    if (this.status.t !== "CONNECTED") return false;
    this.setStatus({ ...this.status, mode });
    return true;
  }

  /** Over; false when it already was: the first cause wins. */
  end(reason: EndReason, now: Date): boolean {
    if (this.status.t === "DISCONNECTED") return false;
    this.setStatus({ t: "DISCONNECTED", ...this.times(), endTime: now, reason });
    return true;
  }

  private setStatus(next: Status): void {
    this.status = next;
  }
}
