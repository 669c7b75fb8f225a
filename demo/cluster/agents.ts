import { agent, type Call, CallweaveError } from "callweave";
import type { NatsConnection } from "nats";
import { endlessTone, toneBytes } from "../../test/harness/audio.js";
import { NatsAgent, REGISTER } from "../../test/harness/nats-agent.js";
import type { AgentWire } from "./evidence.js";

/** What is written of a call. */
export interface TurnText {
  readonly id: string;
  readonly role: "CALLER" | "AI";
  readonly text: string;
}

/** An agent of the demo: speaks its tone in every call of its language and does what the demo tells it. */
export interface DemoAgent {
  readonly agentId: string;
  readonly wire: AgentWire;
  readonly toneHz: number;
  readonly locale: string;
  /** The gateway that it was connected to at first; undefined on NATS. */
  readonly gatewayId: string | undefined;
  /** Repeated under the same id until somebody has taken it. */
  appendTurn(callId: string, turn: TurnText): Promise<void>;
  /** Says no more and hands over to the original callee; resolves when that is begun. */
  escalate(callId: string, summary: string): Promise<void>;
  disconnect(callId: string): Promise<void>;
  stop(): Promise<void>;
}

/** What an agent is started with. */
export interface DemoAgentOptions {
  readonly agentId: string;
  readonly locale: string;
  readonly toneHz: number;
  readonly capacity: number;
  /** Told of what goes wrong and of lost connections. */
  readonly onTrouble: (text: string) => void;
}

const SAMPLE_RATE_HZ = 16_000;
const PATIENCE_MS = 20_000;
const RETRY_MS = 200;
const RING_SECONDS = 20;
const TRANSIENT = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "14", "4", "503", "TIMEOUT"]);

/** An agent on gRPC, at the first of the endpoints while that one lives. */
export async function startGrpcAgent(
  endpoints: readonly string[],
  options: DemoAgentOptions,
): Promise<DemoAgent> {
  const { agentId, locale, toneHz, capacity, onTrouble } = options;
  const calls = new Map<string, { readonly call: Call; readonly hush: AbortController }>();
  let gatewayId: string | undefined;
  const worker = agent(
    {
      endpoints,
      agentId,
      capacity,
      whenHandlerReturns: "keep",
      accept: (offer) => offer.call.locale === locale || `speaks ${locale} only`,
      onStatus: (status) => {
        if (status.type === "connected") gatewayId ??= status.gatewayId;
        if (status.type === "disconnected") onTrouble(`${agentId} lost its gateway: ${status.error.reason}`);
      },
      onError: (error, callId) => onTrouble(`${agentId}, call ${callId ?? "none"}: ${String(error)}`),
    },
    (call) => {
      const hush = new AbortController();
      calls.set(call.id, { call, hush });
      const until = AbortSignal.any([call.signal, hush.signal]);
      void call.play(endlessTone(toneHz, until, SAMPLE_RATE_HZ)).catch(() => {});
    },
  );
  await worker.start();
  const of = (callId: string) => {
    const known = calls.get(callId);
    if (!known) throw new Error(`${agentId} was not given call ${callId}`);
    return known;
  };
  return {
    agentId,
    wire: "grpc",
    toneHz,
    locale,
    gatewayId,
    appendTurn: (callId, turn) =>
      patiently(
        () => of(callId).call.appendTurns([turn]),
        (error) => (error instanceof CallweaveError ? error.code : undefined),
      ),
    async escalate(callId, summary) {
      const target = { callee: { ringTimeSeconds: RING_SECONDS } };
      const { call, hush } = of(callId);
      hush.abort();
      const escalated = call.escalate({ reason: "ASKED_FOR_HUMAN", summary, target });
      escalated.catch((error: unknown) => onTrouble(`${agentId}, escalation of ${callId}: ${String(error)}`));
    },
    async disconnect(callId) {
      await of(callId).call.disconnect();
    },
    stop: () => worker.close(),
  };
}

/** An agent on NATS: the frames of Serve as messages, and the RPCs as requests. Comes back when its stream is lost. */
export async function startNatsAgent(nc: NatsConnection, options: DemoAgentOptions): Promise<DemoAgent> {
  const { agentId, locale, toneHz, capacity } = options;
  const speaker = new NatsSpeaker(nc, options);
  await speaker.start(capacity);
  const rpc = async (method: string, body: object) => {
    const subject = `callweave.default.rpc.${method}`;
    const answer = await nc.request(subject, JSON.stringify(body), { timeout: 5_000 });
    const code = answer.headers?.get("Nats-Service-Error-Code");
    if (code)
      throw Object.assign(new Error(answer.headers?.get("Nats-Service-Error") || `code ${code}`), { code });
  };
  return {
    agentId,
    wire: "nats",
    toneHz,
    locale,
    gatewayId: undefined,
    appendTurn: (callId, { id, role, text }) =>
      patiently(
        () => rpc("AppendTurns", { callId, turns: [{ id, role: `TURN_ROLE_${role}`, text }] }),
        (error) => (error as { code?: string }).code,
      ),
    escalate: (callId, summary) => {
      speaker.hush(callId);
      return rpc("EscalateCall", {
        callId,
        requestId: `escalate-${callId}`,
        reason: "ESCALATION_REASON_ASKED_FOR_HUMAN",
        summary,
        originalCallee: { ringDuration: `${RING_SECONDS}s` },
      });
    },
    disconnect: (callId) => rpc("DisconnectCall", { callId, requestId: `disconnect-${callId}` }),
    async stop() {
      speaker.stop();
    },
  };
}

