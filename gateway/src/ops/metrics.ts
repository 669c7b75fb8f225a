import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CountSink } from "./call-counters.js";
import type { LoopWatch } from "./event-loop.js";
import { METRICS, type MetricName, type MetricSpec } from "./metric-catalogue.js";
import type { GatewaySource, OpsSources, PoolView } from "./ops-sources.js";
import { processFigures, watchGarbageCollector } from "./process-metrics.js";

/** Options of the metrics. */
export interface MetricsOptions {
  readonly version: string;
  readonly gatewayId: string;
  /** Label the figures of pools with their tenant. Default false. */
  readonly tenantLabels?: boolean;
}

type Labels = Readonly<Record<string, string>>;

/** States of live calls, so that each has a figure from the start. */
const LIVE_STATES = ["PENDING", "ANSWERED", "CONNECTED"] as const;

/**
 * The figures of this process in the text format of Prometheus. Counters of events are counted as they happen (see
 * CallCounters); everything else is read from the sources at each scrape.
 */
export class Metrics implements CountSink {
  private readonly registry = new Registry();
  private readonly counters = new Map<MetricName, Counter>();
  private readonly gauges = new Map<MetricName, Gauge>();
  private readonly histograms = new Map<MetricName, Histogram>();
  private readonly stopGarbage: () => void;
  /** EVENTS_LOST seen here; own losses come from the event store. */
  private eventsLost = 0;
  private takeovers = 0;

  constructor(
    private readonly options: MetricsOptions,
    private readonly sources: OpsSources,
    private readonly loop: LoopWatch,
    private readonly isReady: () => boolean,
  ) {
    for (const [name, spec] of Object.entries(METRICS)) this.make(name as MetricName, spec);
    this.stopGarbage = watchGarbageCollector((kind, seconds) =>
      this.observe("nodejs_gc_duration_seconds", seconds, { kind }),
    );
    this.gauge("callweave_build_info", 1, {
      version: options.version,
      node: process.version,
      gateway_id: options.gatewayId,
    });
    this.prepareZeros();
  }

  /** The media type of text(). */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** All figures, read now. */
  text(): Promise<string> {
    this.collect();
    return this.registry.metrics();
  }

  count(name: MetricName, labels: Labels = {}, by = 1): void {
    if (name === "callweave_events_lost_total") this.eventsLost += by;
    else if (name === "callweave_takeovers_total") this.takeovers += by;
    else this.counters.get(name)?.inc(labels, by);
  }

  observe(name: MetricName, value: number, labels: Labels = {}): void {
    this.histograms.get(name)?.observe(labels, value);
  }

  /** Ends the watching of the process. */
  stop(): void {
    this.stopGarbage();
    this.registry.clear();
  }

  private make(name: MetricName, spec: MetricSpec): void {
    const tenant = this.options.tenantLabels && spec.labels?.includes("pool") ? ["tenant"] : [];
    const common = { name, help: spec.help, labelNames: [...(spec.labels ?? []), ...tenant] };
    const registers = [this.registry];
    if (spec.type === "counter") this.counters.set(name, new Counter({ ...common, registers }));
    else if (spec.type === "gauge") this.gauges.set(name, new Gauge({ ...common, registers }));
    else {
      const buckets = [...(spec.buckets ?? [])];
      this.histograms.set(name, new Histogram({ ...common, buckets, registers }));
    }
    // Unlabelled gauges and counters begin at 0 in prom-client; those of sources that may be missing begin with nothing.
    if (spec.needs) {
      this.counters.get(name)?.remove({});
      this.gauges.get(name)?.remove({});
    }
  }

  /** Series that alerts look at exist before their first count, so that a first increase is seen. */
  private prepareZeros(): void {
    const zero = (name: MetricName, label: string, values: readonly string[]) => {
      for (const value of values) this.counters.get(name)?.inc({ [label]: value }, 0);
    };
    zero("callweave_calls_ended_total", "reason", [
      "TERMINATED",
      "DISCONNECTED",
      "LEFT_TO_PARTIES",
      "MEDIA_LOST",
      "SESSION_CLOSED",
    ]);
    zero("callweave_calls_unserved_total", "action", [
      "CONNECT",
      "QUEUE",
      "ANSWER_AND_HOLD",
      "ANNOUNCE",
      "LEAVE",
    ]);
    zero("callweave_escalations_total", "outcome", [
      "CONNECTED",
      "UNANSWERED",
      "PICKED_UP_NOT_CONFIRMED",
      "CALLER_LEFT",
      "CONTEXT_NOT_SAVED",
      "CANCELLED",
      "REJECTED",
      "UNKNOWN",
      "LEAVE_FAILED",
    ]);
    zero("callweave_seat_changes_total", "cause", ["ACCEPTED", "REATTACHED", "LOST", "GRACE_EXPIRED"]);
    zero("callweave_events_total", "durable", ["true", "false"]);
    zero("callweave_media_changes_total", "change", ["LOST", "RESTORED", "PROVIDER_ERROR"]);
  }

