import type { EventLog } from "../call/event-log.js";
import type { OpsConfig } from "../config/config-types.js";
import { DEFAULT_PORTS } from "../config/member-config.js";
import type { Logger } from "../util/logger.js";
import { CallCounters } from "./call-counters.js";
import { countingEventLog } from "./counting-event-log.js";
import { LoopWatch } from "./event-loop.js";
import { Metrics } from "./metrics.js";
import { OpsServer, type Page } from "./ops-server.js";
import type { OpsSources } from "./ops-sources.js";
import { type Phase, type Readiness, readiness } from "./readiness.js";

/** What a gateway's operations are made of. */
export interface OpsParts {
  readonly config: OpsConfig;
  readonly version: string;
  readonly gatewayId: string;
  readonly logger: Logger;
}

/**
 * Health, readiness and metrics of one gateway, on a port of their own. Made first and stopped last, so that probes see
 * the start and the drain. Sources are added as they come to be.
 */
export class Ops {
  /** How late the event loop is; also for shedding load. */
  readonly loop: LoopWatch;
  readonly sources: OpsSources = {};
  private readonly metrics: Metrics;
  private readonly calls: CallCounters;
  private readonly server: OpsServer | undefined;
  private phase: Phase = "starting";
  private listensOn: number | undefined;

  constructor(private readonly parts: OpsParts) {
    const { config, version, gatewayId } = parts;
    this.loop = new LoopWatch();
    this.metrics = new Metrics(
      { version, gatewayId, tenantLabels: config.tenantLabels },
      this.sources,
      this.loop,
      () => this.readiness().status !== "not_ready",
    );
    this.calls = new CallCounters(this.metrics);
    if (!config.enabled) return;
    const { host, port, maxConnections } = config;
    this.server = new OpsServer(
      { host, port, defaultPort: DEFAULT_PORTS.ops, maxConnections },
      {
        "/healthz": () => this.healthPage(),
        "/readyz": () => this.readyPage(),
        ...(config.metrics ? { "/metrics": () => this.metricsPage() } : {}),
      },
    );
  }

  /** The port, once it listens; undefined when `ops.enabled` is false. */
  get port(): number | undefined {
    return this.listensOn;
  }

  /** Listens, unless it is switched off. Rejects when the configured port is taken. */
  async start(): Promise<this> {
    if (!this.server) return this;
    const { port, insteadOf } = await this.server.listen().catch(async (error: unknown) => {
      await this.stop();
      throw error;
    });
    this.listensOn = port;
    const { logger, config } = this.parts;
    if (insteadOf !== undefined) {
      logger.warn({ ops_port: port }, `ops: port ${insteadOf} is taken, listening on another`);
    }
    logger.info({ ops_host: config.host, ops_port: port }, "ops: /healthz, /readyz, /metrics");
    return this;
  }

  /** The same log, its events counted. */
  counting<L extends EventLog>(log: L): L {
    return countingEventLog(log, (event) => this.calls.onEvent(event));
  }

  /** From now on it may be ready. */
  serving(): void {
    if (this.phase === "starting") this.phase = "serving";
  }

  /** What /readyz answers now. */
  readiness(): Readiness {
    return readiness(this.phase, this.sources, this.loop.delay.p99Ms);
  }

  /** All metrics as text, as /metrics answers them. */
  metricsText(): Promise<string> {
    return this.metrics.text();
  }

  /** Closes the port; last. May be called more than once. */
  async stop(): Promise<void> {
    this.phase = "stopped";
    await this.server?.stop();
    this.loop.stop();
    this.metrics.stop();
  }

  private healthPage(): Page {
    return json(200, { status: "ok", uptime_seconds: Math.round(process.uptime()) });
  }

  private readyPage(): Page {
    const { version, gatewayId } = this.parts;
    const { status, checks } = this.readiness();
    return json(status === "not_ready" ? 503 : 200, {
      status,
      gateway_id: gatewayId,
      version,
      checks: Object.fromEntries(checks.map((c) => [c.name, { status: c.status, detail: c.detail }])),
    });
  }

  private async metricsPage(): Promise<Page> {
    return { status: 200, type: this.metrics.contentType, body: await this.metrics.text() };
  }
}

function json(status: number, value: object): Page {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value, null, 2)}\n` };
}
