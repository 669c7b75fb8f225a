import type { CallContext, CallEvent, Turn } from "callweave";
import { loadPrompts } from "../../agents/escalation/prompts.js";
import type { Evidence, GatewayEvent, ProviderEvent } from "../evidence.js";
import type { Variant } from "../options.js";
import { CALLER_NUMBER, type Expectation, makeScenario, VOICES } from "../scenario.js";

/** Rate of the made recordings; low, so that the tests are fast. */
export const RATE = 8000;

/** "Speech": noise that belongs to the text and the voice, 20 ms per character, with a quiet beginning and end. */
export function speakNoise(text: string, voice: string): Promise<Int16Array> {
  let seed = [...`${voice}:${text}`].reduce(
    (sum, char) => (Math.imul(sum, 31) + char.charCodeAt(0)) >>> 0,
    7,
  );
  const samples = new Int16Array(text.length * 160);
  for (let i = 80; i < samples.length - 80; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    samples[i] = Math.round((seed / 0x80000000 - 1) * 6000);
  }
  return Promise.resolve(samples);
}

/** Evidence that may be spoilt. */
export type Spoilable = { -readonly [K in keyof Evidence]: Evidence[K] } & {
  agentAtSpecialist: Array<{ startMs: number; endMs: number }>;
  providerEvents: ProviderEvent[];
  gatewayEvents: GatewayEvent[];
  context: CallContext;
};

/** What a made call consists of. */
export interface MadeCall {
  readonly evidence: Spoilable;
  readonly expected: Expectation;
  /** When things were said, by text, ms. */
  readonly saidAt: ReadonlyMap<string, { readonly startMs: number; readonly endMs: number }>;
  readonly ringMs: { readonly startMs: number; readonly endMs: number } | undefined;
}

/** A call as it has to be, made without any process: `verify` finds nothing to complain about. */
export async function makeCall(variant: Variant): Promise<MadeCall> {
  const { expectation: expected } = makeScenario(variant, loadPrompts("en"), () => undefined);
  const maker = new Maker(variant, expected);
  await maker.play();
  return maker.made();
}

class Maker {
  readonly #tracks = new Map<string, Int16Array>();
  readonly #saidAt = new Map<string, { startMs: number; endMs: number }>();
  readonly #turns: Turn[] = [];
  readonly #provider: ProviderEvent[] = [];
  readonly #gateway: GatewayEvent[] = [];
  #ringMs: { startMs: number; endMs: number } | undefined;
  #holdSound: Int16Array = new Int16Array(0);
  #desk: Evidence["contextWhileRinging"];
  #atMs = 400;

  constructor(
    private readonly variant: Variant,
    private readonly expected: Expectation,
  ) {
    for (const name of ["caller", "specialist", "agent", "callerSays", "specialistSays", "agentSays"]) {
      this.#tracks.set(name, new Int16Array(RATE * 90));
    }
  }

  async play(): Promise<void> {
    const { expected } = this;
    this.#tell({ type: "arrived" });
    this.#command("call.answer");
    this.#tell({ type: "answered" });
    const callerSays = expected.callerSaid.map(({ text, understood }) => ({ text, understood }));
    for (const [index, text] of expected.agentSays.entries()) {
      await this.#agentSays(text);
      if (text === expected.announcement) await this.#ring();
      // The caller answers from the second sentence on: the first two are the greeting.
      const answer = index >= 1 ? callerSays.shift() : undefined;
      if (answer && this.expected.states.length > 0) await this.#callerSays(answer.text, answer.understood);
    }
    if (expected.talk) await this.#talk();
    else this.#end();
  }

  made(): MadeCall {
    const durationMs = this.#atMs + 200;
    const track = (name: string) =>
      (this.#tracks.get(name) ?? new Int16Array(0)).slice(0, (durationMs * RATE) / 1000);
    return {
      expected: this.expected,
      saidAt: this.#saidAt,
      ringMs: this.#ringMs,
      evidence: {
        variant: this.variant,
        callId: "call",
        speechToText: "pocketsphinx",
        sampleRateHz: RATE,
        durationMs,
        heard: { caller: track("caller"), specialist: track("specialist"), agent: track("agent") },
        said: { caller: track("callerSays"), specialist: track("specialistSays"), agent: track("agentSays") },
        holdSound: this.#holdSound,
        agentAtSpecialist: [],
        providerEvents: this.#provider,
        providerEnd: this.expected.providerEnd,
        gatewayEvents: this.#gateway,
        context: this.#context(this.expected.status),
        contextWhileRinging: this.#desk,
      },
    };
  }

  async #agentSays(text: string): Promise<void> {
    this.#turn("AI", text);
    await this.#say(text, VOICES.agent, ["agentSays", "caller"]);
    this.#atMs += 300;
  }

