import fc from "fast-check";
import { decodeToken, encodeToken } from "../../../gateway/src/bus/bus.js";
import {
  agentRegisterSubject,
  agentSubject,
  audioSubject,
  contextSubject,
  eventSubject,
  isInbox,
  isPlainSubject,
  parseEventSubject,
  subjectMatches,
  tenantEventsSubject,
} from "../../../gateway/src/bus/subjects.js";
import { CallError } from "../../../gateway/src/call/call-error.js";
import { decodePlace, encodePlace } from "../../../gateway/src/context/place-token.js";
import { pageOfCalls } from "../../../gateway/src/contract/page-token.js";
import { grantsOf, principalOf, SCOPES } from "../../../gateway/src/contract/principal.js";
import { snapshot } from "../../../gateway/src/contract/testing.js";
import { Tickets } from "../../../gateway/src/desk/tickets.js";
import { decodeCursor, encodeCursor } from "../../../gateway/src/events/cursor.js";
import {
  audioFormatSubject,
  forwardedListenSubject,
  parseContextSubject,
  rpcSubject,
  tenantOf,
} from "../../../gateway/src/nats/wire-subjects.js";
import { damagedText, json, mostly, text, word } from "../inputs.js";
import { must, target } from "../target.js";

/** Runs what may refuse: with INVALID_FIELD and the name of the field, or not at all. */
function refusable<T>(field: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    must(
      error instanceof CallError && error.reason === "INVALID_FIELD",
      "a refusal is INVALID_FIELD",
      String(error),
    );
    must(error.metadata.field === field, "a refusal names its field", error.metadata);
    return undefined;
  }
}

const storeId = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((raw) => Buffer.from(raw).toString("hex"));
const cursorText = fc.oneof(
  damagedText(
    fc.tuple(storeId, fc.maxSafeNat()).map(([id, sequence]) => encodeCursor({ storeId: id, sequence })),
  ),
  fc.uint8Array({ maxLength: 24 }).map((raw) => Buffer.from(raw).toString("base64url")),
  text,
);

/** Text that survives UTF-8: no half of a pair alone. */
const well = (value: string) => Buffer.from(value).toString() === value;

/** JSON in base64url, of the form of our tokens or not. */
const jsonToken = fc.oneof(
  fc.tuple(json, json, json).map((list) => Buffer.from(JSON.stringify(list)).toString("base64url")),
  fc
    .record({ t: fc.oneof(json, fc.nat()), id: fc.oneof(json, word), cursor: json, binding: json })
    .map((one) => Buffer.from(JSON.stringify(one)).toString("base64url")),
  text,
);

const calls = Array.from({ length: 7 }, (_, i) =>
  snapshot({ callId: `c-${i}`, createTime: new Date(1_000 * (i >> 1)) }),
);
const FILTER = { callIds: [], pools: [], states: [] };

/** A page of another tenant's list, or after a damaged token: refused. After its own token: the rest. */
function pages(input: { token: string; tenant: string; other: string; size: number }): void {
  const { token, tenant, other, size } = input;
  refusable("page_token", () => pageOfCalls(calls, tenant, FILTER, size, token, "head"));
  const seen: string[] = [];
  let next = "";
  do {
    const page = pageOfCalls(calls, tenant, FILTER, size, next, "head");
    seen.push(...page.calls.map(({ callId }) => callId));
    next = page.nextPageToken;
    if (next !== "" && other !== tenant)
      must(
        refusable("page_token", () => pageOfCalls(calls, other, FILTER, size, next, "head")) === undefined,
        "another tenant's page token is refused",
        { tenant, other },
      );
    must(seen.length <= calls.length, "no call is on two pages", seen);
  } while (next !== "");
  must(new Set(seen).size === calls.length, "each call is on one page", seen);
}

interface TicketStep {
  readonly kind: "issue" | "redeem" | "wait" | "guess";
  readonly which: number;
  readonly origin: string;
  readonly ms: number;
  readonly guess: string;
}

