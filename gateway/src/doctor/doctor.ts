import { readFileSync } from "node:fs";
import type { ConnectorConfig } from "../config/config-types.js";
import { type Diagnosis, makeDiagnosis } from "../connectors.js";
import type { CallLeg, CallNotice, IncomingCall } from "../telephony/telephony.js";
import type { Logger } from "../util/logger.js";
import { canonicalNumber, isE164, maskNumber } from "../util/numbers.js";
import { CallProbe, makeTone } from "./call-probe.js";
import { DOCTOR_EXIT, type DoctorEnd, type DoctorReport, type DoctorStep } from "./doctor-report.js";
import { ReachError, reach } from "./reach.js";

/** What a diagnosis is told. */
export interface DoctorOptions {
  /** The connector, as the configuration has it. */
  readonly connector: ConnectorConfig;
  /** Instead of the connector's `only_callers`: this number alone, E.164. */
  readonly onlyCaller?: string;
  /** How long a call is waited for, ms. Default 60,000. */
  readonly waitMs?: number;
  /** How long the caller is listened to after the answer, ms; at least the tone. Default 5,000. */
  readonly listenMs?: number;
  /** Length of the tone, ms. Default 1,000. */
  readonly toneMs?: number;
  /** How long name, connection and TLS may take, each, ms. Default 10,000. */
  readonly reachMs?: number;
  /** How long the sign-in may take, ms. Default 25,000. */
  readonly signInMs?: number;
  /** Told each step as it happens. */
  readonly onStep?: (step: DoctorStep) => void;
  /** Ends it: hangs up, signs out. */
  readonly signal?: AbortSignal;
}

/** Ends a diagnosis with its reason told. */
class Stop extends Error {
  constructor(readonly end: DoctorEnd) {
    super(end);
  }
}

interface Claimed {
  readonly call: IncomingCall;
  readonly leg: CallLeg;
  readonly probe: CallProbe;
}

/** Sessions of others that are told apart. */
const MAX_COUNTED = 10_000;
/** How long a command may take. */
const COMMAND_MS = 20_000;
/** How long hanging up and signing out at the end may take, each. */
const GOODBYE_MS = 5_000;

/**
 * Signs in at a real connector, waits for one call of the named callers, answers it, plays a tone, measures both ways, hangs
 * up. Never rejects. Nobody else's call is claimed, nothing is set at the provider, no audio is kept.
 */
export async function runDoctor(options: DoctorOptions): Promise<DoctorReport> {
  return new Doctor(options).run();
}

class Doctor {
  private readonly startMs = performance.now();
  private readonly callers: readonly string[];
  private diagnosis: Diagnosis | undefined;
  private claimed: ((claimed: Claimed) => void) | undefined;
  private probe: CallProbe | undefined;
  /** Of a call that has to be hung up. */
  private leg: CallLeg | undefined;
  private call: DoctorReport["call"];
  /** Sessions of others; no more than MAX_COUNTED are told apart. */
  private readonly leftAlone = new Set<string>();
  private repeatedNotices = 0;
  private taken = false;
  private session = "";
  private failure: ((detail: string) => void) | undefined;

  constructor(private readonly options: DoctorOptions) {
    this.callers = options.onlyCaller ? [options.onlyCaller] : options.connector.onlyCallers;
  }

  async run(): Promise<DoctorReport> {
    let end: DoctorEnd = "ok";
    try {
      this.checkConfig();
      await this.steps();
    } catch (error) {
      if (error instanceof Stop) end = error.end;
      else {
        end = "unexpected";
        // What other code throws may hold anything; its kind is enough.
        this.tell("failed", "end", `unexpected ${error instanceof Error ? error.name : "error"}`);
      }
    }
    await this.signOut();
    return this.report(end);
  }

  private checkConfig(): void {
    const { connector } = this.options;
    if (this.callers.length === 0 || !this.callers.every(isE164)) {
      this.fail(
        "configuration",
        "config",
        "only_callers of the connector, or --only-caller, must name your own number in E.164 (+15550101): nobody else's call is taken",
      );
    }
    try {
      this.diagnosis = makeDiagnosis(connector, this.logger());
    } catch (error) {
      // RangeError of the adapter: names the option, never its value.
      this.fail("configuration", "config", error instanceof RangeError ? error.message : "cannot be used");
    }
    const quiet = connector.callFlow ? "; call_flow is not sent" : "";
    this.tell(
      "ok",
      "config",
      `connector ${connector.name}, ${connector.sampleRateHz} Hz ${connector.audioMode}, takes calls of ${this.callers.map(maskNumber).join(", ")} alone${quiet}`,
    );
  }

