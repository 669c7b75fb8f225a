import { callee, type SimCall, tone, toneSpans } from "@callweave/simulator";
import { type CallweaveClient, connect } from "callweave";
import { msHeard } from "../../test/harness/audio.js";
import { until } from "../../test/harness/until.js";
import type { Span } from "../evidence.js";
import type { DemoAgent } from "./agents.js";
import { type ClusterStack, LINES } from "./cluster-stack.js";
import { contentHash } from "./content-hash.js";
import type { CallEvidence, ClusterEvidence, ContextView } from "./evidence.js";
import type { Progress } from "./progress.js";
import { lastInLog, readDatabase, readLog, viewOf } from "./read-outside.js";

const CALLER_HZ = 4_000;
const PLACE_EVERY_MS = 60;
const LOOK_EVERY_MS = 150;
/** `cluster.beat_interval_ms`. */
const BEAT_MS = 500;
/** A caller hears its agent for so long before anything is killed, ms. */
const SETTLED_MS = 600;
/** What the provider still plays when a gateway dies is over by then, ms. */
const REST_MS = 1_500;
/** Humans and callers talk for so long, ms. */
const TALK_MS = 700;
const STEP_MS = 40_000;

/** One call of the round and what is known of it so far. */
interface Live {
  readonly number: number;
  readonly phone: SimCall;
  readonly agent: DemoAgent;
  readonly caller: string;
  readonly callee: string;
  readonly escalates: boolean;
  readonly placedAtMs: number;
  readonly turns: ContextView["turns"][number][];
  summary: string;
  ownerBefore: string;
  ownerAfter: string;
  readWhileAway: ContextView | undefined;
  endedAtMs: number;
}

/** Plays one round on a stack with two gateways; what it gathers is judged by `verifyCluster`. */
export class Round {
  private readonly startMs = performance.now();
  private readonly startDate = Date.now();
  private readonly calls: Live[] = [];
  /** Calls whose contexts are in the database from earlier rounds. */
  private before: ReadonlySet<string> = new Set();

  constructor(
    private readonly stack: ClusterStack,
    private readonly count: number,
    private readonly progress: Progress,
  ) {}

  async play(): Promise<ClusterEvidence> {
    const { stack, progress } = this;
    const alive = stack.cluster.gateways.filter(({ child }) => child.running);
    const [first] = alive;
    if (!first) throw new Error("no gateway runs");
    const agents = await stack.startAgents(this.count);
    const client = connect({ endpoint: first.address, token: "" });
    const after = await lastInLog(stack.nats);
    this.before = new Set((await readDatabase(stack.database.directUrl)).map(({ callId }) => callId));
    try {
      await this.everybodyKnown(client, alive.length, agents);
      progress.step(`${alive.length} gateways, ${agents.map(({ agentId }) => agentId).join(", ")} are ready`);
      await this.place(agents);
      await this.settled("every caller to hear its agent", 0, SETTLED_MS);
      await this.write(1, "CALLER", "I have a question about my order.");
      for (const call of this.calls) call.ownerBefore = (await client.calls.get(call.phone.id)).gatewayId;
      const victim = this.mostCalls();
      progress.step(`${this.count} calls, each caller hears its agent`);

      await stack.database.kill();
      const awayFromMs = this.nowMs();
      progress.step("the database is killed");
      await this.write(2, "AI", "One moment, I look it up.");
      const gateway = stack.cluster.get(victim);
      const killedAtMs = this.nowMs();
      await gateway.kill();
      progress.step(`${victim} is killed with ${this.ownedBefore(victim)} calls`);
      const [survivor] = stack.cluster.others(victim);
      if (!survivor) throw new Error("no gateway is left");
      const other = connect({ endpoint: survivor.address, token: "" });
      try {
        await this.write(3, "CALLER", "Are you still there?");
        await this.settled("every caller to hear its agent again", killedAtMs + REST_MS, 300);
        await this.takenOver(other, victim);
        progress.step("every caller hears its agent again");
        await this.write(4, "AI", "I am. A colleague has the details.");
        await this.end(other);
        progress.step(`${this.calls.filter(({ escalates }) => escalates).length} callers talked to a human`);
        await stack.database.revive();
        const awayToMs = this.nowMs();
        progress.step("the database is back");
        const stored = await this.replayed();
        progress.step("all contexts are in the database");
        return this.evidence(
          agents,
          { gatewayId: victim, atMs: killedAtMs },
          { startMs: awayFromMs, endMs: awayToMs },
          stored,
          await readLog(stack.nats, after, (time) => time.getTime() - this.startDate),
          alive.map(({ id }) => id).sort(),
        );
      } finally {
        await other.close();
      }
    } finally {
      await client.close();
      await Promise.all(agents.map((agent) => agent.stop()));
    }
  }