  async #callerSays(text: string, understood: boolean): Promise<void> {
    if (understood) this.#turn("CALLER", text.toLowerCase().replace(/[^a-z ]/g, ""));
    await this.#say(text, VOICES.caller, ["callerSays", "agent"]);
    this.#atMs += 300;
  }

  async #ring(): Promise<void> {
    const startMs = this.#atMs;
    this.#command("call.connect");
    this.#note("ringing", { party: "callee" });
    this.#tell({ type: "ringing", ringTimeSeconds: 20 });
    this.#desk = { atMs: startMs + 10, context: this.#context("ESCALATING") };
    await this.#sound("hold", startMs + 100, 2900);
    this.#atMs += 3000;
    this.#ringMs = { startMs, endMs: this.#atMs };
    const outcome = this.expected.escalationOutcomes[0] ?? "CONNECTED";
    this.#note(outcome === "CONNECTED" ? "ring.picked_up" : "ring.unanswered", { party: "callee" });
    if (outcome === "CONNECTED") this.#tell({ type: "connected" });
    this.#tell({ type: "commandDone", verb: "EscalateCall", requestId: "1", escalation: { outcome } });
  }

  async #talk(): Promise<void> {
    this.#command("call.close");
    this.#note("agent.left", null);
    this.#tell({ type: "ended", reason: this.expected.endReason });
    this.#atMs += 200;
    const { caller = [], specialist = [] } = this.expected.talk ?? {};
    for (let i = 0; i < Math.max(caller.length, specialist.length); i++) {
      for (const text of specialist.slice(i, i + 1)) {
        await this.#say(text, VOICES.specialist, ["specialistSays", "caller"]);
      }
      for (const text of caller.slice(i, i + 1)) {
        await this.#say(text, VOICES.caller, ["callerSays", "specialist"]);
      }
    }
    this.#note("state.DISCONNECTED", { reason: "caller_hung_up" });
  }

  #end(): void {
    if (this.expected.providerEnd === "agent_disconnected") this.#command("call.disconnect");
    this.#note("state.DISCONNECTED", { reason: this.expected.providerEnd });
    this.#tell({ type: "ended", reason: this.expected.endReason });
  }

  async #say(text: string, voice: string, tracks: readonly string[]): Promise<void> {
    const startMs = this.#atMs;
    for (const sentence of text.match(/[^.!?]+[.!?]+/g) ?? [text]) {
      const samples = await speakNoise(sentence.trim(), voice);
      for (const name of tracks) this.#tracks.get(name)?.set(samples, (this.#atMs * RATE) / 1000);
      this.#atMs += (samples.length * 1000) / RATE;
    }
    this.#saidAt.set(text, { startMs, endMs: this.#atMs });
  }

  async #sound(text: string, atMs: number, lengthMs: number): Promise<void> {
    const samples = await speakNoise(text.padEnd(lengthMs / 20), "hold");
    this.#holdSound = samples;
    for (const name of ["agentSays", "caller"]) this.#tracks.get(name)?.set(samples, (atMs * RATE) / 1000);
  }

  #turn(role: "AI" | "CALLER", text: string): void {
    this.#turns.push({ id: String(this.#turns.length), role, text, time: new Date(1000 + this.#atMs) });
  }

  #command(type: string): void {
    this.#provider.push({ atMs: this.#atMs, direction: "in", type, data: {} });
  }

  #note(type: string, data: unknown): void {
    this.#provider.push({ atMs: this.#atMs, direction: "none", type, data });
  }

  #tell(body: Record<string, unknown>): void {
    const sequence = this.#gateway.length + 1;
    const event = { ...body, callId: "call", sequence, time: new Date(), atMs: this.#atMs };
    this.#gateway.push(event as unknown as CallEvent & { atMs: number });
  }

  #context(status: string): CallContext {
    const { expected } = this;
    return {
      callId: "call",
      sessionId: "session",
      caller: CALLER_NUMBER,
      callee: "+15550100",
      status: status as NonNullable<CallContext["status"]>,
      ...(expected.escalationReason ? { escalationReason: expected.escalationReason } : {}),
      summary: [...new Set(["The caller called", ...expected.summaryContains])]
        .join(" ")
        .replace(/\.?$/, "."),
      outcome: expected.contextOutcome ?? "",
      turns: [...this.#turns],
      turnCount: this.#turns.length,
      truncated: false,
      consent: { disclosedTime: new Date(), transcript: true },
      conflicts: [],
      notes: [],
      data: {},
      revision: 1,
    };
  }
}
