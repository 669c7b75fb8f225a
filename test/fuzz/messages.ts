import * as contract from "@callweave/proto";
import { ServeRequest } from "@callweave/proto";
import fc, { type Arbitrary } from "fast-check";
import { corpus } from "./corpus.js";
import { bytes, damaged, edge, json, mostly, text, word } from "./inputs.js";

// Messages of the contract: whole ones with any values in their fields, and their bytes with damage.

const duration = fc.option(
  fc.record({
    seconds: fc.oneof(edge, mostly(315_576_000_000, 2 ** 53 - 1)),
    nanos: fc.oneof(edge, mostly(-1, 999_999_999, 10 ** 9)),
  }),
  { nil: undefined },
);
const after = fc.option(
  fc.record({
    condition: fc.integer({ min: -1, max: 5 }),
    mark: text,
    deadline: duration,
    onInterrupt: fc.integer({ min: -1, max: 4 }),
  }),
  { nil: undefined },
);
const enumValue = fc.integer({ min: -1, max: 9 });
/** As a rule one that there is. */
const callId = fc.oneof(
  { weight: 3, arbitrary: mostly("c-1", "c-1", "c-2", "") },
  { weight: 2, arbitrary: text },
);
const requestId = fc.oneof(fc.uuid(), text);
const struct = fc.oneof(
  fc.constant(undefined),
  fc.dictionary(word, json, { maxKeys: 4 }),
  mostly(2_000, 20_000).map((n) => ({ long: "x".repeat(n * 4) })),
);

const verb = fc.oneof(
  fc.record({ $case: fc.constant("answer"), value: fc.record({ callId }) }),
  fc.record({ $case: fc.constant("connect"), value: fc.record({ callId, ringDuration: duration, after }) }),
  fc.record({ $case: fc.constant("setAgentMode"), value: fc.record({ callId, mode: enumValue }) }),
  fc.record({
    $case: fc.constant("escalate"),
    value: fc.record({
      callId,
      reason: enumValue,
      summary: text,
      summarySource: enumValue,
      routingHint: text,
      data: struct,
      after,
      confirm: enumValue,
      confirmTimeout: duration,
      then: enumValue,
      saveTimeout: duration,
      target: fc.oneof(
        fc.constant(undefined),
        fc.record({ $case: fc.constant("originalCallee"), value: fc.record({ ringDuration: duration }) }),
        fc.record({ $case: fc.constant("pool"), value: fc.record({ pool: word, wait: duration }) }),
      ),
    }),
  }),
  fc.record({
    $case: fc.constant("transfer"),
    value: fc.record({
      callId,
      to: fc.oneof(
        fc.constant(undefined),
        fc.record({ $case: fc.constant("pool"), value: word }),
        fc.record({ $case: fc.constant("instanceId"), value: fc.oneof(fc.uuid(), word) }),
      ),
      after,
      offerDuration: duration,
    }),
  }),
  fc.record({ $case: fc.constant("close"), value: fc.record({ callId, endCall: fc.boolean(), after }) }),
  fc.record({ $case: fc.constant("disconnect"), value: fc.record({ callId, after }) }),
  fc.record({ $case: fc.constant("release"), value: fc.record({ callId }) }),
  fc.record({
    $case: fc.constant("confirmEscalation"),
    value: fc.record({ callId, accepted: fc.boolean() }),
  }),
  fc.record({ $case: fc.constant("cancel"), value: fc.record({ callId, requestId }) }),
  fc.constant(undefined),
);

