/** For tests: several gateways in one process on one bus in memory, and one provider whose calls each of them is told of. */
import { MemoryBusServer } from "../bus/memory-bus.js";
import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { EventLog } from "../call/event-log.js";
import { RigLog } from "../call/test-rig.js";
import { StoredContextService } from "../context/context-service.js";
import { MemoryContextStore } from "../context/memory-context-store.js";
import type { Registration } from "../dispatch/agent-port.js";
import { POOL_DEFAULTS } from "../dispatch/pool.js";
import { ACTOR, RigStream } from "../dispatch/test-rig.js";
import { Gateway } from "../gateway.js";
import type { GatewayApi } from "../gateway-api.js";
import type { MemoryLeg } from "../telephony/memory/memory-leg.js";
import { type MemoryArrival, MemoryTelephony } from "../telephony/memory/memory-telephony.js";
import { ManualClock } from "../util/clock.js";
import { silentLogger } from "../util/logger.js";
import { Cluster, type ClusterOptions } from "./cluster.js";

/** One gateway of the rig. */
export interface RigGateway {
  readonly id: string;
  readonly gateway: Gateway;
  readonly cluster: Cluster;
  readonly api: GatewayApi;
  readonly telephony: MemoryTelephony;
  /** Cuts it from the bus, or connects it again. */
  connect(connected: boolean): void;
  /** It dies: nothing of it is heard any more, and its sockets at the provider are gone. */
  kill(): void;
  agent(changes?: Partial<Registration>): RigStream;
}

/** Gateways on one bus. All share one clock, one event log, one context store, as with NATS and MongoDB. */
export class ClusterRig {
  readonly clock = new ManualClock();
  readonly bus = new MemoryBusServer({ nowMs: () => this.clock.wallNow().getTime() });
  readonly log = new RigLog();
  readonly gateways: RigGateway[] = [];
  private readonly contexts = new MemoryContextStore();
  private readonly sessions = new Map<
    string,
    { readonly arrival: MemoryArrival; takenBy: RigGateway | undefined }
  >();
  private count = 0;

  constructor(
    private readonly options: Partial<ClusterOptions> = {},
    /** False: each gateway has contexts of its own, as without MongoDB. */
    private readonly sharedContexts = true,
  ) {}

  /** Adds a gateway and waits until it serves. */
  async add(id = `gateway-${this.gateways.length + 1}`): Promise<RigGateway> {
    const { clock } = this;
    let dead = false;
    const shared = this.log;
    // What a dead gateway still believes reaches nobody.
    const log: EventLog = Object.assign(Object.create(shared) as RigLog, {
      append: (event: CallEvent): Promise<StoredEvent> =>
        dead ? Promise.resolve({ ...event, cursor: "", durable: false }) : shared.append(event),
    });
    const telephony = new MemoryTelephony({ clock, sampleRateHz: 8000 });
    const bus = this.bus.connect();
    const store = this.sharedContexts ? this.contexts : new MemoryContextStore();
    const contexts: StoredContextService = new StoredContextService(store, {
      clock,
      callOf: (tenant, callId) => gateway.calls.list(tenant, { callIds: [callId], pools: [], states: [] })[0],
    });
    const cluster = new Cluster({
      bus,
      gatewayId: id,
      version: "0",
      logger: silentLogger,
      maxCalls: 2_000,
      connectors: [telephony],
      events: log,
      contexts,
      sharedContexts: this.sharedContexts,
      options: this.options,
      clock,
    });
    const gateway: Gateway = new Gateway({
      gatewayId: id,
      version: "0",
      connectors: [telephony],
      router: () => ({
        take: true,
        tenant: "default",
        pool: "default",
        locale: "en",
        unserved: { action: "QUEUE", ringTimeSeconds: 20 },
      }),
      pools: [{ ...POOL_DEFAULTS, name: "default", tenant: "default" }],
      events: log,
      contexts,
      hold: () => ({
        read(target, offset, bytes) {
          target.fill(7, offset, offset + bytes);
          return bytes;
        },
      }),
      logger: silentLogger,
      clock,
      neighbours: cluster,
      relay: cluster.relay,
    });
    const api = cluster.bind(gateway);
    let agents = 0;
    const one: RigGateway = {
      id,
      gateway,
      cluster,
      api,
      telephony,
      connect: (connected) => bus.setConnected(connected),
      kill: () => {
        dead = true;
        bus.setConnected(false);
        telephony.stopClaiming();
        for (const session of this.sessions.values())
          if (session.takenBy === one) session.takenBy = undefined;
      },
      agent(changes = {}) {
        const stream = new RigStream();
        const registration: Registration = {
          agentId: `${id}-agent-${++agents}`,
          instanceId: `${id}-instance-${agents}`,
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
    };
    this.raceFor(one, () => dead);
    this.gateways.push(one);
    const started = cluster.start(1_000);
    await this.settle();
    await started;
    await gateway.start();
    await this.settle();
    return one;
  }

  /** A call rings: every gateway is told. Answers its id. */
  arrive(arrival: MemoryArrival = {}): string {
    const number = ++this.count;
    const callId = arrival.callId ?? `call-${number}`;
    const whole = { ...arrival, callId, sessionId: arrival.sessionId ?? `session-${number}` };
    this.sessions.set(whole.sessionId, { arrival: whole, takenBy: undefined });
    for (const { telephony } of this.gateways) telephony.arrive(whole);
    return callId;
  }

  /** Who has the call at the provider. */
  holder(callId: string): RigGateway | undefined {
    for (const { arrival, takenBy } of this.sessions.values()) if (arrival.callId === callId) return takenBy;
    return undefined;
  }

  /** The provider's side of a call at its gateway. */
  leg(callId: string): MemoryLeg {
    const found = this.holder(callId)
      ?.telephony.legs.filter(({ call }) => call.callId === callId)
      .at(-1);
    if (!found) throw new Error(`nobody has ${callId}`);
    return found;
  }

  /** Lets `ms` pass for everybody, message by message. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10) {
      await this.clock.advance(10);
      await this.settle();
    }
  }

  /** Lets what is on its way arrive. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The provider gives a session to the first that claims it. */
  private raceFor(one: RigGateway, isDead: () => boolean): void {
    const { telephony } = one;
    const claims = Reflect.get(telephony, "decide") as (leg: MemoryLeg, ...rest: unknown[]) => void;
    Reflect.set(telephony, "decide", (leg: MemoryLeg, ...rest: unknown[]) => {
      const session = this.sessions.get(leg.call.sessionId);
      if (isDead() || (session?.takenBy && session.takenBy !== one)) {
        telephony.takeByOther(leg);
        return;
      }
      if (session && telephony.loseClaimsWith === undefined) session.takenBy = one;
      claims.call(telephony, leg, ...rest);
    });
  }
}
