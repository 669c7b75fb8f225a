import { type FaultRow, integration, unit } from "../fault-row.js";

/** NATS and MongoDB. */
export const STORE_FAULTS: readonly FaultRow[] = [
  {
    number: 13,
    fault: "A subscriber on NATS stands still",
    promise: "The gateway publishes without waiting for readers: no call notices.",
    injected: "SIGSTOP of a process that subscribes to everything",
    tests: integration("nats-contexts", "holds up no call"),
    limit:
      "What the server drops for such a subscriber it gets from the stream or by `WatchCalls`, not again on its subject.",
  },
  {
    number: 14,
    fault: "The NATS server restarts",
    promise:
      "Calls and gRPC go on; events wait in a bounded outbox and are stored in order, told once; subscriptions, streams and buckets are there again.",
    injected: "SIGKILL and start of nats-server; the leader of three killed",
    tests: [
      ...integration(
        "bus",
        "lives over a restart: subscriptions, services, streams, buckets; nothing old is sent",
      ),
      ...integration(
        "jetstream-events",
        "keeps 1,000 events of 20 calls over restarts: no gap, no repeat, in order, for every watcher",
      ),
      ...integration("nats-agents", "keeps its call over a restart of the server"),
      ...integration(
        "nats-three-servers",
        "lose the leader of the event log: calls go on, and no event is missing or told twice",
      ),
    ],
    limit:
      "Beyond the outbox's bound events are dropped, counted and said so; what only a dead gateway's outbox held is told as `EVENTS_LOST`.",
  },
  {
    number: 15,
    fault: "NATS is there and does not answer",
    promise: "Seen by its ping; then as away: events wait, requests fail at once, calls go on.",
    injected: "SIGSTOP of nats-server",
    tests: [
      ...integration(
        "bus",
        "sees a frozen server, buffers no more than it may, and is back when the server is",
      ),
      ...integration("jetstream-events", "carries on without the store when it is frozen"),
      ...integration("nats-agents", "keeps its call while the server stands still for a while"),
      ...integration(
        "several-gateways",
        "an outage of NATS ends no call; what was told meanwhile is in the store afterwards, once",
      ),
    ],
    limit: "Until the ping has failed, requests wait for their own time-out.",
  },
  {
    number: 16,
    fault: "NATS refuses credentials or a subject",
    promise:
      "Told once, as an error of configuration, without the secret; calls are served all the same, and it goes on trying.",
    injected: "wrong passwords, and users without permission, on a real server",
    tests: [
      ...integration(
        "nats-credentials",
        "says so once, without the secret, and serves its calls all the same",
      ),
      ...integration(
        "bus",
        "tells wrong credentials once, as permanent, without the secret, and goes on trying",
        "tells what it may not do",
      ),
      ...integration("nats-permissions", "are a configuration that the server takes as it is"),
    ],
    limit:
      "Credentials that expire under a connection end it at the server's next check; there is no warning before.",
  },
  {
    number: 17,
    fault: "NATS throws the gateway out as a slow consumer",
    promise:
      "It connects again, subscribes again, goes on from the store; calls go on, requests are answered.",
    injected:
      "not the expulsion itself, which to the gateway is a connection that the server closes: the server killed, and frozen until its ping fails",
    tests: [
      ...integration(
        "bus",
        "lives over a restart: subscriptions, services, streams, buckets; nothing old is sent",
        "sees a frozen server, buffers no more than it may, and is back when the server is",
      ),
      ...integration("nats-agents", "reattaches after a hole without losing the call"),
    ],
    limit:
      "A flood that makes a real server close the gateway's connection is not made. What was published to it while it was away is lost: requests fail at their sender, frames of agents are a hole and end in a reattach.",
  },
  {
    number: 18,
    fault: "MongoDB's primary steps down",
    promise:
      "The write waits where it is safe (NATS or the local disk) and is replayed; writes are idempotent. Never on the audio's path.",
    injected:
      "a server that answers NotWritablePrimary, ShutdownInProgress and WriteConcernFailed, or whose answers are lost",
    tests: integration(
      "mongo-outage",
      "%s: the write waits",
      "lost answers of writes that were done make no conflict",
    ),
    limit: "An election itself is not made to happen: the errors of one are.",
  },
  {
    number: 19,
    fault: "MongoDB is down, and the gateway dies meanwhile",
    promise:
      "What was acknowledged is in the spool (fsync) or on NATS, survives the gateway and arrives once, in order.",
    injected: "the server stopped, the gateway killed, NATS stopped too, both started again; a bad line",
    tests: [
      ...integration(
        "mongo-outage",
        "escalate at A, read at B, A dies, read at B; MongoDB is back: it is there, once",
        "NATS away too: on the disk of A, then on NATS, then in MongoDB",
        "a gateway that is killed while it spools loses nothing that it acknowledged",
        "nothing is lost or doubled while connections are cut, refused, silent and slow",
      ),
      ...unit(
        "context/failover-context-store",
        "are refused when all is full, loudly, and taken again after",
      ),
    ],
    limit: "Minutes stand for the hour; the spool is bounded and refuses when full.",
  },
  {
    number: 20,
    fault: "MongoDB acknowledges a write and rolls it back",
    promise: "Contexts are written with `w: majority` and the journal and read with `readConcern: majority`.",
    injected:
      "not a rollback itself, which needs a partitioned replica set: a majority that does not come in time (WriteConcernFailed)",
    tests: integration("mongo-outage", "%s: the write waits"),
    limit: "With one member of a replica set a majority is that member.",
  },
  {
    number: 21,
    fault: "Two write the same context",
    promise:
      "A repeated write of the same content is success; otherwise one wins by `revision` and the other is told, or kept in `conflicts[]` at a replay.",
    injected: "two writers at once, answers lost after the write",
    tests: [
      ...integration(
        "mongo-contexts",
        "takes a write that was applied and sent again for done, and no other one",
        "lets one of two writers win each time",
      ),
      ...unit(
        "context/failover-context-store",
        "that two wrote apart keep the words of both, and watchers are told",
      ),
    ],
    limit: "None known.",
  },
  {
    number: 22,
    fault: "A context too large for its store",
    promise:
      "Bounds on turns, data and bytes, refused by name before any store is asked; long ones are sent with fewer turns.",
    injected: "contexts of many megabytes",
    tests: [
      ...integration("mongo-contexts", "refuses a context that is too large, and says so"),
      ...integration("nats-services", "sends a context that no message can hold with fewer turns"),
    ],
    limit: "Turns are not chunked into a collection of their own: a context has a bound instead.",
  },
];