const register = fc.record({
  $case: fc.constant("register"),
  value: fc.record({
    agentId: fc.oneof(mostly("agent", "agent"), word),
    instanceId: fc.oneof(fc.uuid(), fc.constant(""), word),
    pool: fc.oneof(mostly("", "default"), word),
    capacity: edge.map((n) => n >>> 0),
    audioFormat: fc.option(
      fc.record({
        encoding: enumValue,
        sampleRateHertz: fc.oneof(
          mostly(0, 8_000, 16_000),
          edge.map((n) => n >>> 0),
        ),
      }),
      {
        nil: undefined,
      },
    ),
    labels: fc.dictionary(word, text, { maxKeys: 18 }),
  }),
});
const handle = mostly(0, 1, 1, 2, 7, 4_294_967_295);
const item: Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: register },
  {
    weight: 1,
    arbitrary: fc.record({ $case: fc.constant("join"), value: fc.record({ sessionToken: text }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      $case: fc.constant("reattach"),
      value: fc.record({
        sessionToken: text,
        calls: fc.array(
          fc.record({ callId, epoch: edge.map((n) => n >>> 0), lastEventSequence: fc.maxSafeNat() }),
          { maxLength: 3 },
        ),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      $case: fc.constant("audio"),
      value: fc.record({ handle, pcm: bytes.map((b) => Buffer.from(b)) }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ $case: fc.constant("mark"), value: fc.record({ handle, name: text }) }),
  },
  { weight: 1, arbitrary: fc.record({ $case: fc.constant("clearPlayback"), value: fc.record({ handle }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ $case: fc.constant("command"), value: fc.record({ handle, requestId, verb }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      $case: fc.constant("heartbeat"),
      value: fc.record({ load: fc.oneof(fc.double(), fc.float({ min: 0, max: 1 })) }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      $case: mostly("accept", "decline"),
      value: fc.record({ offerId: text, reason: text }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ $case: mostly("drain", "bye"), value: fc.constant({}) }) },
  {
    weight: 1,
    arbitrary: fc.record({ $case: fc.constant("reauthenticate"), value: fc.record({ token: text }) }),
  },
);

/** The bytes of a ServeRequest: items in any order, whole or damaged, or real ones. */
export const serveRequests: Arbitrary<Uint8Array> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.oneof({ weight: 9, arbitrary: item }, { weight: 1, arbitrary: fc.constant(undefined) }), {
        maxLength: 6,
      })
      .map(encodeItems),
  },
  { weight: 2, arbitrary: damaged(fc.array(item, { minLength: 1, maxLength: 3 }).map(encodeItems)) },
  { weight: 2, arbitrary: damaged(fc.constantFrom(...corpus.serveRequest)) },
  { weight: 1, arbitrary: fc.constantFrom(...corpus.serveRequest) },
  { weight: 1, arbitrary: bytes },
  {
    weight: 1,
    arbitrary: fc
      .tuple(item, mostly(255, 256, 257, 1_000))
      .map(([one, times]) => encodeItems(Array(times).fill(one))),
  },
);

function encodeItems(items: readonly unknown[]): Uint8Array {
  const partial = { items: items.map((one) => ({ item: one })) } as Parameters<
    typeof ServeRequest.fromPartial
  >[0];
  return encoded(ServeRequest as unknown as Codec, partial);
}

/** The bytes of a message; numbers that its fields cannot carry on the wire are brought within what they can. */
function encoded(codec: Codec, partial: object): Uint8Array {
  try {
    return codec.encode(codec.fromPartial(partial)).finish();
  } catch {
    return codec.encode(codec.fromPartial(carried(partial) as object)).finish();
  }
}

function carried(value: unknown): unknown {
  if (typeof value === "number") return Math.max(0, Math.min(2 ** 31 - 1, Math.trunc(value) || 0));
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(carried);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, carried(one)]));
}

type Codec = {
  fromPartial(value: object): unknown;
  encode(value: unknown): { finish(): Uint8Array };
  toJSON(value: unknown): unknown;
};

/** The requests of unary methods, by the name of the method. */
const UNARY: Readonly<Record<string, Arbitrary<object>>> = {
  GetCall: fc.record({ callId }),
  ListCalls: fc.record(
    { pageSize: edge, pageToken: text, filter: fc.constant({ pools: ["default"] }) },
    { requiredKeys: [] },
  ),
  ConnectCall: fc.record({ callId, requestId, ringDuration: duration, wait: duration, after }),
  SetAgentMode: fc.record({ callId, requestId, mode: enumValue }),
  DisconnectCall: fc.record({ callId, requestId, after, wait: duration }),
  TransferCall: fc.record({
    callId,
    requestId,
    offerDuration: duration,
    to: fc.record({ $case: fc.constant("pool"), value: word }),
  }),
  SendNote: fc.record({ callId, text }),
  SaveContext: fc.record({
    context: fc.option(
      fc.record({
        callId,
        summary: text,
        locale: fc.oneof(
          mostly("en", "de-AT"),
          text,
          mostly(30, 300, 3_000).map((n) => `en-${"a".repeat(n)}!`),
        ),
        status: enumValue,
        data: struct,
        turns: fc.array(fc.record({ id: word, role: enumValue, text, locale: word }), { maxLength: 3 }),
      }),
      { nil: undefined },
    ),
  }),
  UpdateContext: fc.record({
    context: fc.option(fc.record({ callId, summary: text, outcome: text }), { nil: undefined }),
    updateMask: fc.option(
      fc.array(fc.oneof(mostly("summary", "outcome", "notes", "data.x"), word), { maxLength: 4 }),
      { nil: undefined },
    ),
    revision: edge.map((n) => n >>> 0),
  }),
  AppendTurns: fc.record({
    callId,
    turns: fc.array(fc.record({ id: word, role: enumValue, text }), { maxLength: 4 }),
  }),
  GetContext: fc.record({ callId, sessionId: word }),
  FindContexts: fc.record({ caller: text, callee: text, within: duration }),
  ListContexts: fc.record({ caller: text, pageSize: edge, pageToken: text }),
  DeleteContexts: fc.record({
    target: fc.oneof(
      fc.constant(undefined),
      fc.record({ $case: mostly("callId", "caller"), value: fc.oneof(callId, text) }),
    ),
  }),
  ConfirmEscalation: fc.record({ callId, requestId, accepted: fc.boolean() }),
  ReleaseCall: fc.record({ callId, requestId }),
  AnswerCall: fc.record({ callId, requestId }),
  CloseCall: fc.record({ callId, requestId, endCall: fc.boolean(), after }),
  EscalateCall: fc.record({
    callId,
    requestId,
    reason: enumValue,
    summary: text,
    routingHint: text,
    data: struct,
    after,
  }),
  CancelCommand: fc.record({ callId, requestId }),
  ListAudit: fc.record({ pageSize: edge, pageToken: text }),
  ListAgents: fc.record({ pool: word }),
  ListPools: fc.constant({}),
  ListGateways: fc.constant({}),
};

/** A unary request as it is sent. */
export interface UnaryRequest {
  /** "GetCall"; now and then one that there is not. */
  readonly method: string;
  readonly encoding: "json" | "protobuf";
  readonly body: Uint8Array;
}

const codecOf = (name: string) =>
  (contract as unknown as Readonly<Record<string, Codec | undefined>>)[`${name}Request`];

/** Requests whole and damaged, in both encodings. */
export const unaryRequests: Arbitrary<UnaryRequest> = fc
  .constantFrom(...Object.keys(UNARY))
  .chain((method) => {
    const codec = codecOf(method);
    if (!codec) throw new Error(`the contract has no ${method}Request`);
    const message = (UNARY[method] as Arbitrary<object>).map((value) => codec.fromPartial(value));
    const binary = (UNARY[method] as Arbitrary<object>).map((value) => encoded(codec, value));
    const plain = message.map((value) => Buffer.from(JSON.stringify(codec.toJSON(value)) ?? "{}"));
    const loose = (UNARY[method] as Arbitrary<object>).map((value) => Buffer.from(JSON.stringify(value)));
    const sentAs = (encoding: "json" | "protobuf", body: Arbitrary<Uint8Array>) =>
      fc.record({ method: fc.constant(method), encoding: fc.constant(encoding), body });
    return fc.oneof(
      { weight: 4, arbitrary: sentAs("protobuf", binary) },
      { weight: 2, arbitrary: sentAs("protobuf", damaged(binary)) },
      { weight: 3, arbitrary: sentAs("json", plain) },
      { weight: 1, arbitrary: sentAs("json", loose) },
      { weight: 2, arbitrary: sentAs("json", damaged(plain)) },
      { weight: 1, arbitrary: sentAs("json", bytes) },
      {
        weight: 1,
        arbitrary: sentAs(
          "json",
          mostly(100, 5_000).map((n) => Buffer.from(`{"a":${"[".repeat(n)}`)),
        ),
      },
    );
  });
