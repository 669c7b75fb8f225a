/** One metric: what docs/operations.md says of it, and all that the exporter needs. */
export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  /** What it means; one sentence without a full stop. */
  readonly help: string;
  /** Never a call id, never a number; "tenant" is added to those with "pool" by `ops.tenant_labels`. */
  readonly labels?: readonly string[];
  /** Upper bounds of a histogram. */
  readonly buckets?: readonly number[];
  /** What has to be there for the metric to be there; unset: always. */
  readonly needs?: "bus" | "contextStore" | "spool" | "eventStore" | "cluster" | "webhooks";
}

/** Every metric of the gateway. docs/operations.md is made from this. */
export const METRICS = {
  callweave_build_info: {
    type: "gauge",
    help: "Always 1; the labels say which gateway this is and what it runs on",
    labels: ["version", "node", "gateway_id"],
  },
  callweave_ready: { type: "gauge", help: "1 while /readyz answers 200" },
  callweave_draining: { type: "gauge", help: "1 once the gateway takes nothing new" },

  callweave_calls: { type: "gauge", help: "Live calls", labels: ["state"] },
  callweave_calls_max: { type: "gauge", help: "Live calls at most; beyond it nothing is claimed" },
  callweave_shedding: {
    type: "gauge",
    help: "1 while new calls are left to the provider because the event loop is late",
  },
  callweave_calls_left_total: {
    type: "counter",
    help: "New calls that were not claimed, because of the event loop or because `max_calls` were up",
    labels: ["reason"],
  },
  callweave_calls_arrived_total: { type: "counter", help: "Calls that came to this gateway" },
  callweave_calls_answered_total: { type: "counter", help: "Calls that were answered" },
  callweave_calls_connected_total: { type: "counter", help: "Calls whose callee picked up" },
  callweave_calls_ended_total: { type: "counter", help: "Calls that are over for us", labels: ["reason"] },
  callweave_call_duration_seconds: {
    type: "histogram",
    help: "From arrival to end",
    buckets: [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600],
  },
  callweave_calls_unserved_total: {
    type: "counter",
    help: "Calls for which nobody was free and the route decided",
    labels: ["action"],
  },
  callweave_calls_held_total: { type: "counter", help: "Times that a caller began to hear hold audio" },

  callweave_offers_total: { type: "counter", help: "Offers to agents" },
  callweave_reoffers_total: { type: "counter", help: "Offers after the first of a call" },
  callweave_offers_ended_total: {
    type: "counter",
    help: "Offers that ended without a seat",
    labels: ["end"],
  },
  callweave_seat_changes_total: {
    type: "counter",
    help: "Changes of seats; LOST and GRACE_EXPIRED are lost agents, REATTACHED those that came back",
    labels: ["cause"],
  },
  callweave_seat_wait_seconds: {
    type: "histogram",
    help: "How long a call waited for its agent, after its arrival or after the loss of the one before",
    labels: ["after"],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300],
  },

  callweave_commands_total: {
    type: "counter",
    help: "Finished commands; result is OK or the reason of the error",
    labels: ["verb", "result"],
  },
  callweave_escalations_total: { type: "counter", help: "Finished escalations", labels: ["outcome"] },
  callweave_escalation_contexts_total: {
    type: "counter",
    help: "Finished escalations by where their context was safe; NONE: nowhere",
    labels: ["durability"],
  },
  callweave_contexts_written_total: {
    type: "counter",
    help: "Writes of contexts of live calls, by where they were safe",
    labels: ["durability"],
  },
  callweave_media_changes_total: {
    type: "counter",
    help: "Media connections that were lost or came back, and errors that the provider reported",
    labels: ["change"],
  },
  callweave_takeovers_total: { type: "counter", help: "Calls of a dead gateway that this one took over" },

  callweave_pool_sessions: { type: "gauge", help: "Agent sessions with a stream", labels: ["pool"] },
  callweave_pool_places: { type: "gauge", help: "Places of the agents that take offers", labels: ["pool"] },
  callweave_pool_places_free: { type: "gauge", help: "Of these, the free ones", labels: ["pool"] },
  callweave_pool_waiting: { type: "gauge", help: "Calls that look for an agent", labels: ["pool"] },
  callweave_items_refused_total: {
    type: "counter",
    help: "Items of agents that were refused, by reason; PLAYBACK_FULL is audio that came too fast",
    labels: ["reason"],
  },

  callweave_connector_ready: {
    type: "gauge",
    help: "1 while signed in at the provider",
    labels: ["connector"],
  },
  callweave_connector_events_total: {
    type: "counter",
    help: "What the adapter of the provider counts, such as sign_ins, connect_failures, claims_lost, bad_frames, send_stalls",
    labels: ["connector", "event"],
  },

  callweave_grpc_connections: { type: "gauge", help: "Connections of clients" },
  callweave_grpc_serve_streams: { type: "gauge", help: "Serve streams of agents" },
  callweave_grpc_messages_in_total: { type: "counter", help: "Messages that came on Serve streams" },
  callweave_grpc_items_in_total: { type: "counter", help: "Items in them" },
  callweave_grpc_items_unknown_total: {
    type: "counter",
    help: "Items of kinds that this version does not know",
  },
  callweave_grpc_items_refused_total: { type: "counter", help: "Items that a rule of the wire refused" },
  callweave_grpc_malformed_total: { type: "counter", help: "Requests that were no message of the contract" },
  callweave_grpc_queue_full_total: {
    type: "counter",
    help: "Streams ended because their reader left too much waiting",
  },
  callweave_audio_dropped_seconds_total: { type: "counter", help: "Audio dropped for slow receivers" },

  callweave_desk_connections: { type: "gauge", help: "Browsers that are connected" },
  callweave_desk_frames_total: { type: "counter", help: "Frames that came from browsers" },
  callweave_desk_malformed_total: { type: "counter", help: "Frames that broke a rule of the browser wire" },
  callweave_desk_slowed_total: {
    type: "counter",
    help: "Times that a browser sent too fast and was read later",
  },
  callweave_desk_too_slow_total: {
    type: "counter",
    help: "Connections closed because the browser did not read",
  },
  callweave_desk_refused_total: {
    type: "counter",
    help: "Browsers that were not let in: no key, wrong origin, used ticket",
  },

  callweave_events_total: {
    type: "counter",
    help: "Events of calls by whether the store had them when they were told",
    labels: ["durable"],
  },
  callweave_event_store_up: { type: "gauge", help: "1 while events can be stored", needs: "eventStore" },
  callweave_events_pending: {
    type: "gauge",
    help: "Events that wait for the acknowledgement of the store",
    needs: "eventStore",
  },
  callweave_events_lost_total: {
    type: "counter",
    help: "Events told that no store will ever have, found here: own ones, and EVENTS_LOST of dead gateways",
  },

  callweave_context_store_up: {
    type: "gauge",
    help: "1 while contexts can be stored",
    needs: "contextStore",
  },
  callweave_spool_entries: {
    type: "gauge",
    help: "Writes of contexts that wait for the store; spool is local or replicated",
    labels: ["spool"],
    needs: "spool",
  },
  callweave_spool_bytes: { type: "gauge", help: "Their size", labels: ["spool"], needs: "spool" },
  callweave_spool_max_bytes: { type: "gauge", help: "Room of the spool", labels: ["spool"], needs: "spool" },
  callweave_spool_full: {
    type: "gauge",
    help: "1 while writes are refused for want of room; those of replicated go to local then",
    labels: ["spool"],
    needs: "spool",
  },
  callweave_spool_oldest_seconds: {
    type: "gauge",
    help: "Age of the oldest entry",
    labels: ["spool"],
    needs: "spool",
  },
  callweave_spool_replayed_total: {
    type: "counter",
    help: "Writes that came to the store from a spool",
    needs: "contextStore",
  },
  callweave_spool_refused: {
    type: "gauge",
    help: "Contexts that the store does not take and that stay in a spool",
    needs: "contextStore",
  },
  callweave_context_conflicts_total: {
    type: "counter",
    help: "Fields that lost against another write when they were replayed",
    needs: "contextStore",
  },

  callweave_bus_connected: { type: "gauge", help: "1 while connected to NATS", needs: "bus" },
  callweave_bus_reconnects_total: { type: "counter", help: "Connections that were made again", needs: "bus" },
  callweave_bus_dropped_total: {
    type: "counter",
    help: "Messages that were not published or dropped before their handler",
    needs: "bus",
  },
  callweave_gateways: { type: "gauge", help: "Live gateways, this one included", needs: "cluster" },
  callweave_calls_fenced_total: {
    type: "counter",
    help: "Calls given up because another gateway had become their owner",
    needs: "cluster",
  },

  callweave_webhook_deliveries_total: {
    type: "counter",
    help: "Webhooks by result: delivered, failed (an attempt; it is repeated), dead (given up), gone (the event log no longer had it)",
    labels: ["webhook", "result"],
    needs: "webhooks",
  },
  callweave_webhook_delivering: {
    type: "gauge",
    help: "1 while it is this gateway that delivers the webhook",
    labels: ["webhook"],
    needs: "webhooks",
  },
  callweave_webhook_waiting: {
    type: "gauge",
    help: "Events read and not delivered",
    labels: ["webhook"],
    needs: "webhooks",
  },
  callweave_webhook_oldest_seconds: {
    type: "gauge",
    help: "Age of the oldest of them",
    labels: ["webhook"],
    needs: "webhooks",
  },
  callweave_webhook_dead_letters: {
    type: "gauge",
    help: "Deliveries given up that are kept here and can be sent again",
    labels: ["webhook"],
    needs: "webhooks",
  },

  callweave_event_loop_delay_seconds: {
    type: "gauge",
    help: "How late the event loop was in the last 5 s; quantile 0.5, 0.99 and 1",
    labels: ["quantile"],
  },
  callweave_event_loop_utilization: {
    type: "gauge",
    help: "Share of the last 5 s in which the event loop worked, 0 to 1",
  },
  callweave_certificate_expire_time_seconds: {
    type: "gauge",
    help: "When the certificate of a port, the authority of its clients, or what is shown to NATS and to connectors ends, Unix time; without TLS there is none",
    labels: ["use"],
  },
  nodejs_gc_duration_seconds: {
    type: "histogram",
    help: "Pauses of the garbage collector; a frame of audio is 0.02 long",
    labels: ["kind"],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1],
  },
  nodejs_heap_size_used_bytes: { type: "gauge", help: "JavaScript heap in use" },
  nodejs_external_memory_bytes: { type: "gauge", help: "Memory of buffers outside of the heap" },
  process_resident_memory_bytes: { type: "gauge", help: "Memory of the process (RSS)" },
  process_cpu_seconds_total: { type: "counter", help: "Processor time, user and system" },
  nodejs_active_resources: {
    type: "gauge",
    help: "What keeps the event loop alive, by kind: sockets, timers, files",
    labels: ["kind"],
  },
  process_open_fds: { type: "gauge", help: "Open file descriptors (Linux)" },
  process_start_time_seconds: { type: "gauge", help: "When the process started, Unix time" },
} as const satisfies Record<string, MetricSpec>;

/** Name of a metric. */
export type MetricName = keyof typeof METRICS;
