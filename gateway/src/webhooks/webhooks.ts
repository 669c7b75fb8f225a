import { randomUUID } from "node:crypto";
import type { Bus } from "../bus/bus.js";
import type { EventLog } from "../call/event-log.js";
import type { ContextService } from "../context/context-types.js";
import { loadProtoJson } from "../contract/proto-json.js";
import type { WebhookView } from "../ops/ops-sources.js";
import type { Logger } from "../util/logger.js";
import { DeadLetters, webhooksFolder } from "./dead-letters.js";
import { Hook } from "./hook.js";
import { BucketStateStore, FileStateStore } from "./hook-state.js";
import type { WebhookOptions } from "./options.js";
import { Sender } from "./sender.js";
import type { AllowedHosts } from "./targets.js";

/** What the webhooks of a gateway are made of. */
export interface WebhooksParts {
  readonly hooks: readonly WebhookOptions[];
  readonly hosts: AllowedHosts;
  readonly events: EventLog;
  readonly contexts: ContextService;
  readonly stateDir: string;
  /** With several gateways: who delivers is settled here. */
  readonly bus: Bus | undefined;
  readonly replicas: number;
  readonly gatewayId: string;
  readonly logger: Logger;
  /** How often is looked for dead letters that somebody wants sent again, ms. Default 1,000. */
  readonly resendIntervalMs?: number;
}

/** All webhooks of a gateway. */
export class Webhooks {
  private readonly deadLetters: DeadLetters;
  private readonly hooks: readonly Hook[];
  private readonly senders: readonly Sender[];
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  constructor(private readonly parts: WebhooksParts) {
    const { stateDir, bus, replicas, gatewayId, hosts, events, contexts, logger } = parts;
    const folder = webhooksFolder(stateDir);
    const holder = `${gatewayId} ${randomUUID()}`;
    const senders: Sender[] = [];
    this.deadLetters = new DeadLetters(folder);
    this.hooks = parts.hooks.map((options) => {
      const { tenant, name, leaseMs } = options;
      const state = bus
        ? new BucketStateStore(bus, { tenant, name, holder, leaseMs, replicas })
        : new FileStateStore(folder, tenant, name);
      const sender = new Sender(hosts, options.maxConcurrent, options.timeoutMs);
      senders.push(sender);
      return new Hook({ options, events, contexts, state, sender, deadLetters: this.deadLetters, logger });
    });
    this.senders = senders;
  }

  /** Begins to deliver, from where it was. Rejects when the state folder cannot be used. */
  async start(): Promise<void> {
    loadProtoJson();
    await this.deadLetters.open();
    for (const hook of this.hooks) hook.start();
    this.timer = setInterval(() => {
      this.looking ??= this.sendWanted().finally(() => {
        this.looking = undefined;
      });
    }, this.parts.resendIntervalMs ?? 1_000);
    this.timer.unref();
  }

  /** Ends; what is under way is repeated later. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.hooks.map((hook) => hook.stop()));
    await this.looking;
    await Promise.all(this.senders.map((sender) => sender.close()));
  }

  /** How they stand, for metrics. */
  views(): readonly WebhookView[] {
    return this.hooks.map(({ options: { tenant, name }, counts, waiting, holds }) => ({
      tenant,
      name,
      ...counts,
      delivering: holds,
      deadLetters: this.deadLetters.count(tenant, name),
      waiting: waiting.count,
      oldestMs: waiting.oldest ? Math.max(0, Date.now() - waiting.oldest.getTime()) : 0,
    }));
  }

  private async sendWanted(): Promise<void> {
    try {
      await this.deadLetters.refresh();
      for (const letter of await this.deadLetters.requested()) {
        const hook = this.hooks.find(
          ({ options }) => options.tenant === letter.tenant && options.name === letter.webhook,
        );
        if (hook) await hook.sendAgain(letter);
        else await this.deadLetters.done(letter, { ...letter, error: "no webhook of that name" });
      }
    } catch (error) {
      this.parts.logger.warn({ err: String(error) }, "dead letters cannot be sent again now");
    }
  }
}
