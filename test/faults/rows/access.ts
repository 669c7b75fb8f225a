import { type FaultRow, integration, unit } from "../fault-row.js";

/** Who may do what, and texts that are meant to be something else. */
export const ACCESS_FAULTS: readonly FaultRow[] = [
  {
    number: 39,
    fault: "A token expires in the middle of a stream",
    promise:
      "Warned before, replaced by `Reauthenticate`; otherwise the stream ends UNAUTHENTICATED after the leeway and its call is offered to somebody else.",
    injected: "tokens that live for seconds",
    tests: [
      ...integration(
        "credentials",
        "end the stream after a warning, and its call is offered to somebody else",
        "are replaced in the stream by Reauthenticate, which takes none of another tenant",
        "asks for a fresh token before the old one ends, and its session goes on",
      ),
      ...unit(
        "auth/tokens",
        "says of an expired one that it is, when nothing else is wrong; within the leeway it is good",
      ),
    ],
    limit: "A single token cannot be revoked before its end; its issuer, or a key, can.",
  },
  {
    number: 40,
    fault: "Another tenant asks for a call",
    promise: "`NOT_FOUND` on every wire, as for a call that does not exist; written down in the audit.",
    injected: "every RPC, subject and frame by every role, own and foreign tenant",
    tests: [
      ...integration(
        "authorization-matrix",
        "about another tenant's call: %s",
        "on NATS, own and other tenant: %s",
        "is written down: who was refused, listened and read, in a chain that holds",
      ),
      ...integration(
        "authorization-serve",
        "begins nothing on another tenant's subject: %s",
        "is no way into the session of somebody else: %s",
        "is written down",
      ),
      ...unit("desk/connection", "gives a browser no more than its role: every method is behind the rules"),
    ],
    limit: "How long an answer takes is not made equal.",
  },
  {
    number: 41,
    fault: "Forged tokens",
    promise:
      "Fixed algorithms, issuer, audience and expiry are required, keys come from the configured set alone; static keys are compared in constant time.",
    injected: "alg none, HMAC with a public key, foreign keys, jku and jwk, hostile kids, wrong claims",
    tests: unit("auth/tokens", "refuses %s", "cannot be configured with a symmetric algorithm"),
    limit: "A `jti` is not remembered: a stolen token is good until it expires.",
  },
  {
    number: 42,
    fault: "Reflection, health and metrics open to all",
    promise:
      "Reflection is behind a credential and a switch, health says whether it serves and nothing else, metrics have a port and a switch of their own.",
    injected: "clients without a credential",
    tests: [
      ...integration("grpc-edge", "lists its services by reflection, and only with a credential"),
      ...integration("authorization-matrix", "on gRPC without a good credential: nothing but health"),
      ...unit("ops/ops", "refuses other methods and paths"),
    ],
    limit: "The port of operations has no credential: it listens on loopback unless told otherwise.",
  },
  {
    number: 43,
    fault: "An address in a message leads elsewhere",
    promise:
      "Media are opened at the provider's own host or `media_hosts` alone; a token is sent nowhere else and echoed nowhere.",
    injected: "sessions whose media address is another host; a server that is not trusted",
    tests: [
      ...integration("telcoflow-adapter", "sends no token to a host that is not allowed"),
      ...integration("telcoflow-tls", "sends no key to a server that it does not trust"),
    ],
    limit:
      "Names are compared, not addresses: who controls the name's DNS controls where it leads (TLS is the fence).",
  },
  {
    number: 44,
    fault: "Line breaks, wildcards, dots, `__proto__` and operators in ids and keys",
    promise:
      "Ids by a strict rule, encoded in subjects; JSON read without prototypes; filters made of typed fields; log lines are JSON.",
    injected: "such texts on every field and wire",
    tests: [
      ...integration(
        "refusals",
        "unknown calls, hostile ids and fields out of bounds, each with its rule, and nothing happens",
      ),
      ...unit("contract/validate", "call ids: printable, without what would break a subject or a path"),
      ...unit("contract/proto-json", "takes nothing from __proto__"),
      ...unit("telephony/telcoflow/validators", "takes nothing from a prototype"),
      ...unit(
        "events/jetstream-event-log",
        "keeps calls of the same id of two tenants apart, whatever is in an id",
      ),
    ],
    limit: "None known.",
  },
];