  private nowMs(): number {
    return performance.now() - this.startMs;
  }

  /** Every gateway has seen the others and all agents; nobody else is on this NATS. */
  private async everybodyKnown(client: CallweaveClient, count: number, agents: readonly DemoAgent[]) {
    const names = agents.map(({ agentId }) => agentId);
    await until(
      async () => {
        const gateways = await client.fleet.gateways();
        if (gateways.length > count)
          throw new Error("other gateways are on this NATS: the demo needs one of its own");
        const known = (await client.fleet.agents()).map(({ agentId }) => agentId);
        return gateways.length === count && names.every((name) => known.includes(name));
      },
      "gateways and agents to know each other",
      STEP_MS,
    );
    // Who has how many free places goes round with the beats of gateways.
    await sleep(2 * BEAT_MS);
  }

  private async place(agents: readonly DemoAgent[]): Promise<void> {
    for (let index = 0; index < this.count; index++) {
      const line = LINES[index % LINES.length] as (typeof LINES)[number];
      const agent = agents.find(({ agentId }) => agentId === line.agentId) as DemoAgent;
      const caller = `+1555${String(2_000_100 + index)}`;
      const phone = this.stack.cluster.simulator.placeCall({
        from: caller,
        to: line.callee,
        caller: [tone(CALLER_HZ)],
        callee: callee.picksUp({ afterSeconds: 0.4 }),
        patienceSeconds: 60,
      });
      this.calls.push({
        number: index + 1,
        phone,
        agent,
        caller,
        callee: line.callee,
        escalates: index % 2 === 1,
        placedAtMs: this.nowMs(),
        turns: [],
        summary: "",
        ownerBefore: "",
        ownerAfter: "",
        readWhileAway: undefined,
        endedAtMs: 0,
      });
      await sleep(PLACE_EVERY_MS);
    }
  }

  /** Every caller has heard its agent for so long, from a moment of the round on. */
  private settled(what: string, fromMs: number, heardMs: number): Promise<unknown> {
    const waiting = new Set(this.calls);
    let nextMs = 0;
    return until(
      () => {
        if (performance.now() < nextMs) return false;
        nextMs = performance.now() + LOOK_EVERY_MS;
        for (const call of waiting) {
          const { phone, agent } = call;
          const from = Math.max(0, fromMs - this.offsetMs(phone));
          if (msHeard(phone, "caller", agent.toneHz, { fromMs: from }) >= heardMs) waiting.delete(call);
        }
        this.progress.now(`${this.count - waiting.size} of ${this.count} callers hear their agent`);
        return waiting.size === 0;
      },
      what,
      STEP_MS,
    ).catch((error: Error) => {
      throw new Error(
        `${error.message}; not yet: call ${[...waiting].map(({ number }) => number).join(", ")}`,
      );
    });
  }

  /** Where the axis of a call begins on that of the round. */
  private offsetMs(phone: SimCall): number {
    return phone.startMs - this.startMs;
  }

  private async write(turn: number, role: "CALLER" | "AI", text: string): Promise<void> {
    await Promise.all(
      this.calls.map(async ({ number, phone, agent, turns }) => {
        const said = { id: `${number}-${turn}`, role, text: `${text} (${number})` } as const;
        turns.push(said);
        await agent.appendTurn(phone.id, said);
      }),
    );
  }

  private mostCalls(): string {
    const owners = [...new Set(this.calls.map(({ ownerBefore }) => ownerBefore))];
    return owners.sort((a, b) => this.ownedBefore(b) - this.ownedBefore(a))[0] ?? "";
  }

  private ownedBefore(id: string): number {
    return this.calls.filter(({ ownerBefore }) => ownerBefore === id).length;
  }

  private async takenOver(client: CallweaveClient, victim: string): Promise<void> {
    for (const call of this.calls)
      await until(
        async () => {
          call.ownerAfter = (await client.calls.get(call.phone.id)).gatewayId;
          return call.ownerAfter !== victim;
        },
        `call ${call.number} to be taken over`,
        STEP_MS,
      );
  }

