import type { Actor, CallCommand, CommandReply } from "../call/call-commands.js";
import { CallError } from "../call/call-error.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { CallSnapshot } from "../call/call-state.js";
import type { EventFilter, WatchItem } from "../call/event-log.js";
import type { CallContext, ContextService } from "../context/context-types.js";
import type {
  AgentHub,
  AgentStream,
  AgentStreamHandler,
  AudioFormat,
  ReattachCall,
  Registration,
} from "../dispatch/agent-port.js";
import type { CallFilter, GatewayApi, Listener } from "../gateway-api.js";
import type { Logger } from "../util/logger.js";

// A core without calls behind it, for the tests of this folder: it writes down what the edge asks and answers as told.

/** A call as the tests need it. */
export function snapshot(changes: Partial<CallSnapshot> = {}): CallSnapshot {
  return {
    tenant: "default",
    callId: "c-1",
    sessionId: "s-1",
    connector: "main",
    direction: "INBOUND",
    caller: "+15550100",
    callee: "+15550101",
    rawCaller: "15550100",
    rawCallee: "15550101",
    pool: "default",
    locale: "en",
    state: "ANSWERED",
    seat: { state: "HELD", agentId: "echo", instanceId: "i-1", epoch: 2, attempt: 1 },
    sampleRateHz: 8000,
    playback: { queuedMs: 20, unheardAtProviderMs: 1.5, playedMs: 1000 },
    createTime: new Date("2026-01-01T00:00:00.250Z"),
    gatewayId: "g-1",
    lastEventSequence: 3,
    ...changes,
  };
}

/** A stored event. */
export function stored(body: CallEvent["body"], sequence = 1): StoredEvent {
  return {
    tenant: "default",
    callId: "c-1",
    pool: "default",
    sequence,
    ownerEpoch: 1,
    time: new Date("2026-01-01T00:00:01Z"),
    position: 160,
    body,
    cursor: `k-${sequence}`,
    durable: true,
  };
}

/** A context. */
export function context(changes: Partial<CallContext> = {}): CallContext {
  const time = new Date("2026-01-01T00:00:00Z");
  return {
    tenant: "default",
    callId: "c-1",
    sessionId: "s-1",
    caller: "+15550100",
    callee: "+15550101",
    locale: "en",
    status: "ACTIVE",
    routingHint: "",
    summary: "",
    turns: [{ id: "t1", role: "CALLER", text: "Hello", locale: "", time, heard: "", interrupted: false }],
    turnCount: 1,
    truncated: false,
    data: { order: 7, tags: ["a", null, true] },
    notes: [],
    outcome: "",
    revision: 1,
    createTime: time,
    updateTime: time,
    expireTime: time,
    ...changes,
  };
}

/** What an agent's handler was told, one line each. */
export class FakeHandler implements AgentStreamHandler {
  readonly said: string[] = [];
  readonly commands: CallCommand[] = [];
  audioBytes = 0;
  lostCount = 0;
  /** Called with every audio item. */
  onAudio: ((handle: number, pcm: Uint8Array) => void) | undefined;

  accept(offerId: string): void {
    this.said.push(`accept ${offerId}`);
  }
  decline(offerId: string, reason: string): void {
    this.said.push(`decline ${offerId} ${reason}`);
  }
  audio(handle: number, pcm: Uint8Array): void {
    this.audioBytes += pcm.length;
    this.onAudio?.(handle, pcm);
  }
  mark(handle: number, name: string): void {
    this.said.push(`mark ${handle} ${name}`);
  }
  clearPlayback(handle: number): void {
    this.said.push(`clear ${handle}`);
  }
  command(handle: number, requestId: string, command: CallCommand): void {
    this.said.push(`command ${handle} ${requestId} ${command.verb}`);
    this.commands.push(command);
  }
  heartbeat(load: number): void {
    this.said.push(`heartbeat ${load}`);
  }
  drain(): void {
    this.said.push("drain");
  }
  bye(): void {
    this.said.push("bye");
  }
  lost(): void {
    this.lostCount++;
  }
}

/** A hub with one handler for all streams. */
export class FakeHub implements AgentHub {
  readonly begun: string[] = [];
  readonly handler = new FakeHandler();
  stream: AgentStream | undefined;
  refuse: unknown;

  register(actor: Actor, registration: Registration, stream: AgentStream): AgentStreamHandler {
    return this.begin(`register ${actor.tenant} ${actor.name} ${JSON.stringify(registration)}`, stream);
  }
  join(actor: Actor, sessionToken: string, stream: AgentStream): AgentStreamHandler {
    return this.begin(`join ${actor.name} ${sessionToken}`, stream);
  }
  reattach(
    actor: Actor,
    sessionToken: string,
    calls: readonly ReattachCall[],
    stream: AgentStream,
  ): AgentStreamHandler {
    return this.begin(`reattach ${actor.name} ${sessionToken} ${JSON.stringify(calls)}`, stream);
  }
  poolOf(): string | undefined {
    return this.refuse ? undefined : "default";
  }

