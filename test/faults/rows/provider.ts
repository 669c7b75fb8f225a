import { type FaultRow, faults, integration, unit } from "../fault-row.js";

/** The provider and its two sockets. */
export const PROVIDER_FAULTS: readonly FaultRow[] = [
  {
    number: 7,
    fault: "The provider's control connection drops",
    promise:
      "Media go on; it comes back with growing waits, for ever, claims its calls again and tells what it missed. `/readyz` says no meanwhile, `/healthz` yes.",
    injected: "the simulator closes or resets the socket, and stays away",
    tests: [
      ...integration(
        "provider-faults",
        "dropped in mid-call (%o): the talk goes on, and there is no second call",
      ),
      ...integration(
        "ops-serve",
        "are not ready while the provider is away, and ready again when it is back",
      ),
      ...integration(
        "telcoflow-reconnect",
        "tells the end of a call that was missed, and does not end one whose media is up",
      ),
    ],
    limit: "Calls that begin meanwhile are the provider's to keep; those it tells of afterwards are taken.",
  },
  {
    number: 8,
    fault: "The control connection flaps",
    promise:
      "The waits go on growing until a connection has held for 30 s; one line in the log for a series of failures.",
    injected: "the simulator drops each new connection at once",
    tests: [
      ...faults(
        "provider-away",
        "a control connection that flaps: the waits grow, one warning, the talk goes on",
      ),
      ...unit("telephony/telcoflow/backoff", "goes on growing while connections drop before 30 s"),
    ],
    limit: "The waits are those of one gateway; several are only kept apart by chance.",
  },
  {
    number: 9,
    fault: "The media connection drops while the call is up",
    promise:
      "Opened once more; if that fails, the agent and watchers are told and the call ends by the rule (at most `media_give_up_ms`).",
    injected: "the simulator resets or closes the media socket",
    tests: [
      ...integration(
        "provider-faults",
        "dropped by accident: opened again, the talk goes on, and watchers are told",
        "closed by the provider for good: told at once, ended by the rule, the agent is told",
      ),
    ],
    limit: "What was said on either side while it was away is lost and told as a gap.",
  },
  {
    number: 10,
    fault: "The provider stops pulling audio",
    promise:
      "Nothing is sent without credit; the ring of the call fills and then refuses items (`PLAYBACK_FULL`), counted and told. Memory is bounded, other calls are whole.",
    injected: "the simulator grants no more credit on one call",
    tests: [
      ...integration(
        "provider-faults",
        "the agent that floods is refused item by item; another call of the same gateway is whole",
      ),
      ...integration("telcoflow-adapter", "holds audio while the provider asks for none"),
    ],
    limit:
      "The catalogue drops the oldest speech; the design refuses the newest, so that an agent knows what was not heard.",
  },
  {
    number: 29,
    fault: "Malformed JSON, unknown events, wrong types from the provider",
    promise:
      "Counted, logged once with secrets taken out, ignored; too many in a minute on the control connection close it with 1008. Nothing throws.",
    injected: "such frames on both sockets; random bytes",
    tests: [
      ...integration("provider-faults", "on either socket, while two calls run: both go on, without a hole"),
      ...integration(
        "telcoflow-bad-input",
        "any number of bad frames is only counted",
        "random bytes and text never hurt",
        "more than 100 bad frames in a minute end the connection with 1008; calls go on",
        "nothing threw, and no secret is in the log",
      ),
    ],
    limit: "A frame that is well formed and wrong is believed.",
  },
  {
    number: 33,
    fault: "A command in the wrong state",
    promise:
      "`FAILED_PRECONDITION` with the state, the verb and what is allowed; the provider is sent nothing. One table of state × verb.",
    injected: "every verb before the answer and after the end; random sequences against a model",
    tests: [
      ...integration("refusals", "verbs in the wrong state: the state, the verb and what is allowed"),
      ...unit("call/parts", "names state, verb and what is allowed"),
    ],
    limit: "The provider may still refuse what the table allows; its code is passed on.",
  },
  {
    number: 34,
    fault: "A command is repeated",
    promise:
      "The same request id and body: the first result, one effect. Another body: `ALREADY_EXISTS`. Remembered for the life of the call, over a takeover too.",
    injected: "the same request sent again, at once and later, and with another body",
    tests: [
      ...integration(
        "refusals",
        "a repeated request id: one effect with the same body, ALREADY_EXISTS with another",
      ),
      ...unit(
        "call/restore",
        "answers a repeated request id with the first result, and refuses another body under it",
      ),
    ],
    limit: "Of the finished commands of a call the newest are remembered, up to a bound.",
  },
  {
    number: 35,
    fault: "The provider answers a command late or never",
    promise: "`OUTCOME_UNKNOWN` after the deadline; later news settle it. A connect is never sent twice.",
    injected: "the simulator swallows answers",
    tests: [
      ...integration(
        "provider-faults",
        "to connect: the outcome is unknown, and it was asked once",
        "to the connect of an escalation: UNKNOWN, and the record says so",
      ),
    ],
    limit: "Whether the callee's phone rang is not known then, and is said so.",
  },
  {
    number: 36,
    fault: "Events of the provider twice or in another order",
    promise: "States go forward only, the end absorbs everything: each call once, each end once.",
    injected: "the simulator duplicates, reorders and delays events",
    tests: [
      ...integration(
        "provider-faults",
        "sends events twice and in another order: each call is there once",
        "sends its end late, twice, and after an error: one end, told once",
      ),
    ],
    limit: "None known.",
  },
  {
    number: 37,
    fault: "The caller hangs up in the middle of a handover",
    promise:
      "All that is pending ends, the agent is told, the context is kept as ABANDONED so that somebody can call back.",
    injected: "the caller hangs up while it rings",
    tests: [
      ...integration("escalation", "keeps the record of a caller who left while it rang"),
      ...integration("telcoflow-adapter", "tells of a caller who hangs up before the claim"),
    ],
    limit: "Ringing that has begun cannot be cancelled at the provider; see docs/limits.md.",
  },
  {
    number: 38,
    fault: "The human does not pick up, or is a voicemail",
    promise: "The caller is with the agent again, with reason and record; nothing is dropped.",
    injected: "callees that never pick up, and voicemails, in the simulator",
    tests: [
      ...integration(
        "escalation",
        "gives the caller back to the agent when nobody picks up",
        "comes back from a voicemail that does not confirm",
        "answers an unanswered ConnectCall with the call alive",
      ),
    ],
    limit: "Without `confirm` a voicemail counts as a person.",
  },
  {
    number: 51,
    fault: "A name does not resolve, a certificate has expired or was replaced",
    promise:
      "Connections that are open go on; new ones wait and try again, and no key is sent to who is not trusted. Certificates and keys of the gateway are read anew on change and on SIGHUP, those too that it shows to NATS and to the provider.",
    injected:
      "the resolver of the process fails for a while; an expired certificate; files replaced under a running gateway",
    tests: [
      ...faults(
        "provider-away",
        "a name that does not resolve: the talk goes on, and it signs in when the name is back",
        "a certificate that has expired: no sign-in, no key sent, and the reason is in the log",
      ),
      ...integration(
        "telcoflow-tls",
        "takes up another certificate: what is open goes on, control and REST show the new one next",
        "sends no key to a server that it does not trust",
      ),
      ...integration(
        "own-credentials",
        "is read anew without a restart: the connection stays, the next one shows the new certificate",
        "is read anew when files change: sign-ins stay, the next ones show it; half a change is none",
      ),
      ...integration("credentials", "of the server are replaced under open connections"),
      ...integration("credentials-taken-away", "is replaced under open connections, and its end is told"),
      ...unit("auth/reload-on-change", "keeps what there is when it cannot be read, and goes on when it can"),
    ],
    limit:
      "When the gateway's own certificates end, those of the ports and those that it shows to NATS and to the provider, is a metric (`callweave_certificate_expire_time_seconds`); those of the provider and of NATS are not in it.",
  },
  {
    number: 52,
    fault: "The provider limits our rate",
    promise:
      "HTTP 429 is waited out as long as Retry-After says (at most 60 s), a close with 1013 with growing waits; calls that are up go on.",
    injected: "the simulator answers 429, and closes with 1013",
    tests: [
      ...faults(
        "provider-away",
        "told to come back later (1013, then 429): it waits as asked, and the talk goes on",
      ),
      ...integration("telcoflow-reconnect", "is refused with 429 for a while and comes back"),
      ...unit("telephony/telcoflow/control-connection", "waits as long as the provider asks"),
    ],
    limit: "There is no bucket of our own in front of the provider's limit.",
  },
];
