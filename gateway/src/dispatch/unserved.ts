import type { Call } from "../call/call.js";
import { CallError } from "../call/call-error.js";
import type { UnservedAction } from "../call/call-events.js";
import type { Clock } from "../util/clock.js";

/** What the route of a call says about being unserved. */
export interface UnservedPolicy {
  readonly action: UnservedAction;
  /** Rings the original callee for this long. Default 60. */
  readonly ringTimeSeconds: number;
  /** With ANNOUNCE: s16le at the rate of the call; undefined when it could not be loaded. */
  readonly announcement?: (sampleRateHz: number) => Promise<Uint8Array>;
  /** Of the pool: with QUEUE, answer so that the caller hears hold audio instead of ringing. */
  readonly answerOnQueue?: boolean;
}

/** Why nobody took a call. */
export type UnservedWhy = "NOBODY_FREE" | "ALL_DECLINED" | "WAITED_TOO_LONG";

/** How much of an announcement is queued at a time. */
const ANNOUNCEMENT_PIECE_MS = 1_000;

const actorOf = (call: Call) => ({ tenant: call.facts.tenant, name: "gateway" });

/**
 * The net under every call: nobody is free, so the route decides. A call that has had an agent keeps waiting with hold
 * audio until it waited too long, then it rings the original callee, as the default route does at once. Parties that
 * talk with each other are left alone.
 */
export class Unserved {
  private readonly acting = new WeakSet<Call>();
  private readonly waiting = new WeakSet<Call>();

  constructor(
    private readonly clock: Clock,
    private readonly policyOf: (call: Call) => UnservedPolicy,
    private readonly stopSeeking: (call: Call) => void,
    private readonly warn: (call: Call, message: string) => void,
  ) {}

  /** Acts once per call; may be told as often as there is nobody. */
  handle(call: Call, why: UnservedWhy): void {
    const { state } = call.lifecycle;
    if ((state !== "PENDING" && state !== "ANSWERED") || this.acting.has(call)) return;
    const policy = this.policyOf(call);
    const action = this.choose(call, why, policy.action);
    if (action === undefined) return;
    const waits = action === "QUEUE" || action === "ANSWER_AND_HOLD";
    if (waits && this.waiting.has(call)) return;
    if (call.snapshot().pending) {
      // Somebody is doing something with it; if that leads nowhere, look again.
      const again = () => call.seat.holder || this.handle(call, why);
      call.commandsIdle().then(again, again);
      return;
    }
    (waits ? this.waiting : this.acting).add(call);
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
        if (policy.answerOnQueue) await this.answer(call);
        return;
      case "ANSWER_AND_HOLD":
        return this.answer(call);
      case "ANNOUNCE":
        this.stopSeeking(call);
        return this.announce(call, policy);
      default:
        this.stopSeeking(call);
        return this.ringCallee(call, policy.ringTimeSeconds);
    }
  }

  private async answer(call: Call): Promise<void> {
    await call.execute(actorOf(call), "", { verb: "AnswerCall" }, 0);
  }

  /** Rings the original callee; we leave when it picks up, and hang up when it does not. */
  private async ringCallee(call: Call, ringTimeSeconds: number): Promise<void> {
    const actor = actorOf(call);
    try {
      const waitMs = (ringTimeSeconds + 30) * 1000;
      await call.execute(actor, "", { verb: "ConnectCall", ringTimeSeconds }, waitMs);
    } catch (error) {
      if (call.lifecycle.ended) return;
      const { reason, message } = CallError.from(error);
      this.warn(call, `unserved CONNECT: ${message}`);
      // Only where it is sure that nobody talks: an unknown outcome may be a conversation.
      if (
        reason === "CALLEE_UNANSWERED" ||
        reason === "PROVIDER_REFUSED" ||
        reason === "PROVIDER_UNAVAILABLE"
      ) {
        await call.execute(actor, "", { verb: "DisconnectCall" }, 0);
      }
      return;
    }
    await call.execute(actor, "", { verb: "CloseCall", endCall: false }, 0);
  }

  private async announce(call: Call, policy: UnservedPolicy): Promise<void> {
    // Before the answer, so that no hold audio comes first.
    call.flags.announcing = true;
    try {
      await this.answer(call);
    } catch (error) {
      call.flags.announcing = false;
      if (call.lifecycle.ended) return;
      this.warn(call, `unserved ANNOUNCE: ${CallError.from(error).message}`);
      return this.ringCallee(call, policy.ringTimeSeconds);
    }
    try {
      const pcm = await policy.announcement?.(call.facts.sampleRateHz);
      if (pcm) await this.feed(call, pcm);
      const after = { condition: "PLAYBACK_DRAINED" } as const;
      await call.execute(actorOf(call), "", { verb: "DisconnectCall", after }, 150_000);
    } catch (error) {
      if (call.lifecycle.ended) return;
      this.warn(call, `unserved ANNOUNCE: ${CallError.from(error).message}`);
      // Nobody is there and nothing more will be said.
      await call.execute(actorOf(call), "", { verb: "DisconnectCall" }, 0);
    }
  }

  /** Queues an announcement piece by piece, so that it may be longer than the playback ring. */
  private async feed(call: Call, pcm: Uint8Array): Promise<void> {
    const pieceBytes = (call.facts.sampleRateHz * 2 * ANNOUNCEMENT_PIECE_MS) / 1000;
    const ringMs = call.options.playback.maxQueuedMs;
    for (let at = 0; at < pcm.length && !call.lifecycle.ended; at += pieceBytes) {
      // Not longer than the announcement itself could take to be pulled, twice.
      let patienceMs = 2 * ringMs + 10_000;
      while (call.playback.snapshot().queuedMs + ANNOUNCEMENT_PIECE_MS > ringMs && !call.lifecycle.ended) {
        if (patienceMs <= 0) throw new CallError("PROVIDER_UNAVAILABLE", "the provider takes no audio");
        await new Promise<void>((resolve) => this.clock.after(250, resolve));
        patienceMs -= 250;
      }
      call.playback.enqueue(pcm.subarray(at, at + pieceBytes));
    }
  }
}