/** Against a model: each ticket lets in once, in its time, from its page. */
function tickets(steps: readonly TicketStep[]): void {
  let nowMs = 0;
  const box = new Tickets(1_000, 4, () => nowMs);
  const issued: { ticket: string; origin: string; untilMs: number; used: boolean }[] = [];
  for (const { kind, which, origin, ms, guess } of steps) {
    if (kind === "wait") nowMs += ms;
    else if (kind === "guess")
      must(box.redeem(guess, origin) === undefined, "what is no ticket lets nobody in", guess);
    else if (kind === "issue") {
      const waiting = issued.filter((one) => !one.used && one.untilMs > nowMs).length;
      try {
        const ticket = box.issue({ credential: principalOf("default", "desk-1"), origin });
        must(waiting < 4, "no more than the bound wait to be used", waiting);
        must(!issued.some((one) => one.ticket === ticket), "a ticket is new");
        issued.push({ ticket, origin, untilMs: nowMs + 1_000, used: false });
      } catch (error) {
        must(
          error instanceof CallError && error.reason === "LIMIT_REACHED",
          "a refusal is LIMIT_REACHED",
          String(error),
        );
        must(waiting >= 4, "it is refused only when the bound is reached", waiting);
      }
    } else {
      const one = issued[which % Math.max(1, issued.length)];
      if (!one) continue;
      const good = !one.used && nowMs < one.untilMs && one.origin === origin;
      const found = box.redeem(one.ticket, origin);
      must((found !== undefined) === good, "a ticket lets in once, in time, from its page", {
        one,
        origin,
        nowMs,
      });
      one.used = true;
    }
  }
}

function subjects({
  tenant,
  id,
  source,
  pattern,
}: Record<"tenant" | "id" | "source" | "pattern", string>): void {
  for (const value of [tenant, id, source]) {
    const token = encodeToken(value);
    must(isPlainSubject(token) && !token.includes("."), "an id becomes one token", { value, token });
    if (well(value)) must(decodeToken(token) === value, "a token gives back its id", { value, token });
    const back = decodeToken(value);
    if (back !== undefined) must(encodeToken(back) === value, "a token has one id, an id one token", value);
  }
  const plain = { encoding: "S16LE", sampleRateHz: 8_000 } as const;
  const made = [
    eventSubject(tenant, id),
    contextSubject(tenant, id),
    audioSubject(tenant, id, source),
    audioFormatSubject(tenant, id, source, plain, 8_000),
    audioFormatSubject(tenant, id, source, plain, 16_000),
    tenantEventsSubject(tenant).replace("*", "x"),
    agentRegisterSubject(tenant),
    agentSubject(tenant, id, "up"),
    rpcSubject(tenant, "GetCall"),
    forwardedListenSubject(id),
  ];
  for (const subject of made)
    must(isPlainSubject(subject), "a subject has no wildcard and no space", subject);
  if (well(tenant) && well(id)) {
    const want = JSON.stringify({ tenant, callId: id });
    must(
      JSON.stringify(parseEventSubject(made[0] as string)) === want,
      "an event's subject names its call",
      want,
    );
    must(
      JSON.stringify(parseContextSubject(made[1] as string)) === want,
      "a context's subject names its call",
      want,
    );
    must(tenantOf(made[0] as string) === tenant, "a subject names its tenant", want);
  }
  must(parseEventSubject(made[1] as string) === undefined, "a context's subject is no event's");
  if (isInbox(pattern))
    must(pattern.startsWith("_INBOX") || pattern.startsWith("_R_"), "an answer goes to an inbox", pattern);
  if (isInbox(pattern)) must(!/[*>\s]/.test(pattern), "an inbox has no wildcard", pattern);
  must(subjectMatches(">", pattern) === true, "> matches everything", pattern);
  must(
    subjectMatches("callweave.*.calls.*.events", made[0] as string),
    "the pattern of events matches an event's",
  );
}

