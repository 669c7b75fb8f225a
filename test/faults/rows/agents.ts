import { type FaultRow, inFile, integration, unit } from "../fault-row.js";

/** Agents that die, hang, refuse or flood, and readers that are slow. */
export const AGENT_FAULTS: readonly FaultRow[] = [
  {
    number: 1,
    fault: "An agent's process is killed in mid-call",
    promise:
      "The seat is suspended at once and the caller hears hold audio; after `reattach_grace` another agent is offered the call with its context and attempt number. Late frames of the old one are refused by epoch.",
    injected: "SIGKILL of the process of an agent",
    tests: [
      ...integration("agent-loss", "killed: hold audio at once, then another agent with the record"),
      ...integration("client-python", "is killed, and another process goes on with what it wrote"),
    ],
    limit:
      "A lost power supply sends no reset: then it is found like a frozen agent. What the agent had in its own memory is gone.",
  },
  {
    number: 2,
    fault: "An agent hangs",
    promise:
      "Three missed heartbeats (3 × 500 ms) suspend the seat; then as for a killed one. When it thaws it is told, and what it says late is not heard.",
    injected: "SIGSTOP of the process of an agent, on gRPC and on NATS; SIGCONT later",
    tests: [
      ...integration(
        "agent-loss",
        "frozen: found by its heartbeat; when it thaws it is told, and its late audio is not heard",
      ),
      ...integration("nats-agents", "is found frozen, and another one gets the call"),
    ],
    limit:
      "A plain client that sends no heartbeats is found by the ping of HTTP/2 alone (10 s and 5 s). An agent that sends heartbeats but says nothing is not found: silence may be what it means.",
  },
  {
    number: 3,
    fault: "An agent's connection breaks and comes back",
    promise:
      "Within `reattach_grace` the same session has its seat again with the same epoch, no second offer, every event once, and what it missed of the audio is told as a gap. Later: `SEAT_TAKEN`.",
    injected: "connections cut by the proxy of the harness, new ones refused for a while",
    tests: [
      ...integration(
        "agent-loss",
        "and comes back in time: the same seat, no second offer, events without gap or repeat, the missing audio told",
        "and comes back too late: the seat is taken",
      ),
      ...integration(
        "client-typescript-loss",
        "brings the call back with its epoch; the caller hears every frame of what was being said",
      ),
    ],
    limit: "What the caller said meanwhile is not kept for the agent; it is told how much is missing.",
  },
  {
    number: 4,
    fault: "An agent refuses or ignores an offer",
    promise:
      "After a refusal, or `offer_timeout`, the next one by free places is asked; nobody twice in a round.",
    injected: "agents that decline, and agents that say nothing",
    tests: [
      ...integration("agent-loss", "by transfer to a pool and to one process, by release, by declining"),
      ...unit(
        "dispatch/dispatch",
        "asks the next agent after a refusal and after a time-out, nobody twice in a round",
      ),
    ],
    limit: "An agent that ignores every offer is asked again in the next round; nothing bans it.",
  },
  {
    number: 5,
    fault: "Two agents accept the same call",
    promise: "One compare-and-set on (call, epoch): exactly one is seated, the others are told.",
    injected: "races of acceptances, transfers and reattaches; two people who press at once",
    tests: [
      ...unit("dispatch/dispatch", "seats exactly one of many that race for an epoch"),
      ...inFile(
        "test/desk/seat.test.ts",
        "goes to one of two people who take it at once, and the other is told by whom",
      ),
    ],
    limit: "Across gateways the provider's claim decides, see 25.",
  },
  {
    number: 6,
    fault: "No agent is there",
    promise:
      "The route decides: `connect` (default), `queue`, `answer_and_hold`, `announce` or `leave`. The event `unserved` says so.",
    injected: "no agent connected, or only one that dies with the offer open",
    tests: [
      ...integration(
        "unserved",
        "connect, the default: the callee rings, unanswered by us, and the parties talk",
        "queue: the caller hears ringing until an agent comes",
        "answer_and_hold: hold audio without a long silence, until an agent comes",
        "announce: the announcement is heard to its last frame, then the call ends",
        "leave: nothing is claimed, and taken as soon as an agent is there for a later call",
      ),
      ...unit("dispatch/fallback", "lets the route decide when the only agent dies with the offer open"),
    ],
    limit: "There is no voicemail in the gateway; an agent can be one.",
  },
  {
    number: 11,
    fault: "An agent floods audio faster than it can be played",
    promise:
      "The ring of a call is bounded (30 s); an item that does not fit is refused whole with `PLAYBACK_FULL{refused, queued}`. The stream is read on: no other call of it waits.",
    injected: "an agent that writes minutes of audio at once",
    tests: [
      ...integration("refusals", "a full ring refuses the item whole"),
      ...integration(
        "provider-faults",
        "the agent that floods is refused item by item; another call of the same gateway is whole",
      ),
    ],
    limit:
      "The catalogue asks for back-pressure on the stream; the design refuses items instead, since one stream carries many calls.",
  },
  {
    number: 12,
    fault: "A slow reader of gRPC or of the browser's socket",
    promise:
      "A bounded queue for each receiver: the oldest audio is dropped and told by a gap, events never; with too many control items the stream ends with `STREAM_QUEUE_FULL` and can be resumed.",
    injected: "clients that do not read",
    tests: [
      ...integration(
        "grpc-serve",
        "gives a slow reader gaps, not the gateway's memory",
        "ends a stream that does not read its control items",
      ),
      ...unit(
        "desk/connection",
        "drops the oldest audio of a slow browser, tells it, and keeps every event",
        "closes a connection whose browser does not read at all, one byte beyond the limit",
      ),
    ],
    limit: "A watcher that is too slow for the store's retention has to list again (`CURSOR_EXPIRED`).",
  },
  {
    number: 31,
    fault: "Audio of an odd number of bytes",
    promise: "The odd byte is carried to the next frame of its handle or channel: samples never shift.",
    injected:
      "frames of odd length from the provider, items of odd length from an agent, every way to cut a stream",
    tests: [
      ...integration(
        "telcoflow-bad-input",
        "an odd frame keeps its last byte for the next, so that samples stay whole",
      ),
      ...unit("telephony/telcoflow/frames", "gives the same samples however the bytes were cut"),
      ...unit("audio/converter", "carries an odd byte to the next item"),
    ],
    limit: "After a clear, a gap or a new epoch the odd byte is forgotten.",
  },
  {
    number: 32,
    fault: "Empty, huge or late frames, a wrong sample rate",
    promise:
      "Empty ones change nothing, what is beyond a limit is refused by its rule, an unknown rate is refused at registration; the stream and the call go on.",
    injected: "such frames from the provider and from agents",
    tests: [
      ...integration(
        "refusals",
        "items that cannot be: refused one by one, the stream and the call go on",
        "first items that are no beginning, and registrations out of bounds, end their own stream alone",
        "a stale handle is told once, and its audio is not heard",
      ),
      ...integration("telcoflow-bad-input", "a huge request is cut, and the call goes on"),
      ...unit("telephony/telcoflow/frames", "ignores frames of 0 and 1 byte"),
    ],
    limit:
      "Audio that an agent sends at another rate than it registered cannot be told from speech: it sounds wrong.",
  },
];
