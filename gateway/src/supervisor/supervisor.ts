import type { RestartConfig } from "../config/serve-config.js";
import type { Clock, Timer } from "../util/clock.js";
import type { Logger } from "../util/logger.js";

/** A gateway that runs as a process of its own. */
export interface Member {
  readonly pid: number | undefined;
  signal(signal: "SIGTERM" | "SIGHUP"): void;
}

/** Where a gateway can be reached. */
export interface MemberPorts {
  readonly port: number;
  readonly opsPort: number | undefined;
  readonly deskPort: number | undefined;
}

/** How a process ended; both null: it could not be started. */
export interface MemberEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What a process tells. */
export interface MemberNews {
  /** Signed in and listening. */
  onServing(ports: MemberPorts): void;
  /** The last thing that is told. */
  onEnd(end: MemberEnd): void;
}

/** What a supervisor needs. */
export interface SupervisorParts {
  /** How many gateways. */
  readonly gateways: number;
  readonly restart: RestartConfig;
  /** Starts the n-th gateway, from 1. Tells nothing before it has returned. */
  readonly start: (number: number, news: MemberNews) => Member;
  readonly idOf: (number: number) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Slot {
  readonly number: number;
  readonly id: string;
  member: Member | undefined;
  /** Undefined before it serves. */
  ports: MemberPorts | undefined;
  /** Times of the starts after the first, by the clock. */
  restartsMs: number[];
  timer: Timer | undefined;
}

/**
 * Keeps several gateways running, each a process of its own. One that ends is started again after a pause that grows, and
 * is given up when that was in vain too often; the others go on meanwhile. A gateway that cannot be started in the
 * beginning ends all: nobody should take half of them for the whole.
 */
export class Supervisor {
  /** Resolves when no gateway is left: 0 when it was told to end and all ended in order, else 1. */
  readonly done: Promise<number>;
  private finish: (code: number) => void = () => {};
  private readonly slots: Slot[];
  /** All served once. */
  private begun = false;
  private ending = false;
  private failed = false;

  constructor(private readonly parts: SupervisorParts) {
    this.done = new Promise((resolve) => {
      this.finish = resolve;
    });
    this.slots = Array.from({ length: parts.gateways }, (_, i) => ({
      number: i + 1,
      id: parts.idOf(i + 1),
      member: undefined,
      ports: undefined,
      restartsMs: [],
      timer: undefined,
    }));
  }

  /** Starts all of them. */
  start(): void {
    for (const slot of this.slots) this.launch(slot);
  }

  /** All take nothing new and end when their calls are over; none is started again. A second time: at once. */
  end(why: object): void {
    this.parts.logger.info(why, this.ending ? "ending at once" : "draining");
    this.endAll();
  }

  /** Credentials and certificates are read anew by all. */
  reload(): void {
    for (const { member, ports } of this.slots) if (ports) member?.signal("SIGHUP");
  }

  private launch(slot: Slot): void {
    slot.timer = undefined;
    slot.member = this.parts.start(slot.number, {
      onServing: (ports) => this.serves(slot, ports),
      onEnd: (end) => this.ended(slot, end),
    });
  }

  private serves(slot: Slot, ports: MemberPorts): void {
    slot.ports = ports;
    if (this.begun || this.slots.some((other) => other.ports === undefined)) return;
    this.begun = true;
    const gateways = this.slots.map(({ id, member, ports: { port, opsPort, deskPort } = ports }) => ({
      gateway_id: id,
      gateway_pid: member?.pid,
      port,
      ops_port: opsPort,
      desk_port: deskPort,
    }));
    this.parts.logger.info({ gateways }, "all gateways serve");
  }

  private ended(slot: Slot, end: MemberEnd): void {
    const { logger } = this.parts;
    const fields = { gateway_id: slot.id, gateway_pid: slot.member?.pid, code: end.code, signal: end.signal };
    slot.member = undefined;
    slot.ports = undefined;
    if (this.ending) {
      // Told to end before it had begun.
      const inOrder = end.code === 0 || end.signal === "SIGTERM";
      if (!inOrder) this.failed = true;
      logger[inOrder ? "info" : "error"](fields, "gateway ended");
    } else if (!this.begun) {
      this.failed = true;
      logger.error(fields, "a gateway did not start: all are ended");
      this.endAll();
    } else this.again(slot, fields);
    this.finishIfOver();
  }

  private again(slot: Slot, fields: object): void {
    const { clock, logger, restart } = this.parts;
    const nowMs = clock.nowMs();
    slot.restartsMs = slot.restartsMs.filter((at) => nowMs - at < restart.windowSeconds * 1000);
    const restarts = slot.restartsMs.length;
    if (restarts >= restart.maxRestarts) {
      this.failed = true;
      logger.error({ ...fields, restarts }, "gateway ended too often and is given up; the others go on");
      return;
    }
    const pauseMs = Math.min(restart.maxPauseMs, restart.firstPauseMs * 2 ** restarts);
    logger.error({ ...fields, pause_ms: pauseMs }, "gateway ended; it is started again");
    slot.restartsMs.push(nowMs);
    slot.timer = clock.after(pauseMs, () => this.launch(slot));
  }

  private endAll(): void {
    this.ending = true;
    for (const slot of this.slots) {
      slot.timer?.cancel();
      slot.timer = undefined;
      slot.member?.signal("SIGTERM");
    }
    this.finishIfOver();
  }

  private finishIfOver(): void {
    if (this.slots.some(({ member, timer }) => member ?? timer)) return;
    this.finish(this.failed ? 1 : 0);
  }
}