export const tokenTargets = [
  target({
    name: "cursors",
    what: "cursors of watches",
    area: "tokens",
    weight: 5,
    inputs: cursorText,
    run: (cursor) => {
      const position = refusable("cursor", () => decodeCursor(cursor));
      if (position) must(encodeCursor(position) === cursor, "a cursor that is taken is one of ours", cursor);
    },
  }),
  target({
    name: "page-tokens",
    what: "page tokens of calls",
    area: "tokens",
    weight: 3,
    inputs: fc.record({
      token: jsonToken,
      tenant: mostly("default", "acme", "x"),
      other: mostly("default", "acme", "x", "X"),
      size: fc.integer({ min: 1, max: 8 }),
    }),
    run: pages,
  }),
  target({
    name: "place-tokens",
    what: "page tokens of contexts",
    area: "tokens",
    weight: 3,
    inputs: fc.record({ token: jsonToken, scope: word, other: word, callId: word, ms: fc.maxSafeNat() }),
    run: ({ token, scope, other, callId, ms }) => {
      refusable("page_token", () => decodePlace(token, scope));
      const own = encodePlace({ createTimeMs: ms, callId }, scope);
      const place = refusable("page_token", () => decodePlace(own, scope));
      if (well(callId)) must(place?.callId === callId, "a token of the list is taken", own);
      if (scope !== other && well(scope) && well(other))
        must(
          refusable("page_token", () => decodePlace(own, other)) === undefined,
          "one of another list is not",
          {
            scope,
            other,
          },
        );
    },
  }),
  target({
    name: "tickets",
    what: "single-use tickets of browsers, in sequences",
    area: "browser",
    weight: 5,
    inputs: fc.array(
      fc.record({
        kind: mostly<TicketStep["kind"]>("issue", "issue", "redeem", "redeem", "wait", "guess"),
        which: fc.nat({ max: 6 }),
        origin: mostly("https://a.example", "https://a.example", "https://b.example"),
        ms: mostly(1, 500, 999, 1_000, 5_000),
        guess: text,
      }),
      { maxLength: 25 },
    ),
    run: tickets,
  }),
  target({
    name: "subjects",
    what: "NATS subjects and the ids in them",
    area: "nats",
    weight: 5,
    // A dozen subjects of one id, which no wire takes at this length.
    boundMs: 1_000,
    inputs: fc.record({
      tenant: word,
      id: fc.oneof(text, mostly("=41", "=2E", "=", "==", "=zz", "=4", "%41")),
      source: word,
      pattern: fc.oneof(
        text,
        fc.tuple(mostly("_INBOX.", "_R_.", "_INBOX", "x_INBOX."), word).map((two) => two.join("")),
      ),
    }),
    run: subjects,
  }),
  target({
    name: "scopes",
    what: "rights as a configuration or a token has them",
    area: "tokens",
    weight: 3,
    inputs: fc.record({
      role: fc.oneof(mostly("agent", "admin", "observer", ""), word),
      scopes: fc.array(
        fc.oneof(
          fc
            .tuple(
              mostly(...SCOPES),
              mostly("", "@pool=", "@connector=", "@pool=a@pool="),
              fc.oneof(mostly("a|b", "sales"), word),
            )
            .map((three) => three.join("")),
          text,
        ),
        { maxLength: 4 },
      ),
      pools: fc.array(fc.oneof(mostly("sales", "support"), word), { maxLength: 3 }),
    }),
    run: (rights) => {
      let grants: ReturnType<typeof grantsOf>;
      try {
        grants = grantsOf(rights);
      } catch (error) {
        must(error instanceof Error && error.constructor === Error, "a refusal says its rule", String(error));
        must(error.message.length < 400, "and no more than that", error.message.length);
        return;
      }
      for (const [scope, list] of grants) {
        must((SCOPES as readonly string[]).includes(scope), "a scope is one of the contract", scope);
        for (const { pools } of list) {
          for (const pool of pools)
            must(/^[A-Za-z0-9._-]{1,64}$/.test(pool), "a pool has a plain name", pool);
          if (rights.pools.length > 0)
            must(
              pools.length > 0 && pools.every((pool) => rights.pools.includes(pool)),
              "rights are only narrowed",
              pools,
            );
        }
      }
    },
  }),
];
