import { type FaultRow, faults, inFile, integration, unit } from "../fault-row.js";

/** The gateway's own process: its end, its clock, its disk, its load. */
export const GATEWAY_FAULTS: readonly FaultRow[] = [
  {
    number: 23,
    fault: "The gateway is told to end (SIGTERM)",
    promise:
      "Not serving, no claims, `GoAway` to agents, calls go on and may end (`drain.max_wait_seconds`), those without an agent are offered to agents of other gateways, stores flushed, exit 0. A second signal ends it at once, without ending calls at the provider.",
    injected: "SIGTERM to the process, once and twice",
    tests: [
      ...integration(
        "serve",
        "at SIGTERM takes nothing new, tells its agents, lets calls end, and exits 0",
        "at a second SIGTERM ends at once, without ending the call at the provider",
      ),
      ...integration("ops-serve", "are not ready while draining, and answer until the last call is over"),
      ...integration(
        "several-gateways",
        "a gateway that is told to end lets its calls end, and the other takes the new ones",
        "calls that wait at a gateway that is told to end get the agent that moves to another one",
        "calls that arrive in the moment in which a gateway is told to end are answered by agents",
      ),
      ...unit(
        "dispatch/dispatch",
        "tells an agent how far its audio has been played also while the gateway goes away",
      ),
      ...unit(
        "cluster/drain",
        "offers a call whose claim was on its way to an agent of another gateway, and waits for that claim",
        "takes back what it offered its own agent and offers it to the other, and to no second one of its own",
        "keeps calls waiting for busy agents of other gateways, and rings the callee when the last one is gone",
        "waits for agents to come by another gateway",
        "waits so long for them and no longer",
        "does not wait for them where every other gateway goes away too",
        "takes no agents at all once it has stopped",
      ),
    ],
    limit: "What is left when the time is over is closed here without a command; the provider decides.",
  },
  {
    number: 24,
    fault: "The gateway is killed",
    promise:
      "Another one, or the same started again, takes its calls over once the lease (2 s) has run out: same call, same agent, a new epoch. What it had begun is `OUTCOME_UNKNOWN` and is not done again.",
    injected: "SIGKILL of a gateway, with each answer that the provider may give",
    tests: [
      ...integration(
        "gateway-death",
        ": another takes the call over and the same agent goes on talking",
        "a command that it had begun is OUTCOME_UNKNOWN, and is not carried out again",
        "end_call: the call is over, and its end is recorded by another gateway",
        "alone, with its embedded store, and started again: it goes on with the call and the same agent",
      ),
      ...unit("events/event-log-crash", "has every event that it said is safe after the process was killed"),
    ],
    limit: "Assumption A1: what the real provider does with such a call is not verified.",
  },
  {
    number: 25,
    fault: "Two gateways on one session of the provider",
    promise:
      "The provider's claim is the fence of a call; who lost it closes its sockets without a command. Its events are refused by the log.",
    injected: "two gateways on one connector; one cut off while another takes its call",
    tests: [
      ...integration("unserved", "two gateways on one connector: each call has one owner, and one agent"),
      ...integration("jetstream-events", "fences a gateway whose call another has"),
      ...integration(
        "telcoflow-adapter",
        "lets exactly one of two gateways win, the one with the shorter delay",
      ),
      ...unit(
        "cluster/cluster",
        "a gateway that was cut off fences itself from calls that another one took meanwhile",
      ),
    ],
    limit: "While NATS is away a gateway carries on with its calls, whatever its lease says.",
  },
  {
    number: 48,
    fault: "The clock jumps",
    promise:
      "Durations come from a monotonic clock: no offer, grace, heartbeat or deadline notices. The wall clock is for stamps; tokens have 30 s of leeway.",
    injected:
      "the wall clock of a process with gateway, agent and provider moved by an hour, forwards and backwards",
    tests: [
      ...faults("clock", "an hour forwards and two back, in the middle of calls: nobody notices"),
      ...unit("auth/tokens", "may be off by the leeway and no more"),
    ],
    limit:
      "A token is judged by the wall clock; a clock that is an hour off refuses good ones. Retention goes by the wall clock too.",
  },
  {
    number: 49,
    fault: "The gateway's event loop stands still",
    promise:
      "No agent is thrown out for the gateway's own stall, audio comes late and whole, the delay is in the metrics and `/readyz` says degraded.",
    injected: "the process frozen for a second by SIGSTOP; a busy loop",
    tests: [
      ...faults("stall-and-burst", "a gateway that stood still for a second: no seat lost, no frame missing"),
      ...unit("dispatch/fallback", "does not take its own stall for a frozen agent"),
      ...unit("ops/ops", "sees a loop that was held up"),
    ],
    limit:
      "Longer than the lease (2 s) it may be taken for dead by others. What the provider drops of its play-out meanwhile is not ours to keep.",
  },
  {
    number: 50,
    fault: "The disk is full",
    promise:
      "Calls go on; events are told without `durable` and no cursor, writes of contexts are refused by name, the log says why; it stores again once there is room.",
    injected: "the state folder on a tmpfs of a few megabytes that is filled up",
    tests: [
      ...faults(
        "disk-full",
        "calls go on, what cannot be stored is said so, and it stores again when there is room",
      ),
      ...unit("audit/audit-log", "keeps what cannot be written until it can"),
    ],
    limit: "Events told while the disk was full are not stored afterwards beyond the bound of what waits.",
  },
  {
    number: 53,
    fault: "An agent or a gateway of another version",
    promise:
      "Unknown items and fields are ignored and counted; stored events keep what a later version added. `buf breaking` holds the contract against the last release.",
    injected: "items and events of kinds that this version does not know",
    tests: [
      ...integration("grpc-serve", "refuses single items and disturbs nothing else"),
      ...unit("events/event-codec", "keeps what a later version adds and types it does not know"),
      ...inFile(
        "clients/typescript/src/errors.test.ts",
        "keeps the name of a reason that is newer than the library",
      ),
    ],
    limit:
      "There is no handshake of versions and no lowest version; clients of earlier releases are not run in CI.",
  },
  {
    number: 54,
    fault: "An unexpected error in the handling of one call",
    promise:
      "That call ends here (`mediaChanged` with `INTERNAL_ERROR`, then `MEDIA_LOST`; the agent is told, the provider decides), the process and every other call go on. Five in a minute that belong to no call: it drains and exits 1.",
    injected:
      "a handler of the core that throws on one call's audio; a hook of the installation that throws and rejects where nobody catches",
    tests: [
      ...faults(
        "mistakes",
        "a handler that throws ends its own call; the other ones go on",
        "errors that nobody catches: the process and its calls live on; too many end it in order",
      ),
      ...unit(
        "telephony/telcoflow/media-connection",
        "survives handlers that throw, and keeps tokens and numbers out of the log",
      ),
      ...integration("client-python", "gives its call back; the process and its other calls live on"),
    ],
    limit: "An endless loop in a hook stops the process; a probe of `/healthz` has to end it.",
  },
  {
    number: 55,
    fault: "More calls than the gateway may have, or can bear",
    promise:
      "Beyond `gateway.limits.max_calls`, claims under way included, nothing is claimed: early, without answering. While the event loop is late (`shed_above_ms`) new calls are left to the provider. Calls that are up lose nothing.",
    injected: "calls at three times the limit, one by one and at once; a busy loop in the gateway",
    tests: [
      ...faults(
        "stall-and-burst",
        "many calls at once: those beyond the limit are left alone, new ones are taken when there is room",
      ),
      ...integration(
        "overload",
        "three times as many calls as the gateway takes: the others are left, those that are up lose nothing",
        "a late event loop: new calls are left until it is quick again, those that are up go on",
      ),
      ...unit("ops/admission", "closes at the edge: after two windows of 250 ms, not of 249"),
    ],
    limit:
      "What a call costs in CPU is not foreseen: `max_calls` is to be set from a measurement on the machine.",
  },
];