  private async steps(): Promise<void> {
    const { waitMs = 60_000 } = this.options;
    await this.reachProvider();
    const call = new Promise<Claimed>((resolve) => {
      this.claimed = resolve;
    });
    await this.signIn();
    this.tell(
      "ok",
      "wait",
      `call the connector's number now, from ${this.callers.map(maskNumber).join(" or ")}`,
    );
    const claimed = await this.inTime(call, waitMs, () =>
      this.fail(
        "noCall",
        "wait",
        `no call of these callers within ${Math.round(waitMs / 1000)} s${this.leftAlone.size > 0 ? `; ${this.leftAlone.size} of others were left alone` : ""}`,
      ),
    );
    await this.attend(claimed);
  }

  private async reachProvider(): Promise<void> {
    const { auth } = this.options.connector;
    const tls = {
      ...(auth.caFile ? { ca: readFileSync(auth.caFile, "utf8") } : {}),
      ...(auth.certFile && auth.keyFile
        ? { cert: readFileSync(auth.certFile, "utf8"), key: readFileSync(auth.keyFile, "utf8") }
        : {}),
    };
    const baseUrl = this.diagnosis?.baseUrl ?? "";
    try {
      await reach(baseUrl, tls, this.options.reachMs ?? 10_000, (step, detail) => {
        this.tell("ok", step, detail);
      });
    } catch (error) {
      if (error instanceof ReachError) this.fail("unreachable", error.step, error.message);
      throw error;
    }
  }

  private async signIn(): Promise<void> {
    const { diagnosis, options } = this;
    if (!diagnosis) return;
    const failed = new Promise<string>((resolve) => {
      this.failure = resolve;
    });
    const started = diagnosis.connector
      .start({
        claim: (notice) => this.claim(notice),
        onCall: (call, leg) => this.onCall(call, leg),
        onCallLost: (notice, reason) => this.onCallLost(notice, reason),
        onReady: () => {},
      })
      .then(
        () => undefined,
        (error: unknown) => error ?? new Error("failed"),
      );
    const outcome = await this.inTime(Promise.race([started, failed]), options.signInMs ?? 25_000, () =>
      this.fail(
        "noSignIn",
        "sign_in",
        "connected, but the sign-in was not confirmed in time (no setup.done)",
      ),
    );
    if (outcome === undefined) {
      this.tell("ok", "sign_in", "signed in (setup.done)");
      return;
    }
    if (typeof outcome !== "string") {
      if (!diagnosis.isRefusal(outcome)) throw outcome;
      // The adapter has taken secrets and numbers out of the provider's text.
      this.fail("refused", "sign_in", (outcome as Error).message);
    }
    if (outcome === "NO_SETUP_DONE") {
      this.fail(
        "noSignIn",
        "sign_in",
        "connected, but the sign-in was not confirmed in time (no setup.done)",
      );
    }
    this.fail("unreachable", "sign_in", `the control connection failed: ${outcome}`);
  }

  private claim(notice: CallNotice): { claim: boolean; delayMs: number } {
    const ours = !this.taken && this.callers.includes(canonicalNumber(notice.from) ?? "");
    if (notice.sessionId === this.session) this.repeatedNotices++;
    else if (!ours && this.leftAlone.size < MAX_COUNTED) this.leftAlone.add(notice.sessionId);
    if (ours) {
      this.taken = true;
      this.session = notice.sessionId;
      this.tell(
        "ok",
        "wait",
        `a call of ${maskNumber(notice.from)} to ${maskNumber(notice.to)}: claiming it`,
      );
    }
    return { claim: ours, delayMs: 0 };
  }

  private onCallLost(_notice: CallNotice, reason: string): void {
    if (!this.taken || this.probe) return;
    this.taken = false;
    this.tell(
      "note",
      "wait",
      `the call went elsewhere (${reason})${reason === "SESSION_BUSY" ? ": another process serves this connector, stop it or call again" : ""}`,
    );
  }

  private onCall(call: IncomingCall, leg: CallLeg): void {
    const probe = new CallProbe(call.sampleRateHz);
    leg.attach(probe, probe);
    this.probe = probe;
    this.leg = leg;
    this.call = { caller: maskNumber(call.from), callee: maskNumber(call.to), endedBy: "nobody" };
    this.claimed?.({ call, leg, probe });
  }

  private async attend({ call, leg, probe }: Claimed): Promise<void> {
    const { listenMs = 5_000, toneMs = 1_000 } = this.options;
    await this.command("answer", leg.answer());
    probe.answered();
    this.tell("ok", "call", "answered");
    probe.play(makeTone(call.sampleRateHz, toneMs));
    leg.audioReady();
    this.tell("ok", "audio", `a tone of ${toneMs} ms is playing; say something`);
    const ended = await this.inTime(probe.over, Math.max(listenMs, toneMs), () => undefined);
    this.judgeAudio(probe);
    if (ended !== undefined) {
      this.leg = undefined;
      this.tell("note", "end", ended);
      if (this.call) this.call = { ...this.call, endedBy: ended };
      return;
    }
    this.leg = undefined;
    await this.command("hang up", leg.disconnect());
    if (this.call) this.call = { ...this.call, endedBy: "doctor" };
    this.tell("ok", "end", "hung up");
  }