  private collect(): void {
    this.collectProcess();
    this.collectGateway();
    this.collectGrpc();
    this.collectDesk();
    this.collectStores();
    this.collectBus();
    this.collectWebhooks();
    this.collectCertificates();
    this.gauge("callweave_ready", this.isReady() ? 1 : 0);
  }

  private collectProcess(): void {
    const { delay } = this.loop;
    this.gauge("callweave_event_loop_delay_seconds", delay.p50Ms / 1000, { quantile: "0.5" });
    this.gauge("callweave_event_loop_delay_seconds", delay.p99Ms / 1000, { quantile: "0.99" });
    this.gauge("callweave_event_loop_delay_seconds", delay.maxMs / 1000, { quantile: "1" });
    this.gauge("callweave_event_loop_utilization", delay.utilization);
    const figures = processFigures();
    this.gauge("process_resident_memory_bytes", figures.residentBytes);
    this.gauge("nodejs_heap_size_used_bytes", figures.heapUsedBytes);
    this.gauge("nodejs_external_memory_bytes", figures.externalBytes);
    this.gauge("process_start_time_seconds", figures.startTimeSeconds);
    this.total("process_cpu_seconds_total", figures.cpuSeconds);
    const resources = this.gauges.get("nodejs_active_resources");
    resources?.reset();
    for (const [kind, count] of figures.activeResources) resources?.set({ kind }, count);
    if (figures.openFiles === undefined) this.gauges.get("process_open_fds")?.remove({});
    else this.gauge("process_open_fds", figures.openFiles);
  }

  private collectGateway(): void {
    const { gateway } = this.sources;
    if (!gateway) return;
    this.gauge("callweave_draining", gateway.draining ? 1 : 0);
    this.gauge("callweave_calls_max", gateway.maxCalls);
    this.collectLeft(gateway);
    const states = new Map<string, number>(LIVE_STATES.map((state) => [state, 0]));
    for (const state of gateway.callStates()) {
      if (states.has(state)) states.set(state, (states.get(state) ?? 0) + 1);
    }
    for (const [state, count] of states) this.gauge("callweave_calls", count, { state });
    const events = this.counters.get("callweave_connector_events_total");
    events?.reset();
    for (const { name, ready, counters } of gateway.connectors()) {
      this.gauge("callweave_connector_ready", ready ? 1 : 0, { connector: name });
      for (const [event, count] of Object.entries(counters ?? {})) {
        if (Number.isFinite(count)) events?.inc({ connector: name, event: snakeCase(event) }, count);
      }
    }
    this.collectPools(gateway.pools());
  }

  private collectLeft({ callsLeft, shedding }: GatewaySource): void {
    this.gauge("callweave_shedding", shedding ? 1 : 0);
    const left = this.counters.get("callweave_calls_left_total");
    left?.reset();
    left?.inc({ reason: "overloaded" }, callsLeft?.overloaded ?? 0);
    left?.inc({ reason: "max_calls" }, callsLeft?.maxCalls ?? 0);
  }

  private collectPools(pools: Iterable<PoolView>): void {
    const names = [
      "callweave_pool_sessions",
      "callweave_pool_places",
      "callweave_pool_places_free",
      "callweave_pool_waiting",
    ] as const;
    const gauges = names.map((name) => this.gauges.get(name));
    for (const gauge of gauges) gauge?.reset();
    const refused = this.counters.get("callweave_items_refused_total");
    refused?.reset();
    for (const pool of pools) {
      const labels = { pool: pool.name, ...(this.options.tenantLabels ? { tenant: pool.tenant } : {}) };
      const figures = [pool.sessions, pool.places, pool.freePlaces, pool.waiting];
      figures.forEach((figure, i) => {
        gauges[i]?.inc(labels, figure);
      });
      for (const [reason, count] of pool.refused) refused?.inc({ reason }, count);
    }
  }

