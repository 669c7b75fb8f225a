import type { AgentMode } from "../../call/call-state.js";
import type { Clock, Timer } from "../../util/clock.js";
import {
  type CallLeg,
  type CallLegHandler,
  type ConnectOutcome,
  type IncomingCall,
  type PlaybackSource,
  TelephonyError,
} from "../telephony.js";

/** A command as the leg received it. */
export type MemoryCommand =
  | { readonly name: "answer" | "interrupt" | "close" | "disconnect"; readonly atMs: number }
  | { readonly name: "connect"; readonly ringTimeSeconds: number; readonly atMs: number }
  | { readonly name: "setAgentMode"; readonly mode: AgentMode; readonly atMs: number };

/** Names of the commands. */
export type MemoryCommandName = MemoryCommand["name"];

/** How one command is to be answered. */
export interface MemoryAnswer {
  /** Rejects with this. */
  readonly fail?: TelephonyError;
  /** With connect: resolves with this. Unset: "connected". */
  readonly outcome?: ConnectOutcome;
  /** Milliseconds of the leg's clock before the answer; default 0: in the next microtask. */
  readonly delayMs?: number;
}

/** A command that waits for the test. Settles once; later calls do nothing. */
export interface HeldCommand {
  readonly command: MemoryCommand;
  readonly settled: boolean;
  /** `outcome` counts with connect alone; default "connected". */
  succeed(outcome?: ConnectOutcome): void;
  fail(error: TelephonyError): void;
}

/** Where the leg stands, as a provider would see it. */
export type MemoryLegState = "pending" | "answered" | "connected" | "over";

/** Options of a leg. */
export interface MemoryLegOptions {
  /** Calls onTerminated and onSessionClosed after a disconnect, and after a close before connect. Default true. */
  readonly terminateOnEnd?: boolean;
  /** What a `connect` without a scripted answer does. "ring" waits for `pickUp()` or the ring time. Default "ring". */
  readonly connect?: "ring" | ConnectOutcome;
}

/**
 * A call at a provider that does not exist: a test says what the provider answers and what the caller says, and reads
 * what the gateway did. All commands succeed in the next microtask unless `script`, `hold` or the options say otherwise.
 */
export class MemoryLeg implements CallLeg {
  /** All commands received, oldest first. */
  readonly commands: MemoryCommand[] = [];
  /** Commands that wait for the test, oldest first. */
  readonly held: HeldCommand[] = [];
  /** Audio taken by `pull` and by credit, in order. */
  readonly taken: Uint8Array[] = [];
  /** Whether this call was claimed. "waiting" while a claim delay runs. */
  claim: "waiting" | "claimed" | "ignored" | "lost" = "waiting";
  state: MemoryLegState = "pending";
  mode: AgentMode | undefined;
  /** True after abandon(). */
  abandoned = false;
  /** True while the media connection is up. */
  mediaUp = true;
  /** What isAlive() answers; unset: true until the call is over. */
  alive: boolean | undefined | "by-state" = "by-state";
  audioReadyCount = 0;
  handler: CallLegHandler | undefined;
  playback: PlaybackSource | undefined;

  private readonly scripts = new Map<MemoryCommandName, MemoryAnswer[]>();
  private readonly holds = new Map<MemoryCommandName, number>();
  private ringing: { settle(outcome: ConnectOutcome): void; timer: Timer } | undefined;
  private creditBytes = 0;
  private preferBytes = 2;

  constructor(
    readonly call: IncomingCall,
    private readonly clock: Clock,
    private readonly options: MemoryLegOptions = {},
  ) {}

  attach(handler: CallLegHandler, playback: PlaybackSource): void {
    if (this.handler) throw new Error("attached twice");
    this.handler = handler;
    this.playback = playback;
  }

  /** Answered before it came to this leg. */
  resumed = false;

  resume(): void {
    this.resumed = true;
    if (this.state === "pending") this.state = "answered";
  }

  async answer(): Promise<void> {
    await this.run({ name: "answer", atMs: this.clock.nowMs() });
    if (this.state === "pending") this.state = "answered";
  }

