/** What each key of the configuration means. A key without a text, or a text without a key, fails `scripts/docs.ts`. */
export const CONFIG_TEXTS: Readonly<Record<string, string>> = {
  "gateway.id":
    "Name of this gateway in calls and events. None: the host's name with a random end, made at each start.",
  "gateway.grpc.host": "Address to listen on. Anything but a loopback address needs `keys`.",
  "gateway.grpc.port": "Port to listen on; 0: any free one.",
  "gateway.grpc.keys[].name":
    "Who has the key; in events and notes as `client:<name>`. 1 to 64 of `A-Z a-z 0-9 . _ -`, as all names here.",
  "gateway.grpc.keys[].tenant": "Whose calls and contexts its holder sees.",
  "gateway.grpc.keys[].key":
    "The key: at least 16 characters, no spaces. Exactly one of `key`, `key_file`, `key_sha256`.",
  "gateway.grpc.keys[].key_file": "A file that holds the key.",
  "gateway.grpc.keys[].key_sha256":
    "SHA-256 of the key, 64 hexadecimal digits, so that the file holds no secret.",
  "gateway.grpc.keys[].role":
    "What its holder may do: [a predefined role](security.md#roles). Neither role nor scopes: everything in the tenant, as `admin`.",
  "gateway.grpc.keys[].scopes":
    "Single [scopes](security.md#scopes), also beside a role: `listen`, or narrowed `listen@pool=sales|support@connector=main`.",
  "gateway.grpc.keys[].pools": "Narrow role and scopes to these pools. Empty: all.",
  "gateway.grpc.keys[].connectors": "Narrow role and scopes to these connectors. Empty: all.",
  "gateway.grpc.tls.cert_file": "PEM. Without `tls` the port speaks plain text.",
  "gateway.grpc.tls.key_file": "PEM.",
  "gateway.grpc.tls.client_ca_file":
    "PEM. With it, clients must show a certificate that this authority signed; keys are asked for all the same.",
  "gateway.grpc.reflection": "gRPC reflection, behind the same keys.",
  "gateway.grpc.receive_window_bytes":
    "What an agent may have under way to the gateway, per stream and per connection: 1 MiB carries 218 calls at 24 kHz and 100 ms of round trip.",
  "gateway.grpc.max_receive_bytes":
    "Longest message taken; a longer one ends its RPC with RESOURCE_EXHAUSTED.",
  "gateway.grpc.max_connections": "Connections at a time; further ones are closed at once.",
  "gateway.grpc.max_concurrent_streams": "RPCs at a time on one connection; further ones wait at the client.",
  "gateway.grpc.keepalive_time_ms": "A connection that was silent for so long is pinged.",
  "gateway.grpc.keepalive_timeout_ms": "Not answered in this time: the connection is dropped.",
  "gateway.grpc.max_listen_ms":
    "Audio that waits for a slow listener of `ListenCall`; beyond it the oldest is dropped and told.",
  "gateway.grpc.listen_bundle_ms":
    "How long audio of a listener waits for more, to go out in one message: messages are what a listener costs. 0: not at all. At most half of `max_listen_ms` counts.",
  "gateway.grpc.watch_bundle_bytes":
    "What is taken for a watcher (`WatchCalls`, `WatchContexts`) at a time, to go out in one write: writes are what a watcher costs. A message that is longer goes alone. A slow watcher costs the memory of twice as much.",
  "gateway.state_dir":
    "Folder of events and contexts; one gateway at a time. None: `callweave` in `XDG_STATE_HOME`, else in `~/.local/state` (Linux), `~/Library/Application Support` (macOS).",
  "gateway.limits.max_calls": "Live calls; beyond it nothing is claimed.",
  "gateway.limits.max_sessions": "Agent sessions in all; one more is refused with LIMIT_REACHED.",
  "gateway.limits.max_listeners_per_call":
    "`ListenCall` on one call; one more is refused with LIMIT_REACHED.",
  "gateway.limits.media_give_up_ms":
    "A call whose media connection is gone counts as over after so long without a sign of the provider (MEDIA_LOST).",
  "gateway.limits.shed_above_ms":
    "How late the event loop is (99th percentile of a second) from which on new calls are left to the provider, so that those that are up do not suffer. 0: never.",
  "gateway.limits.resume_below_ms":
    "Below this new calls are taken again. At most `shed_above_ms`, unless that is 0.",
  "gateway.limits.shed_windows":
    "So many seconds in a row before either happens; single stalls change nothing.",
  "auth.issuers[].issuer": "Whose signed tokens (JWT) are believed: the claim `iss`, exactly.",
  "auth.issuers[].audience": "The claim `aud` has to name this.",
  "auth.issuers[].jwks_url":
    "Where the public keys (JWKS) are: `https://`, on this machine also `http://`. Exactly one of `jwks_url` and `jwks_file`. While it is away the keys that are known go on; without any, tokens are refused.",
  "auth.issuers[].jwks_file": "A file with the public keys.",
  "auth.issuers[].algorithms": "Signatures that are taken; asymmetric ones alone can be named.",
  "auth.issuers[].tenants": "The tenants that the issuer may speak for; a token of any other is refused.",
  "auth.issuers[].tenant_claim": "The claim that names the tenant.",
  "auth.issuers[].role_claim": "The claim that names a role.",
  "auth.issuers[].scope_claim":
    "The claim with the scopes, a text with spaces or a list. `pools` and `connectors` narrow them.",
  "auth.issuers[].refresh_seconds": "How often the keys are loaded anew.",
  "auth.issuers[].cooldown_seconds":
    "An unknown `kid` makes them load at once, but not more often than this.",
  "auth.issuers[].timeout_ms": "How long loading may take.",
  "auth.certificates[].san":
    "A subject alternative name of client certificates: `URI:spiffe://example.org/agent/*` or `DNS:desk.example.org`; a star stands for one part. The first entry that matches holds; needs `gateway.grpc.tls.client_ca_file`.",
  "auth.certificates[].name": "Appears as `client:<name>`. None: the name that matched.",
  "auth.certificates[].tenant": "Whose calls and contexts its holder sees.",
  "auth.certificates[].role": "A role; this or `scopes` is needed.",
  "auth.certificates[].scopes": "Single scopes.",
  "auth.certificates[].pools": "Narrow role and scopes to these pools. Empty: all.",
  "auth.certificates[].connectors": "Narrow role and scopes to these connectors. Empty: all.",
  "auth.leeway_seconds": "How far clocks may differ when tokens are checked.",
  "auth.expiry_warning_seconds":
    "How long before its end an agent is told that its credential expires (`CredentialExpiring`).",
  "auth.watch_interval_ms":
    "How often the configuration file and the files of keys, key sets and certificates, those for NATS and the provider too, are looked at for changes; 0: never, SIGHUP alone.",
  "auth.without_keys":
    "Listens beyond loopback without any credential, when it says: `Everybody who reaches this port may hear, command and end every call.`",
  "audit.enabled": "Keeps the [audit log](security.md#audit-log) in `state_dir`.",
  "audit.retention_days": "Older files of the audit log are removed.",
  "audit.max_bytes": "Of all files of the audit log; beyond it the oldest are removed.",
  "audit.fsync":
    "`always`: written down means on the disk. `interval`: within `fsync_interval_ms`. `never`: when the system likes.",
  "audit.fsync_interval_ms": "With `fsync: interval`.",
  "audit.max_queued": "Entries that wait for the disk; further ones are lost, and how many is written down.",
  "audit.max_refused_per_minute":
    "Refused credentials that get an entry each; further ones of the minute are counted in one.",
  "audit.key_file":
    "32 bytes or more that key the chain of the log, and under what the keys of callers stand. None: a key is made in `state_dir/audit`. Lost, the log can no longer be verified. The same file at all gateways of a MongoDB.",
  "connectors[].name": "Name of the connection to the provider in calls, routes and logs.",
  "connectors[].tenant": "Whose calls these are.",
  "connectors[].kind": "The adapter; there is one: `telcoflow`.",
  "connectors[].base_url": "`ws://` or `wss://`. None: the provider's production address.",
  "connectors[].auth.api_key": "Together with `connector_uuid`; or else `cert_file` with `key_file`.",
  "connectors[].auth.api_key_file":
    "A file that holds the API key, instead of `api_key`; read anew when it changes, for the next sign-in.",
  "connectors[].auth.connector_uuid": "The connector at the provider.",
  "connectors[].auth.cert_file":
    "Client certificate, PEM (mutual TLS); read anew when it changes, for the next connections.",
  "connectors[].auth.key_file": "Its key, PEM; likewise.",
  "connectors[].auth.ca_file": "Authorities to trust, these alone, PEM; likewise. None: those of Node.js.",
  "connectors[].sample_rate_hz":
    "Rate of all calls of the connector. 16000 if your agent hears and speaks at 16 kHz: then nothing is converted.",
  "connectors[].audio_mode":
    "`isolated` has the provider send each leg alone while spying; this version uses the mix alone, so leave it at `mixed`.",
  "connectors[].call_flow.inbound_call":
    "Which calls the provider delivers; set there at each sign-in. `call_flow: leave_as_is` (the default) or no `call_flow` at all changes nothing there.",
  "connectors[].call_flow.outbound_call": "Likewise; this version takes inbound calls alone.",
  "connectors[].call_flow.inbound_message": "Likewise; this version handles no messages.",
  "connectors[].call_flow.outbound_message": "Likewise.",
  "connectors[].inbound": "`false`: signs in, but takes no inbound call.",
  "connectors[].only_callers":
    "Numbers in E.164. When there are any, calls from others, or with a withheld number, are left to the provider. Set it while you try a live number.",
  "connectors[].options":
    "Further options of the adapter in snake_case, with their defaults in `gateway/src/telephony/telcoflow/options.ts`; above all `media_hosts`: hosts that media may come from beside that of `base_url`.",
  "routes[].connector": "Only calls of this connector. None: of any.",
  "routes[].callee": "Numbers that were called: whole, a beginning (`+1555*`), `withheld`, `*`. None: any.",
  "routes[].caller": "Likewise the numbers that call.",
  "routes[].hours.timezone": "An IANA name (`Europe/Berlin`).",
  "routes[].hours.open":
    "`Mon-Fri 09:00-17:00`, `Sat,Sun 22:00-02:00`: over midnight when the end is earlier. At other times the next route is tried.",
  "routes[].pool": "Who is offered the call. The pool must be configured; `default` always is.",
  "routes[].tenant": "Whose call it becomes. None: the connector's tenant.",
  "routes[].locale": "A BCP 47 tag for the agent (`de-DE`).",
  "routes[].unserved":
    "Nobody of the pool is free: `connect` rings the original callee, `queue` lets the caller hear ringing until somebody is free, `answer_and_hold` answers and plays hold audio, `announce` plays a file and hangs up, `leave` does not take the call at all (taken because somebody was free, and then declined by all: as `connect`).",
  "routes[].ring_time_seconds":
    "With `connect`: how long the callee rings; not picked up, the call is ended.",
  "routes[].announcement": "With `announce`: a WAV file, 16-bit mono at 8, 16 or 24 kHz.",
  "pools[].name": "Name of the pool, as agents register for it.",
  "pools[].tenant": "Whose pool it is.",
  "pools[].offer_timeout_ms": "How long an agent may think about an offer.",
  "pools[].reattach_grace_ms": "How long a seat waits for its agent after a lost stream; 0: not at all.",
  "pools[].heartbeat_interval_ms": "How often agents that registered with `heartbeat` send one.",
  "pools[].heartbeat_misses": "So many missed: the agent counts as frozen, its streams are ended.",
  "pools[].on_agent_lost":
    "What a lost agent had queued: `cut` drops it at once, `finish` plays it to its end before hold audio.",
  "pools[].answer_on_queue":
    "With `unserved: queue`: answer calls that wait, so that they hear hold audio instead of ringing.",
  "pools[].hold.file": "Hold audio: a WAV file, 16-bit mono at 8, 16 or 24 kHz. None: a generated sound.",
  "pools[].max_reoffer_seconds":
    "A call that has had an agent, and lost it, rings its original callee after this long without another.",
  "pools[].max_queue_seconds": "A call that waited longer rings its original callee.",
  "pools[].reoffer_pause_ms": "Pause after every agent of the pool declined or let its offer expire.",
  "playback.max_seconds":
    "Agent audio that one call may queue; an item beyond it is refused whole (PLAYBACK_FULL).",
  "playback.drain_margin_ms": "Added to the playback clock before audio counts as drained.",
  "events.retention_days": "How long events are kept.",
  "events.max_bytes": "How much of them; beyond it the oldest go.",
  "contexts.retention_days": "How long a context is kept after its last write.",
  "contexts.default_country_code":
    '`"49"`: numbers in contexts that are written without a country are German. None: they stay as they are.',
  "contexts.redaction.cards":
    "Numbers of payment cards (13 to 19 digits, right check digit) become `[card number]` in all words of contexts.",
  "contexts.redaction.ibans": "Bank accounts (IBAN, right check digits) become `[bank account]`.",
  "contexts.redaction.emails": "E-mail addresses become `[e-mail]`.",
  "contexts.redaction.patterns[].name": "Names the pattern.",
  "contexts.redaction.patterns[].pattern":
    "A regular expression of JavaScript, with the flags `g` and `u`, at most 500 characters; it must not match an empty text. It runs on every text of every call: avoid nested repetitions.",
  "contexts.redaction.patterns[].mark": "Stands for what matched.",
  "contexts.redaction.hook_file":
    "An ES module whose default export is `(text: string) => string`: it sees each text last and answers the one to keep. Loaded at start. When it throws or answers no text, the text becomes `[redacted]`.",
  "contexts.mongodb.url":
    "Secret: `mongodb://…` or `mongodb+srv://…`. With it contexts are in MongoDB, without in `state_dir`; see [contexts.md](contexts.md).",
  "contexts.mongodb.database": "None: the one of the address, else `callweave`.",
  "contexts.mongodb.collection": "Made with its indexes when it is not there.",
  "contexts.mongodb.timeout_ms":
    "One step at the database; then it counts as away and what is written is spooled.",
  "contexts.mongodb.max_pool_size": "Connections to it at most.",
  "contexts.spool.max_local_bytes":
    "Contexts that wait for MongoDB in `state_dir`; beyond it saving is refused with CONTEXT_NOT_SAVED.",
  "contexts.spool.max_replicated_bytes":
    "Contexts that wait on NATS, readable at every gateway and kept in the memory of each; beyond it they wait in `state_dir`.",
  "contexts.spool.replicas": "Copies on NATS: 1, 3 or 5; 0: as `nats.replicas`.",
  "contexts.spool.bus_timeout_ms": "A write to NATS; one that takes longer goes to `state_dir`.",
  "contexts.spool.retry_interval_ms":
    "How often MongoDB is asked whether it is back; calls do not wait for it meanwhile.",
  "contexts.spool.recent_count": "Contexts in memory that stay readable while MongoDB is away.",
  "contexts.spool.recent_bytes": "Bytes of them, estimated.",
  "contexts.spool.recent_ms": "How long after they were read or written.",
  "ops.metrics": "Serves `/metrics`; false: health and readiness alone.",
  "ops.enabled":
    "`false`: no port for `/healthz`, `/readyz` and `/metrics` ([operations.md](operations.md)).",
  "ops.host":
    "Address of that port. It asks for no key; what it shows is no secret, but let only your monitoring reach it.",
  "ops.port":
    "0: any free one. None: 7071, or any free one when that is taken (the log says which). A port that is set and taken ends the start.",
  "ops.max_connections": "Connections at a time; further ones are closed at once.",
  "ops.tenant_labels":
    "Label the figures of pools with their tenant; otherwise pools of the same name are added up.",
  "desk.host":
    "Address of the page for people and of the wire for browsers; `desk: {}` opens it for this machine. Anything but a loopback address needs keys and `origins`.",
  "desk.port":
    "Port to listen on; 0: any free one. Unset: 7072, or any free one when that is taken; a port that is set and taken is an error.",
  "desk.origins":
    "Where pages may come from, as `https://desk.example.com`; their hosts are the only ones that the port answers to, beside loopback names. Needs keys.",
  "desk.tls.cert_file":
    "PEM. Without `tls` plain HTTP, where browsers give a microphone to loopback addresses alone.",
  "desk.tls.key_file": "PEM.",
  "desk.users[].name": "A person, as the key that the person signs in with.",
  "desk.users[].tenant": "Whose calls the person sees: the key's tenant.",
  "desk.users[].numbers":
    "Calls to these numbers (E.164) pop up at this person alone. A number that nobody has pops up at everybody of the pool.",
  "desk.users[].pools": "Pools whose calls the person is offered; in the first one the person takes seats.",
  "desk.embed.frame_ancestors":
    "Pages whose frames may hold a context card ([integrate.md](integrate.md#a-card-in-your-own-page)), as `https://crm.example.com` or `https://*.example.com`. None: no frames.",
  "desk.embed.link_ms": "How long the link of a card may be used, once.",
  "desk.embed.max_links": "Links not used yet; one more is refused with LIMIT_REACHED.",
  "desk.embed.session_ms": "How long a card goes on after its link was used.",
  "desk.embed.max_sessions": "Cards at a time; one more is refused with LIMIT_REACHED.",
  "desk.page_dir": "Folder of the built page. None: `desk/dist` of this project, built when it is not there.",
  "desk.ticket_ms": "How long a ticket for the WebSocket may be used, once.",
  "desk.max_tickets": "Tickets not used yet; one more is refused with LIMIT_REACHED.",
  "desk.max_refusals_per_minute": "Wrong keys from one address; then LIMIT_REACHED until the minute is over.",
  "desk.max_connections": "Browsers at a time; one more is refused with 503.",
  "desk.max_streams": "Streams of one browser at a time; one more ends with LIMIT_REACHED.",
  "desk.max_frame_bytes": "The largest frame of a browser; a larger one closes its connection (1009).",
  "desk.max_frames_per_second": "Frames of one browser; beyond it they are read later, nothing is lost.",
  "desk.max_buffered_bytes":
    "What may wait for a browser that does not read; beyond it the connection is closed (4008) and the page resumes by cursor.",
  "desk.listen_bundle_ms": "As `gateway.grpc.listen_bundle_ms`, for browsers.",
  "desk.max_listen_ms": "Audio that waits for a slow browser; beyond it the oldest is dropped and told.",
  "desk.ping_interval_ms":
    "How often a browser is asked for a sign of life; not answered until the next time: cut.",
  "webhooks[].name": "Names the webhook in logs, metrics and dead letters; unique in the tenant.",
  "webhooks[].tenant": "Whose calls.",
  "webhooks[].url":
    "Where events are posted to ([integrate.md](integrate.md)): `https://…`, or `http://…` of this machine, at a host in `webhooks_allowed_hosts`. Not shown in logs.",
  "webhooks[].secret": "Secret: signs each delivery; 24 characters at least. Either this or `secret_file`.",
  "webhooks[].secret_file": "A file that holds it.",
  "webhooks[].previous_secret": "Secret: signs as well, while receivers change from one secret to the other.",
  "webhooks[].previous_secret_file": "A file that holds it.",
  "webhooks[].events":
    "Which events, by the names of `CallEvent` in the contract: `arrived`, `context_written`, `escalation`, `ringing`, `ended` and so on. None: all.",
  "webhooks[].pools": "Calls of these pools alone. None: of all.",
  "webhooks[].include_context":
    "What of the call's context goes along, as it is when it is sent: nothing, all but what was said, or the turns as well.",
  "webhooks[].max_context_bytes": "Words in that context, about; the oldest turns are left out.",
  "webhooks[].timeout_ms": "One attempt, from the look-up of the name to the end of the answer.",
  "webhooks[].max_concurrent": "Attempts at a time; those of one call follow one another.",
  "webhooks[].max_waiting":
    "Events that wait in memory for a receiver that is away; beyond it they wait in the event log.",
  "webhooks[].first_retry_ms":
    "Pause after the first failure, doubled with each further one; half of it is random.",
  "webhooks[].max_retry_ms": "Longest pause; at least `first_retry_ms`.",
  "webhooks[].max_age_seconds":
    "An event of that age that fails once more becomes a dead letter. An answer of 3xx or 4xx (but 408, 409, 425, 429) makes it one at once.",
  "webhooks[].max_dead_letters": "Dead letters kept in `state_dir`; beyond it the oldest goes.",
  "webhooks[].lease_ms":
    "With several gateways one delivers; when it was silent for this long another goes on where it was.",
  webhooks_allowed_hosts:
    "Host names that webhooks may go to, as they are in their `url`, and addresses or ranges (`10.1.0.0/16`). A name that stands for a private or local address leads nowhere unless that address is listed as well; `localhost` may be this machine.",
  "cluster.beat_interval_ms": "How often a gateway shows the others that it lives.",
  "cluster.lease_ms":
    "A gateway that was silent for this long counts as dead, and its calls are taken over. At least twice `beat_interval_ms`. Nobody is declared dead while NATS is away.",
  "cluster.claim_rank_delay_ms":
    "A gateway claims a call this much later for each gateway before it in the order of free places.",
  "cluster.call_timeout_ms":
    "How long a question to the gateway of a call waits (a command: plus its `wait`); then `CALL_OWNER_AWAY`.",
  "cluster.list_timeout_ms":
    "How long a list waits for each gateway; then that one is named in `unreachable_gateways`.",
  "cluster.max_link_requests":
    "Questions of other gateways under way at a time; one more is refused with `LIMIT_REACHED`.",
  "cluster.takeover_first_pause_ms":
    "First pause between two looks for the calls of a dead gateway; doubled each time, with jitter.",
  "cluster.takeover_max_pause_ms": "The longest such pause.",
  "cluster.takeover_give_up_ms":
    "A call of a dead gateway that nobody could take over after this long, the provider being reachable, is recorded as ended (`MEDIA_LOST`).",
  "cluster.takeover_grace_ms":
    "How long an agent connected here keeps its place in a call of a dead gateway, until another gateway has taken the call over.",
  "cluster.listen_lease_ms": "A listener at another gateway that does not show up for this long is dropped.",
  "nats.urls":
    "`nats://host:port` or `tls://host:port`, one or a list of one cluster. None: no NATS at all, whatever else is set here.",
  "nats.credentials_file":
    "A `.creds` file (JWT and seed), read anew at each connection. At most one of this, `user` with `password`, `token`, `nkey_seed_file`.",
  "nats.user": "Together with `password`.",
  "nats.password": "Of `user`.",
  "nats.password_file": "A file that holds the password; read anew when it changes, for the next connection.",
  "nats.token": "The token of a server that asks for one.",
  "nats.token_file": "A file that holds the token; likewise.",
  "nats.nkey_seed_file": "A file that holds the seed of an nkey (`SU…`), read anew at each connection.",
  "nats.tls.ca_file":
    "PEM: who signed the server's certificate, for the name in `nats.urls`, not for an IP address. None: the authorities of the system. Read anew when it changes, for the next connection.",
  "nats.tls.cert_file": "Client certificate, PEM; read anew likewise.",
  "nats.tls.key_file": "Its key, PEM; likewise.",
  "nats.ping_interval_ms":
    "How often the server is asked for a sign of life; two missed: the connection is given up and made anew.",
  "nats.replicas": "Copies of each stream and bucket: 1, 3 or 5, at most as many as the cluster has servers.",
  "nats.event_encoding":
    "How events and contexts are published: `json` (protobuf JSON, readable with `nats sub`) or `protobuf`.",
  "nats.wire.enabled":
    "`false`: no services, agents and audio on NATS ([nats-subjects.md](nats-subjects.md)); events and contexts are published all the same.",
  "nats.wire.max_concurrent_requests":
    "Service requests under way at this gateway; one more is refused at once with LIMIT_REACHED.",
  "nats.wire.max_sessions":
    "Streams of agents on NATS at this gateway; one more is refused with LIMIT_REACHED.",
  "nats.wire.max_audio_publishers":
    "Calls, sources and formats whose audio is published at a time; one more is refused with LIMIT_REACHED.",
  "nats.wire.listen_lease_seconds":
    "How long the audio of a call is published after the last `ListenCall` for it.",
  "nats.wire.listen_bundle_ms": "As `gateway.grpc.listen_bundle_ms`, for what is published.",
  "nats.wire.max_listen_ms":
    "Audio that waits to be published when NATS is slow; beyond it the oldest is dropped and told.",
  "serve.gateways":
    "Gateways on this machine, [each a process of its own](operations.md#one-gateway-for-each-core); `--gateways` does the same. More than one needs NATS.",
  "serve.port_step":
    "With several gateways the ports of each are so much higher than those of the one before.",
  "serve.restart.first_pause_ms":
    "With several gateways: wait before one that ended is started again; doubled with each further start in `window_seconds`.",
  "serve.restart.max_pause_ms": "The longest of these waits.",
  "serve.restart.max_restarts":
    "Starts of one gateway in `window_seconds`; then it is given up and the others go on. 0: it is never started again.",
  "serve.restart.window_seconds": "See `max_restarts`.",
  "serve.heap_growth_percent":
    "How much the heap may grow over what a full garbage collection left before the next one. 0: as V8 decides, which is too little for hundreds of calls. More: fewer pauses, more memory.",
  "serve.heap_rest_seconds":
    "With no call up for so long, memory that calls have left is given back, in a pause of some 50 ms; again after each further such time, until 15 minutes after the last call. Stores on disk that were used much are closed when nobody used them for so long, and opened again, in 1 ms, by the next use. 0: never.",
  "serve.log_level": "Lines below this level are not logged.",
  "serve.drain.max_wait_seconds":
    "How long calls may go on after SIGTERM or SIGINT; a second signal ends at once.",
  "serve.drain.agents_move_ms":
    "Where another gateway stays: how long after the signal calls without an agent wait for agents to come by it; after that those whose pool has none there ring their original callee. 0: not at all.",
};