  private judgeAudio(probe: CallProbe): void {
    const heard = probe.heard();
    const spoken = probe.spoken(this.asked());
    for (const code of probe.errors) this.tell("note", "audio", `the provider reported ${code}`);
    const problems = [
      heard.frames === 0 && "no audio of the caller came",
      spoken.takenMs === 0 && "the provider took none of our audio",
    ].filter((text) => typeof text === "string");
    if (problems.length > 0) this.fail("callFailed", "audio", problems.join("; "));
    this.tell("ok", "audio", `heard ${Math.round(heard.audioMs)} ms, spoke ${Math.round(spoken.takenMs)} ms`);
    if (heard.rate > 0 && (heard.rate < 0.9 || heard.rate > 1.1)) {
      this.tell(
        "note",
        "audio",
        `audio came at ${heard.rate.toFixed(2)} × real time: is sample_rate_hz what the provider sends?`,
      );
    }
    if (heard.rmsDb < -60) this.tell("note", "audio", "the caller's audio is (nearly) silent");
  }

  private async command(name: string, command: Promise<unknown>): Promise<void> {
    const failed = await this.inTime(
      command.then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : "failed"),
      ),
      COMMAND_MS,
      () => "no answer in time",
    );
    if (failed !== undefined) this.fail("callFailed", "call", `${name}: ${failed}`);
  }

  /** The result, or that of `late` after the time. Ends with "interrupted" when the signal says so. */
  private async inTime<T, L>(work: Promise<T>, timeMs: number, late: () => L): Promise<T | L> {
    const { signal } = this.options;
    let timer: NodeJS.Timeout | undefined;
    let stop: (() => void) | undefined;
    const time = new Promise<{ late: true }>((resolve) => {
      timer = setTimeout(() => resolve({ late: true }), timeMs);
    });
    const aborted = new Promise<{ aborted: true }>((resolve) => {
      stop = () => resolve({ aborted: true });
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop);
    });
    try {
      const first = await Promise.race([work.then((value) => ({ value })), time, aborted]);
      if ("value" in first) return first.value;
      if ("aborted" in first) this.fail("interrupted", "end", "interrupted");
      return late();
    } finally {
      clearTimeout(timer);
      if (stop) signal?.removeEventListener("abort", stop);
    }
  }

  /** Hangs up what is left and signs out, each within `GOODBYE_MS`. */
  private async signOut(): Promise<void> {
    if (this.leg) await atMost(GOODBYE_MS, this.leg.disconnect());
    if (this.diagnosis) await atMost(GOODBYE_MS, this.diagnosis.connector.stop());
  }

  private report(end: DoctorEnd): DoctorReport {
    const { diagnosis, probe } = this;
    const { connector } = this.options;
    const survey = diagnosis?.survey;
    return {
      end,
      exitCode: DOCTOR_EXIT[end],
      seconds: Math.round(performance.now() - this.startMs) / 1000,
      ...(diagnosis
        ? {
            connector: {
              name: connector.name,
              address: new URL(diagnosis.baseUrl).host,
              sampleRateHz: connector.sampleRateHz,
            },
          }
        : {}),
      ...(this.call ? { call: this.call } : {}),
      ...(probe ? { heard: probe.heard(), spoken: probe.spoken(this.asked()) } : {}),
      frames: Object.fromEntries(survey?.frames ?? []),
      unknown: [...(survey?.unknown ?? [])],
      callsLeftAlone: this.leftAlone.size,
      assumptions: this.assumptions(),
    };
  }

  private assumptions(): DoctorReport["assumptions"] {
    const channels = this.probe?.heard().channels.join(", ") || "none";
    return {
      A1: `not tried: no process died during a call${this.repeatedNotices > 0 ? `; sessions were notified ${this.repeatedNotices} more times after the claim` : ""}`,
      A2: `not tried: the call was not connected to its callee; channels seen: ${channels} (${this.options.connector.audioMode})`,
      A3: "not tried: no outbound call was made",
    };
  }

  private asked(): { bytes: number; requests: number } {
    return this.diagnosis?.survey.asked ?? { bytes: 0, requests: 0 };
  }

  private tell(result: DoctorStep["result"], step: DoctorStep["step"], detail: string): void {
    this.options.onStep?.({ atMs: performance.now() - this.startMs, result, step, detail });
  }

  private fail(end: DoctorEnd, step: DoctorStep["step"], detail: string): never {
    this.tell("failed", step, detail);
    throw new Stop(end);
  }

  /** The adapter says why a connection failed in its log alone; it goes on trying, we do not. */
  private logger(): Logger {
    const look = (fields: object) => {
      const { detail } = fields as { detail?: unknown };
      if (typeof detail === "string") this.failure?.(detail);
    };
    return { debug() {}, info() {}, warn: look, error() {} };
  }
}

/** Waits for the work, at most so long; whatever becomes of it. */
async function atMost(timeMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeMs);
  });
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
}