  private collectGrpc(): void {
    const { grpc } = this.sources;
    if (!grpc) return;
    const { stats } = grpc;
    this.gauge("callweave_grpc_connections", grpc.connections);
    this.gauge("callweave_grpc_serve_streams", stats.serveStreams);
    this.total("callweave_grpc_messages_in_total", stats.messagesIn);
    this.total("callweave_grpc_items_in_total", stats.itemsIn);
    this.total("callweave_grpc_items_unknown_total", stats.unknownItems);
    this.total("callweave_grpc_items_refused_total", stats.refusedItems);
    this.total("callweave_grpc_malformed_total", stats.malformed);
    this.total("callweave_grpc_queue_full_total", stats.queueFull);
    const droppedMs = stats.droppedAudioMs + (this.sources.desk?.stats.droppedAudioMs ?? 0);
    this.total("callweave_audio_dropped_seconds_total", droppedMs / 1000);
  }

  private collectDesk(): void {
    const { desk } = this.sources;
    if (!desk) return;
    const { stats } = desk;
    this.gauge("callweave_desk_connections", stats.connections);
    this.total("callweave_desk_frames_total", stats.frames);
    this.total("callweave_desk_malformed_total", stats.malformed);
    this.total("callweave_desk_slowed_total", stats.slowedDown);
    this.total("callweave_desk_too_slow_total", stats.tooSlow);
    this.total("callweave_desk_refused_total", stats.refused);
  }

  private collectCertificates(): void {
    for (const { use, expireTimeMs } of this.sources.certificates?.views() ?? [])
      this.gauge("callweave_certificate_expire_time_seconds", expireTimeMs / 1000, { use });
  }

  private collectStores(): void {
    const { contextStore, eventStore } = this.sources;
    if (eventStore) {
      this.gauge("callweave_event_store_up", eventStore.connected ? 1 : 0);
      this.gauge("callweave_events_pending", eventStore.pending ?? 0);
    }
    this.total("callweave_events_lost_total", this.eventsLost + (eventStore?.lost ?? 0));
    if (!contextStore) return;
    this.gauge("callweave_context_store_up", contextStore.connected ? 1 : 0);
    this.total("callweave_spool_replayed_total", contextStore.replayed ?? 0);
    this.total("callweave_context_conflicts_total", contextStore.conflicts ?? 0);
    this.gauge("callweave_spool_refused", contextStore.refused ?? 0);
    for (const spool of contextStore.spools?.() ?? []) {
      const labels = { spool: spool.name };
      this.gauge("callweave_spool_entries", spool.entries, labels);
      this.gauge("callweave_spool_bytes", spool.bytes, labels);
      this.gauge("callweave_spool_max_bytes", spool.maxBytes, labels);
      this.gauge("callweave_spool_full", spool.full ? 1 : 0, labels);
      this.gauge("callweave_spool_oldest_seconds", spool.oldestMs / 1000, labels);
    }
  }

  private collectBus(): void {
    const { bus, cluster } = this.sources;
    if (bus) {
      this.gauge("callweave_bus_connected", bus.connected ? 1 : 0);
      this.total("callweave_bus_reconnects_total", bus.reconnects ?? 0);
      this.total("callweave_bus_dropped_total", bus.dropped ?? 0);
    }
    this.total("callweave_takeovers_total", Math.max(this.takeovers, cluster?.takeovers ?? 0));
    if (!cluster) return;
    this.gauge("callweave_gateways", cluster.gateways);
    this.total("callweave_calls_fenced_total", cluster.fenced ?? 0);
  }

  private collectWebhooks(): void {
    const { webhooks } = this.sources;
    if (!webhooks) return;
    const deliveries = this.counters.get("callweave_webhook_deliveries_total");
    deliveries?.reset();
    for (const view of webhooks.views()) {
      const webhook = view.tenant === "default" ? view.name : `${view.tenant}/${view.name}`;
      for (const result of ["delivered", "failed", "dead", "gone"] as const)
        deliveries?.inc({ webhook, result }, view[result]);
      this.gauge("callweave_webhook_delivering", view.delivering ? 1 : 0, { webhook });
      this.gauge("callweave_webhook_waiting", view.waiting, { webhook });
      this.gauge("callweave_webhook_oldest_seconds", view.oldestMs / 1000, { webhook });
      this.gauge("callweave_webhook_dead_letters", view.deadLetters, { webhook });
    }
  }

  private gauge(name: MetricName, value: number, labels: Labels = {}): void {
    this.gauges.get(name)?.set(labels, value);
  }

  /** A counter that somebody else counts. */
  private total(name: MetricName, value: number): void {
    const counter = this.counters.get(name);
    counter?.reset();
    counter?.inc(value);
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