  private begin(line: string, stream: AgentStream): AgentStreamHandler {
    if (this.refuse) throw this.refuse;
    this.begun.push(line);
    this.stream = stream;
    stream.send({
      type: "registered",
      info: {
        sessionToken: "secret",
        heartbeatIntervalMs: 500,
        reattachGraceMs: 2000,
        maxItems: 256,
        maxMessageBytes: 262144,
        maxPlaybackMs: 30000,
        gatewayId: "g-1",
        instanceId: "i-1",
        pool: "default",
      },
    });
    return this.handler;
  }
}

/** The whole core. */
export class FakeApi implements GatewayApi {
  readonly agents = new FakeHub();
  readonly executed: {
    actor: Actor;
    callId: string;
    requestId: string;
    command: CallCommand;
    waitMs: number;
  }[] = [];
  readonly listeners: { listener: Listener; format: AudioFormat; source: string; stopped: boolean }[] = [];
  readonly contextCalls: unknown[][] = [];
  calls_: CallSnapshot[] = [snapshot()];
  reply: () => Promise<CommandReply> = async () => ({ call: snapshot() });
  watchItems: (cursor: string, filter: EventFilter, signal: AbortSignal) => AsyncIterable<WatchItem> =
    async function* () {};
  watchContexts: (signal: AbortSignal) => AsyncIterable<CallContext> = async function* () {};

  readonly calls: GatewayApi["calls"] = {
    get: async (tenant, callId) => {
      const call = this.calls_.find((one) => one.tenant === tenant && one.callId === callId);
      if (!call) throw new CallError("CALL_NOT_FOUND", `no call ${callId}`, { call_id: callId });
      return call;
    },
    list: async (tenant, filter: CallFilter) => ({
      calls: this.calls_.filter(
        (call) => call.tenant === tenant && (filter.pools.length === 0 || filter.pools.includes(call.pool)),
      ),
      unreachableGateways: [],
    }),
    execute: (actor, callId, requestId, command, waitMs) => {
      this.executed.push({ actor, callId, requestId, command, waitMs });
      return this.reply();
    },
    listen: async (_actor, _callId, source, format, listener) => {
      const entry = { listener, format, source, stopped: false };
      this.listeners.push(entry);
      return {
        format: { ...format, sampleRateHz: format.sampleRateHz || 8000 },
        stop: () => {
          entry.stopped = true;
        },
      };
    },
  };

  readonly contexts: ContextService = {
    save: async (...args) => this.note("save", args, { context: context(), durability: "STORE" as const }),
    update: async (...args) =>
      this.note("update", args, { context: context(), durability: "STORE" as const }),
    appendTurns: async (...args) =>
      this.note("appendTurns", args, { turnCount: 2, durability: "STORE" as const }),
    get: async (...args) => this.note("get", args, context()),
    head: async () => undefined,
    find: async (...args) => this.note("find", args, { contexts: [context()], partial: false }),
    list: async (...args) =>
      this.note("list", args, { contexts: [context()], nextPageToken: "next", partial: false }),
    watch: (_tenant, _callId, signal) => this.watchContexts(signal),
    delete: async (...args) => this.note("delete", args, 3),
  };

  readonly events: GatewayApi["events"] = {
    append: async (event) => ({ ...event, cursor: "", durable: false }),
    head: () => "head-1",
    knows: () => false,
    ofCall: async () => [],
    eraseCaller: async () => 0,
    watch: (_tenant, cursor, filter, signal) => this.watchItems(cursor, filter, signal),
    close: async () => {},
  };

  readonly fleet: GatewayApi["fleet"] = {
    pools: async () => ({
      pools: [{ name: "default", agentCount: 1, capacity: 2, busy: 1, waiting: 0 }],
      unreachableGateways: [],
    }),
    agents: async (_tenant, pool) => ({
      unreachableGateways: [],
      agents: [
        {
          agentId: "echo",
          instanceId: "i-1",
          pool,
          capacity: 1,
          callIds: ["c-1"],
          load: 0.5,
          draining: false,
          connected: true,
          labels: { language: "en" },
          registerTime: new Date("2026-01-01T00:00:00Z"),
        },
      ],
    }),
    gateways: async () => [
      {
        gatewayId: "g-1",
        version: "0.1.0",
        callCount: 1,
        draining: false,
        connectors: [{ name: "main", ready: true }],
        startTime: new Date("2026-01-01T00:00:00Z"),
      },
    ],
  };

  private note<T>(name: string, args: unknown[], result: T): T {
    this.contextCalls.push([name, ...args]);
    return result;
  }
}

/** Keeps what was logged. */
export class FakeLogger implements Logger {
  readonly lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  debug = (fields: object, message: string) => this.add("debug", fields, message);
  info = (fields: object, message: string) => this.add("info", fields, message);
  warn = (fields: object, message: string) => this.add("warn", fields, message);
  error = (fields: object, message: string) => this.add("error", fields, message);

  private add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields: { ...fields }, message });
  }
}