/** Frames of 100 ms are sent so far ahead of the clock. */
const AHEAD_MS = 400;
const PIECE_MS = 100;

/** The stream of an agent on NATS: takes offers, speaks, and reattaches when the stream is over. */
class NatsSpeaker {
  private agent: NatsAgent | undefined;
  private readonly seats = new Map<
    string,
    { handle: number; epoch: number; startMs: number; sentMs: number }
  >();
  private readonly piece: Uint8Array;
  private timer: NodeJS.Timeout | undefined;
  private returning = false;
  private readonly instanceId = crypto.randomUUID();
  private capacity = 1;

  constructor(
    private readonly nc: NatsConnection,
    private readonly options: DemoAgentOptions,
  ) {
    this.piece = toneBytes(options.toneHz, PIECE_MS, SAMPLE_RATE_HZ);
  }

  async start(capacity: number): Promise<void> {
    this.capacity = capacity;
    this.follow(await this.register());
    this.timer = setInterval(() => this.tick(), PIECE_MS / 2);
    await this.agent?.item("registered").catch(() => {
      throw new Error(`${this.options.agentId}: no gateway answered on NATS`);
    });
  }

  /** Says no more in a call. */
  hush(callId: string): void {
    this.seats.delete(callId);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.agent?.send({ $case: "bye", value: {} });
    this.agent?.freeze();
  }

  private register(): Promise<NatsAgent> {
    if (REGISTER.$case !== "register") throw new Error("unreachable");
    const { agentId } = this.options;
    const value = { ...REGISTER.value, agentId, instanceId: this.instanceId, capacity: this.capacity };
    return NatsAgent.start(this.nc, { first: { $case: "register", value }, asksForAnswers: true });
  }

  private follow(agent: NatsAgent): void {
    this.agent?.freeze();
    this.agent = agent;
    agent.onItem = (item) => {
      if (item.$case === "registered") return;
      // Only the newest matter here; the audio of calls would fill the memory.
      agent.items.length = 0;
      if (item.$case === "offer") {
        const mine = item.value.call?.locale === this.options.locale;
        const { offerId } = item.value;
        agent.send(
          mine
            ? { $case: "accept", value: { offerId } }
            : { $case: "decline", value: { offerId, reason: `speaks ${this.options.locale} only` } },
        );
      } else if (item.$case === "assigned") {
        const { handle, epoch, call } = item.value;
        const startMs = performance.now();
        this.seats.set(call?.callId ?? "", { handle, epoch, startMs, sentMs: 0 });
      } else if (item.$case === "unassigned") {
        const known = this.seats.get(item.value.callId);
        if (known?.handle === item.value.handle) this.seats.delete(item.value.callId);
      }
    };
  }

  private tick(): void {
    const { agent } = this;
    if (!agent || this.returning) return;
    if (agent.end || agent.holes > 0) {
      void this.comeBack(agent);
      return;
    }
    const nowMs = performance.now();
    for (const seat of this.seats.values())
      while (seat.sentMs < nowMs - seat.startMs + AHEAD_MS) {
        agent.send({ $case: "audio", value: { handle: seat.handle, pcm: Buffer.from(this.piece) } });
        seat.sentMs += PIECE_MS;
      }
  }

  /** By the session token, within the grace; when the session is gone with its gateway, as the same instance anew. */
  private async comeBack(lost: NatsAgent): Promise<void> {
    this.returning = true;
    this.options.onTrouble(`${this.options.agentId} lost its stream: ${lost.end?.reason ?? "a hole"}`);
    const calls = [...this.seats].map(([callId, { epoch }]) => ({ callId, epoch, lastEventSequence: 0 }));
    while (this.timer) {
      try {
        const value = { sessionToken: lost.token, calls };
        const again = { first: { $case: "reattach" as const, value }, asksForAnswers: true };
        this.seats.clear();
        const back = await NatsAgent.start(this.nc, again).catch((error: { error?: { reason: number } }) => {
          if (error.error) return this.register();
          throw error;
        });
        this.follow(back);
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.returning = false;
  }
}

/** Again under the same id, as long as nobody could be asked. */
async function patiently(write: () => Promise<unknown>, codeOf: (error: unknown) => unknown): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (performance.now() > endMs || !TRANSIENT.has(String(codeOf(error)))) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