  /** Half of the calls go to a human, who talks with the caller; the others are ended by their agent. */
  private async end(client: CallweaveClient): Promise<void> {
    await Promise.all(
      this.calls.map(async (call) => {
        const { phone, agent, escalates, number } = call;
        if (escalates) {
          call.summary = `Wants a person about order ${number}.`;
          await agent.escalate(phone.id, call.summary);
          await phone.waitUntil(() => phone.agentLeft, { timeoutMs: STEP_MS });
          const leftMs = performance.now();
          await phone.waitUntil(() => performance.now() > leftMs + TALK_MS, { timeoutMs: STEP_MS });
        } else await agent.disconnect(phone.id);
        // The database is dead all the while.
        call.readWhileAway = await until(
          () => client.contexts.get(phone.id).then(viewOf, () => undefined),
          `the context of call ${number}`,
          STEP_MS,
        ).catch(() => undefined);
        if (escalates) phone.hangUp();
        await phone.waitFor("DISCONNECTED", STEP_MS);
        call.endedAtMs = this.nowMs();
      }),
    );
  }

  /** What the database has when nothing is missing any more, or when it was waited for in vain. */
  private async replayed(): Promise<ContextView[]> {
    const wanted = new Set(this.calls.map((call) => contentHash(writtenOf(call))));
    let stored: ContextView[] = [];
    let nextMs = 0;
    await until(
      async () => {
        if (performance.now() < nextMs) return false;
        nextMs = performance.now() + LOOK_EVERY_MS;
        stored = await readDatabase(this.stack.database.directUrl).catch(() => []);
        const there = stored.filter((view) => wanted.has(contentHash(view))).length;
        this.progress.now(`${there} of ${wanted.size} contexts are in the database`);
        return there >= wanted.size;
      },
      "the contexts in the database",
      STEP_MS,
    ).catch(() => {});
    return stored;
  }

  private evidence(
    agents: readonly DemoAgent[],
    killed: ClusterEvidence["killed"],
    databaseAway: Span,
    stored: readonly ContextView[],
    events: ClusterEvidence["events"],
    gateways: readonly string[],
  ): ClusterEvidence {
    const ids = new Set(this.calls.map(({ phone }) => phone.id));
    return {
      gateways,
      agents: agents.map(({ agentId, wire, toneHz, gatewayId }) => ({ agentId, wire, toneHz, gatewayId })),
      calls: this.calls.map((call) => this.callEvidence(call, agents, stored)),
      events: events.filter(({ callId }) => ids.has(callId)),
      killed,
      databaseAway,
      foreignDocuments: stored.filter(({ callId }) => !ids.has(callId) && !this.before.has(callId)).length,
      endMs: this.nowMs(),
    };
  }

  private callEvidence(
    call: Live,
    agents: readonly DemoAgent[],
    stored: readonly ContextView[],
  ): CallEvidence {
    const { phone, agent } = call;
    const { recording } = phone;
    const rate = recording.sampleRate || 16_000;
    const offset = this.offsetMs(phone);
    const caller = recording.track("caller");
    const spans = (hz: number) => toneSpans(caller, rate, hz, { thresholdAmplitude: 1500, bridgeMs: 40 });
    const others = agents.filter((one) => one !== agent).map(({ toneHz }) => toneHz);
    const length = (all: readonly Span[]) =>
      all.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
    return {
      number: call.number,
      callId: phone.id,
      placedAtMs: call.placedAtMs,
      agentId: agent.agentId,
      escalated: call.escalates,
      heardAgent: spans(agent.toneHz).map((s) => ({ startMs: s.startMs + offset, endMs: s.endMs + offset })),
      heardOthersMs: others.reduce((sum, hz) => sum + length(spans(hz)), 0),
      humanHeardCallerMs: msHeard(phone, "callee", CALLER_HZ),
      humanHeardAgentMs: agents.reduce((sum, { toneHz }) => sum + msHeard(phone, "callee", toneHz), 0),
      commands: phone.events
        .filter(({ direction, type }) => direction === "in" && type.startsWith("call."))
        .map(({ type }) => type),
      providerEnd: phone.endReason,
      endedAtMs: call.endedAtMs,
      ownerBefore: call.ownerBefore,
      ownerAfter: call.ownerAfter,
      written: writtenOf(call),
      readWhileAway: call.readWhileAway,
      stored: stored.filter(({ callId }) => callId === phone.id),
    };
  }
}

function writtenOf({ phone, caller, callee: called, turns, summary, escalates }: Live): ContextView {
  const reason = escalates ? "ASKED_FOR_HUMAN" : "";
  return { callId: phone.id, caller, callee: called, turns, summary, reason };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
