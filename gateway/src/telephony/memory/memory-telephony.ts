import { type Clock, systemClock } from "../../util/clock.js";
import type { CallNotice, Connector, ConnectorHandler, IncomingCall } from "../telephony.js";
import { MemoryLeg, type MemoryLegOptions } from "./memory-leg.js";

/** Options of the connector. */
export interface MemoryTelephonyOptions {
  /** Name of the connector. Default "memory". */
  readonly name?: string;
  /** For claim delays, ring times and scripted delays. Default the clock of the machine. */
  readonly clock?: Clock;
  /** Rate of all calls. Default 16000. */
  readonly sampleRateHz?: 8000 | 16000 | 24000;
  /** Default "mixed". */
  readonly audioMode?: "mixed" | "isolated";
}

/** A call that arrives. Everything has a default; ids count up: "call-1", "session-1". */
export interface MemoryArrival extends MemoryLegOptions {
  readonly callId?: string;
  readonly sessionId?: string;
  /** Default "+15550100". */
  readonly from?: string;
  /** Default "+15550111". */
  readonly to?: string;
}

/**
 * A provider in memory, for tests of the core and the services. `arrive()` plays an incoming call through the claim
 * policy of the handler; with a claim delay of 0 the call is there when it returns.
 */
export class MemoryTelephony implements Connector {
  readonly name: string;
  /** Every call that arrived, claimed or not, oldest first. */
  readonly legs: MemoryLeg[] = [];
  /** Answer of the next claims: undefined lets them win, a reason makes them lose (onCallLost). */
  loseClaimsWith: string | undefined;
  /** How long the provider thinks about a claim that it gives, ms of the clock. */
  claimAnswerMs = 0;
  private readonly clock: Clock;
  private handler: ConnectorHandler | undefined;
  private signedIn = false;
  private claiming = true;
  private count = 0;
  private startError: Error | undefined;

  constructor(private readonly options: MemoryTelephonyOptions = {}) {
    this.name = options.name ?? "memory";
    this.clock = options.clock ?? systemClock;
  }

  get ready(): boolean {
    return this.signedIn;
  }

  /** Resolves in the next microtask; rejects after `refuseStart`. */
  async start(handler: ConnectorHandler): Promise<void> {
    this.handler = handler;
    await Promise.resolve();
    if (this.startError) throw this.startError;
    this.setReady(true);
  }

  /** Notifies again every call that nobody claimed. */
  lookForCalls(): void {
    for (const leg of this.legs) if (leg.claim === "ignored" || leg.claim === "lost") this.notify(leg);
  }

  stopClaiming(): void {
    this.claiming = false;
  }

  async stop(): Promise<void> {
    this.stopClaiming();
    this.setReady(false);
    for (const leg of this.legs) if (leg.state !== "over" && !leg.abandoned) leg.abandon();
  }

  // What the test does as the provider.

  /** The next start() rejects with this. */
  refuseStart(error: Error): void {
    this.startError = error;
  }

  /** The sign-in state changes; told once per change. */
  setReady(ready: boolean): void {
    if (ready === this.signedIn) return;
    this.signedIn = ready;
    this.handler?.onReady(ready);
  }

  /** True after stopClaiming(). */
  get claimingStopped(): boolean {
    return !this.claiming;
  }

  /** A call comes in and is notified. Look at `leg.claim` for what became of it. */
  arrive(arrival: MemoryArrival = {}): MemoryLeg {
    const number = ++this.count;
    const call: IncomingCall = {
      connector: this.name,
      callId: arrival.callId ?? `call-${number}`,
      sessionId: arrival.sessionId ?? `session-${number}`,
      from: arrival.from ?? "+15550100",
      to: arrival.to ?? "+15550111",
      sampleRateHz: this.options.sampleRateHz ?? 16_000,
      audioMode: this.options.audioMode ?? "mixed",
    };
    const leg = new MemoryLeg(call, this.clock, arrival);
    this.legs.push(leg);
    this.notify(leg);
    return leg;
  }

  /** Notifies a call again, as a provider does after a sign-in: one that was not claimed may be claimed now. */
  notify(leg: MemoryLeg): void {
    const handler = this.handler;
    if (!handler) throw new Error("start() was not called");
    if (leg.claim === "claimed" || leg.state === "over") return;
    const { connector, sessionId, from, to } = leg.call;
    const notice: CallNotice = { connector, sessionId, from, to };
    const policy = this.claiming && this.signedIn ? handler.claim(notice) : { claim: false, delayMs: 0 };
    if (!policy.claim) {
      leg.claim = "ignored";
      return;
    }
    leg.claim = "waiting";
    if (policy.delayMs > 0) this.clock.after(policy.delayMs, () => this.decide(leg, notice, handler));
    else this.decide(leg, notice, handler);
  }

  /** Another process takes a call whose claim delay still runs. */
  takeByOther(leg: MemoryLeg, reason = "SESSION_BUSY"): void {
    if (leg.claim !== "waiting") return;
    leg.claim = "lost";
    const { connector, sessionId, from, to } = leg.call;
    this.handler?.onCallLost({ connector, sessionId, from, to }, reason);
  }

  private decide(leg: MemoryLeg, notice: CallNotice, handler: ConnectorHandler): void {
    if (leg.claim !== "waiting") return;
    const reason =
      this.loseClaimsWith ??
      (leg.state === "over" ? "SESSION_CLOSED" : this.claiming ? undefined : "STOPPED_CLAIMING");
    if (reason !== undefined) {
      leg.claim = "lost";
      handler.onCallLost(notice, reason);
      return;
    }
    const give = () => {
      leg.claim = "claimed";
      handler.onCall(leg.call, leg);
    };
    if (this.claimAnswerMs > 0) this.clock.after(this.claimAnswerMs, give);
    else give();
  }
}
