import type { Call } from "../call/call.js";
import { CallError } from "../call/call-error.js";
import type { UnservedAction } from "../call/call-events.js";

/** What the route of a call says about being unserved. */
export interface UnservedPolicy {
  readonly action: UnservedAction;
  /** Rings the original callee for this long. Default 60. */
  readonly ringTimeSeconds: number;
  /** With ANNOUNCE: s16le at the rate of the call; undefined when it could not be loaded. */
  readonly announcement?: (sampleRateHz: number) => Promise<Uint8Array>;
}

/** Why nobody took a call. */
export type UnservedWhy = "NOBODY_FREE" | "ALL_DECLINED" | "WAITED_TOO_LONG";

const actorOf = (call: Call) => ({ tenant: call.facts.tenant, name: "gateway" });

/**
 * The net under every call: nobody is free, so the route decides. A call that has had an agent keeps waiting with hold
 * audio until it waited too long, then it rings the original callee, as the default route does at once.
 */
export class Unserved {
  private readonly acting = new Set<Call>();

  constructor(
    private readonly policyOf: (call: Call) => UnservedPolicy,
    private readonly stopSeeking: (call: Call) => void,
    private readonly warn: (call: Call, message: string) => void,
  ) {}

  /** Acts once per call. */
  handle(call: Call, why: UnservedWhy): void {
    if (call.lifecycle.ended || this.acting.has(call)) return;
    const policy = this.policyOf(call);
    const action = this.choose(call, why, policy.action);
    if (action === undefined) return;
    this.acting.add(call);
    call.over.addEventListener("abort", () => this.acting.delete(call), { once: true });
    call.record({ type: "unserved", action });
    this.act(call, action, policy).catch((error: unknown) => {
      this.warn(call, `unserved ${action}: ${CallError.from(error).message}`);
    });
  }

  private choose(call: Call, why: UnservedWhy, action: UnservedAction): UnservedAction | undefined {
    if (why === "WAITED_TOO_LONG") return "CONNECT";
    const hadAgent = call.seat.epoch > 0;
    const waits = action === "QUEUE" || action === "ANSWER_AND_HOLD";
    if (hadAgent) return undefined;
    if (waits) return why === "NOBODY_FREE" ? action : undefined;
    // Claimed although the route would leave it: an agent was free then. The callee is the kindest end.
    return action === "LEAVE" ? "CONNECT" : action;
  }

  private async act(call: Call, action: UnservedAction, policy: UnservedPolicy): Promise<void> {
    switch (action) {
      case "QUEUE":
        this.acting.delete(call);
        return;
      case "ANSWER_AND_HOLD":
        this.acting.delete(call);
        await call.execute(actorOf(call), "", { verb: "AnswerCall" }, 0);
        return;
      case "ANNOUNCE":
        this.stopSeeking(call);
        return this.announce(call, policy);
      default:
        this.stopSeeking(call);
        return this.ringCallee(call, policy.ringTimeSeconds);
    }
  }

  /** Rings the original callee; we leave when it picks up, and hang up when it does not. */
  private async ringCallee(call: Call, ringTimeSeconds: number): Promise<void> {
    const actor = actorOf(call);
    try {
      await call.execute(actor, "", { verb: "ConnectCall", ringTimeSeconds }, (ringTimeSeconds + 30) * 1000);
    } catch (error) {
      if (call.lifecycle.ended) return;
      this.warn(call, `unserved CONNECT: ${CallError.from(error).message}`);
      if (CallError.from(error).reason !== "OUTCOME_UNKNOWN") {
        await call.execute(actor, "", { verb: "DisconnectCall" }, 0);
      }
      return;
    }
    await call.execute(actor, "", { verb: "CloseCall", endCall: false }, 0);
  }

  private async announce(call: Call, policy: UnservedPolicy): Promise<void> {
    const actor = actorOf(call);
    // Before the answer, so that no hold audio comes first.
    call.flags.announcing = true;
    await call.execute(actor, "", { verb: "AnswerCall" }, 0);
    try {
      const pcm = await policy.announcement?.(call.facts.sampleRateHz);
      if (pcm) call.playback.enqueue(pcm);
    } catch (error) {
      this.warn(call, `announcement: ${CallError.from(error).message}`);
    }
    await call.execute(
      actor,
      "",
      { verb: "DisconnectCall", after: { condition: "PLAYBACK_DRAINED" } },
      150_000,
    );
  }
}