  async connect(ringTimeSeconds: number): Promise<ConnectOutcome> {
    const outcome = await this.run({ name: "connect", ringTimeSeconds, atMs: this.clock.nowMs() });
    if (outcome === "connected" && this.state !== "over") {
      this.state = "connected";
      this.mode = "BARGE";
    }
    return outcome;
  }

  async setAgentMode(mode: AgentMode): Promise<void> {
    await this.run({ name: "setAgentMode", mode, atMs: this.clock.nowMs() });
    this.mode = mode;
  }

  async interrupt(): Promise<void> {
    await this.run({ name: "interrupt", atMs: this.clock.nowMs() });
  }

  async close(): Promise<void> {
    await this.run({ name: "close", atMs: this.clock.nowMs() });
    if (this.options.terminateOnEnd === false || this.state === "over") return;
    const partiesStay = this.state === "connected";
    queueMicrotask(() => {
      if (partiesStay) this.endSilently("SDK_REQUEST");
      else this.terminate();
    });
  }

  async disconnect(): Promise<void> {
    await this.run({ name: "disconnect", atMs: this.clock.nowMs() });
    if (this.options.terminateOnEnd === false) return;
    queueMicrotask(() => this.terminate());
  }

  audioReady(): void {
    this.audioReadyCount++;
    this.spendCredit();
  }

  abandon(): void {
    this.abandoned = true;
    this.mediaUp = false;
    this.failRunning("the leg was abandoned");
  }

  async isAlive(): Promise<boolean | undefined> {
    return this.alive === "by-state" ? this.state !== "over" : this.alive;
  }

  // What the test does as the provider.

  /** Says how the next commands of this name are answered, one answer each; after them the default holds again. */
  script(name: MemoryCommandName, ...answers: MemoryAnswer[]): void {
    this.scripts.set(name, [...(this.scripts.get(name) ?? []), ...answers]);
  }

  /** The next `count` commands of this name wait in `held` until the test settles them. */
  hold(name: MemoryCommandName, count = 1): void {
    this.holds.set(name, (this.holds.get(name) ?? 0) + count);
  }

  /** The callee picks up a ringing connect. False when nothing rings. */
  pickUp(): boolean {
    return this.endRinging("connected");
  }

  /** The ringing connect ends unanswered now. False when nothing rings. */
  doNotAnswer(): boolean {
    return this.endRinging("unanswered");
  }

  /** True while a connect rings. */
  get isRinging(): boolean {
    return this.ringing !== undefined;
  }

  /** The gateway hears this; nothing after the call is over. */
  hearCaller(pcm: Uint8Array, channel = 0): void {
    if (this.mediaUp && this.state !== "over") this.handler?.onAudio(channel, pcm);
  }

  /**
   * Takes up to `bytes` of the agent's audio now, like a request of a provider. Less than `preferBytes` (default 2) is
   * left where it is unless the source wants its tail sent.
   */
  pull(bytes: number, preferBytes = 2): Uint8Array {
    const playback = this.playback;
    if (!playback || !this.mediaUp || this.state === "over") return new Uint8Array(0);
    const available = playback.available();
    if (available < Math.min(preferBytes, bytes) && !playback.flushTail()) return new Uint8Array(0);
    const target = new Uint8Array(bytes & ~1);
    const chunk = target.subarray(0, playback.read(target, 0, target.length));
    if (chunk.length > 0) this.taken.push(chunk);
    return chunk;
  }

  /** Grants credit: what is there is taken now, the rest at audioReady(). */
  grant(bytes: number, preferBytes = 2): void {
    this.creditBytes += bytes & ~1;
    this.preferBytes = preferBytes;
    this.spendCredit();
  }

  /** Credit that was granted and not used, in bytes. */
  get unusedCreditBytes(): number {
    return this.creditBytes;
  }

  /** All audio taken so far, as one piece. */
  get takenBytes(): Uint8Array {
    return Buffer.concat(this.taken);
  }

  /** The caller hangs up, or the provider ends the call: onTerminated, then onSessionClosed. Once. */
  terminate(): void {
    if (this.state === "over") return;
    this.state = "over";
    this.mediaUp = false;
    this.failRunning("the call is over");
    this.handler?.onTerminated();
    this.handler?.onSessionClosed("CALL_TERMINATED");
  }

