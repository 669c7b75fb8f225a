/** For tests of dispatch: a whole gateway without wires on the memory adapter and a clock that stands still. */

import type { Actor } from "../call/call-commands.js";
import type { CallError } from "../call/call-error.js";
import { RigLog } from "../call/test-rig.js";
import type { RouteDecision } from "../call-intake.js";
import { StoredContextService } from "../context/context-service.js";
import { MemoryContextStore } from "../context/memory-context-store.js";
import { Gateway } from "../gateway.js";
import { MemoryTelephony } from "../telephony/memory/memory-telephony.js";
import { ManualClock } from "../util/clock.js";
import { silentLogger } from "../util/logger.js";
import type { AgentNotice, AgentStream, AgentStreamHandler, Registration } from "./agent-port.js";
import { POOL_DEFAULTS, type PoolOptions } from "./pool.js";

/** An agent's end of a stream: remembers what it got. */
export class RigStream implements AgentStream {
  readonly notices: AgentNotice[] = [];
  readonly audio: { readonly handle: number; readonly position: number; readonly pcm: Uint8Array }[] = [];
  ended: { readonly error?: CallError } | undefined;
  handler!: AgentStreamHandler;
  send(notice: AgentNotice): void {
    this.notices.push(notice);
  }
  sendAudio(handle: number, position: number, _samples: number, pcm: Uint8Array): void {
    this.audio.push({ handle, position, pcm });
  }
  endHandle(): void {}
  end(error?: CallError): void {
    if (this.ended) return;
    this.ended = error ? { error } : {};
    this.handler.lost();
  }
  /** All notices of a type. */
  got<T extends AgentNotice["type"]>(type: T): Extract<AgentNotice, { type: T }>[] {
    return this.notices.filter((n): n is Extract<AgentNotice, { type: T }> => n.type === type);
  }
  /** The newest notice of a type. */
  last<T extends AgentNotice["type"]>(type: T): Extract<AgentNotice, { type: T }> {
    const found = this.got(type).at(-1);
    if (!found) throw new Error(`no ${type} among: ${this.notices.map((n) => n.type).join(", ")}`);
    return found;
  }
}

export const ACTOR: Actor = { tenant: "default", name: "client:test" };

/** What the rig is made with. */
export interface DispatchRigOptions {
  readonly pools?: readonly Partial<PoolOptions>[];
  readonly route?: Partial<RouteDecision>;
  /** The log of an earlier rig: the gateway restarts. */
  readonly log?: RigLog;
}

/** A gateway with pool "default", and a way to make agents and calls. */
export async function dispatchRig(options: DispatchRigOptions = {}) {
  const clock = new ManualClock();
  const telephony = new MemoryTelephony({ clock, sampleRateHz: 8000 });
  const log = options.log ?? new RigLog();
  const gateway: Gateway = new Gateway({
    gatewayId: "gateway-1",
    version: "0",
    connectors: [telephony],
    router: () => ({
      take: true,
      tenant: "default",
      pool: "default",
      locale: "en",
      unserved: { action: "QUEUE", ringTimeSeconds: 20 },
      ...options.route,
    }),
    pools: (options.pools ?? [{}]).map((p) => ({
      ...POOL_DEFAULTS,
      name: "default",
      tenant: "default",
      ...p,
    })),
    events: log,
    contexts: new StoredContextService(new MemoryContextStore(), {
      clock,
      callOf: (tenant, callId) => gateway.calls.list(tenant, { callIds: [callId], pools: [], states: [] })[0],
    }),
    hold: () => ({
      read(target, offset, bytes) {
        target.fill(7, offset, offset + bytes);
        return bytes;
      },
    }),
    logger: silentLogger,
    clock,
    claimJitterMs: 0,
  });
  await gateway.start();
  let agents = 0;
  return {
    clock,
    telephony,
    log,
    gateway,
    /** Registers an agent on a stream of its own. */
    agent(changes: Partial<Registration> = {}): RigStream {
      const stream = new RigStream();
      const registration: Registration = {
        agentId: `agent-${++agents}`,
        instanceId: `instance-${agents}`,
        pool: "default",
        capacity: 1,
        audioFormat: { encoding: "S16LE", sampleRateHz: 0 },
        labels: {},
        answerOnAccept: false,
        heartbeat: false,
        noAudio: false,
        ...changes,
      };
      stream.handler = gateway.agents.register(ACTOR, registration, stream);
      return stream;
    },
    call: (callId: string) => gateway.calls.get("default", callId),
    events: (callId: string) => log.events.filter((e) => e.callId === callId).map((e) => e.body),
  };
}
