import type { GatewayProcess } from "../../test/harness/cluster.js";
import type { AgentSlot } from "./agent-process.js";
import { isIn, type LiveCall } from "./batch-run.js";
import type { Hit } from "./evidence.js";
import type { Fault } from "./plan.js";
import type { MarathonStack } from "./stack.js";

interface Armed {
  readonly fault: Fault;
  state: "waiting" | "due" | "done";
  atMs: number | undefined;
  target: string;
  overMs: number | undefined;
}

/** Lets the faults of a batch come when their call is in the phase, and repairs what broke. */
export class Faults {
  private readonly armed: Armed[];
  private readonly repairs: Promise<void>[] = [];

  constructor(
    private readonly stack: MarathonStack,
    faults: readonly Fault[],
  ) {
    this.armed = faults.map((fault) => ({
      fault,
      state: "waiting",
      atMs: undefined,
      target: "",
      overMs: undefined,
    }));
  }

  /** What came of them so far. */
  hits(): Hit[] {
    return this.armed.map(({ fault, atMs, target, overMs }) => ({ fault, atMs, target, overMs }));
  }

  /** Something happened: has a phase begun? */
  check(calls: readonly LiveCall[]): void {
    for (const armed of this.armed) {
      if (armed.state !== "waiting") continue;
      const call = calls[armed.fault.lane];
      if (!call || !isIn(call, armed.fault.phase)) continue;
      armed.state = "due";
      const { delayMs } = armed.fault;
      if (delayMs === 0) this.strike(armed, call, calls);
      else setTimeout(() => this.strike(armed, call, calls), delayMs);
    }
  }

  /** Resolves when everything runs again. What is still frozen or away then has its full time first. */
  async repaired(): Promise<void> {
    await Promise.all(this.repairs);
    const { cluster, agents } = this.stack;
    const gone = cluster.gateways.filter(({ child }) => !child.running);
    await Promise.all([
      ...gone.map((gateway) => cluster.revive(gateway)),
      ...agents.flat().map((slot) => (slot.running ? undefined : slot.start())),
    ]);
  }

  private strike(armed: Armed, call: LiveCall, calls: readonly LiveCall[]): void {
    armed.state = "done";
    armed.atMs = Date.now();
    for (const one of calls) one.ownerAtFault = one.owner;
    const { victim } = armed.fault;
    const repair =
      victim === "agent"
        ? this.agent(armed, call)
        : victim === "gateway"
          ? this.gateway(armed, call)
          : this.server(armed, victim === "nats" ? this.stack.cluster.nats : this.stack.database);
    this.repairs.push(repair);
  }

  private async agent(armed: Armed, call: LiveCall): Promise<void> {
    const { fault } = armed;
    const slots = this.stack.agents[fault.lane] as readonly AgentSlot[];
    const last = call.notes.findLast(({ type }) => type === "offer" || type === "given");
    const chosen = slots[Math.floor(fault.choice * slots.length)];
    const slot = slots.find(({ instance }) => instance === last?.instance) ?? (chosen as AgentSlot);
    armed.target = slot.instance;
    if (fault.how === "kill") {
      slot.kill();
      await slot.gone();
      return;
    }
    slot.freeze();
    await this.pause(armed);
    slot.thaw();
  }

  private async gateway(armed: Armed, call: LiveCall): Promise<void> {
    const { fault } = armed;
    const { gateways } = this.stack.cluster;
    const chosen = gateways[Math.floor(fault.choice * gateways.length)];
    const gateway = gateways.find(({ id }) => id === call.owner) ?? (chosen as GatewayProcess);
    armed.target = gateway.id;
    if (fault.how === "kill") return gateway.kill();
    gateway.child.signal("SIGSTOP");
    await this.pause(armed);
    gateway.child.signal("SIGCONT");
  }

  private async server(armed: Armed, server: Server): Promise<void> {
    armed.target = armed.fault.victim;
    if (armed.fault.how === "kill") {
      await server.kill();
      await this.pause(armed);
      await server.restart();
      return;
    }
    server.freeze();
    await this.pause(armed);
    server.thaw();
  }

  private async pause(armed: Armed): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, armed.fault.forMs));
    armed.overMs = Date.now();
  }
}

/** nats-server and the MongoDB server can both do this. */
interface Server {
  kill(): Promise<void>;
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
}