  /** The provider closes the session. The call is not over by that alone. */
  closeSession(reason: Parameters<CallLegHandler["onSessionClosed"]>[0]): void {
    this.handler?.onSessionClosed(reason);
  }

  /** The media connection is lost for good. Running commands have an unknown outcome. */
  loseMedia(detail = "1006"): void {
    if (!this.mediaUp) return;
    this.mediaUp = false;
    this.failRunning("the media connection is gone");
    this.handler?.onMediaLost(detail);
  }

  /** The media connection is back. */
  restoreMedia(): void {
    if (this.mediaUp || this.state === "over") return;
    this.mediaUp = true;
    this.handler?.onMediaRestored();
  }

  /** The provider reports an error of the call. */
  providerError(code = "TTS_SESSION_ERROR"): void {
    this.handler?.onProviderError(code);
  }

  /** The names of the commands received, in order. */
  get commandNames(): MemoryCommandName[] {
    return this.commands.map((command) => command.name);
  }

  private endSilently(reason: "SDK_REQUEST"): void {
    if (this.state === "over") return;
    this.state = "over";
    this.mediaUp = false;
    this.handler?.onSessionClosed(reason);
  }

  private endRinging(outcome: ConnectOutcome): boolean {
    const ringing = this.ringing;
    if (!ringing) return false;
    this.ringing = undefined;
    ringing.timer.cancel();
    ringing.settle(outcome);
    return true;
  }

  /** Ends what runs: close and disconnect have their effect, connect is unknown, the rest has no answer. */
  private failRunning(why: string): void {
    if (this.ringing) this.endRinging("unknown");
    for (const held of this.held.slice()) {
      if (held.command.name === "close" || held.command.name === "disconnect") held.succeed();
      else if (held.command.name === "connect") held.succeed("unknown");
      else held.fail(new TelephonyError("unknown", why));
    }
  }

  private run(command: MemoryCommand): Promise<ConnectOutcome> {
    this.commands.push(command);
    if (this.state === "over" || this.abandoned || !this.mediaUp) {
      return Promise.reject(new TelephonyError("unavailable", "the call has no media connection"));
    }
    if ((this.holds.get(command.name) ?? 0) > 0) {
      this.holds.set(command.name, (this.holds.get(command.name) ?? 0) - 1);
      return this.holdCommand(command);
    }
    const answer = this.scripts.get(command.name)?.shift();
    if (!answer && command.name === "connect") return this.ring(command.ringTimeSeconds);
    return new Promise((resolve, reject) => {
      const settle = () => (answer?.fail ? reject(answer.fail) : resolve(answer?.outcome ?? "connected"));
      if (answer?.delayMs) this.clock.after(answer.delayMs, settle);
      else queueMicrotask(settle);
    });
  }

  private ring(ringTimeSeconds: number): Promise<ConnectOutcome> {
    const set = this.options.connect ?? "ring";
    if (set !== "ring") return Promise.resolve(set);
    if (this.ringing) return Promise.reject(new TelephonyError("refused", "it rings already"));
    return new Promise((resolve) => {
      const timer = this.clock.after(ringTimeSeconds * 1000, () => this.endRinging("unanswered"));
      this.ringing = { settle: resolve, timer };
    });
  }

  private holdCommand(command: MemoryCommand): Promise<ConnectOutcome> {
    return new Promise((resolve, reject) => {
      let settled = false;
      const once = (settle: () => void) => {
        if (settled) return;
        settled = true;
        this.held.splice(this.held.indexOf(entry), 1);
        settle();
      };
      const entry: HeldCommand = {
        command,
        get settled() {
          return settled;
        },
        succeed: (outcome = "connected") => once(() => resolve(outcome)),
        fail: (error) => once(() => reject(error)),
      };
      this.held.push(entry);
    });
  }

  private spendCredit(): void {
    if (this.creditBytes < 2) return;
    this.creditBytes -= this.pull(this.creditBytes, this.preferBytes).length;
  }
}
