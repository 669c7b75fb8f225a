import { z } from "zod";

// The vocabulary of scenarios. Every step is an object with one key, its name, in scenarios/*.yaml.

const name = z.string().regex(/^[a-z][a-z0-9]*$/, "must be lower-case letters and digits");
const program = name.default("a");
const call = name.default("c");
const ms = z.int().min(0).max(120_000);
/** How long a look waits for what it wants to see. */
const withinMs = ms.default(20_000);
/** What an answer, event or report has; see match.ts. */
const has = z.record(z.string(), z.unknown());
const ear = z.enum(["caller", "callee"]);
/** First number and how many. */
const frames = z.tuple([z.int().min(0), z.int().min(1)]);
const tone = z.strictObject({ hz: z.int(), forMs: ms.optional() });

/** One thing a party does on the phone. Without `forMs`: for ever. */
const act = z.union([
  z.strictObject({ frames: z.strictObject({ forMs: ms.optional() }) }),
  z.strictObject({ tone }),
  z.strictObject({ silence: z.strictObject({ forMs: ms }) }),
  z.strictObject({ hangUp: z.strictObject({}) }),
]);

const callee = z.union([
  z.literal("never"),
  z.strictObject({
    picksUp: z.strictObject({ afterMs: ms.default(300), script: z.array(act).default([]) }),
  }),
  z.strictObject({ rejects: z.strictObject({ afterMs: ms.default(300) }) }),
  z.strictObject({ voicemail: z.strictObject({ afterMs: ms.default(300) }) }),
]);

/** Audio that a program is given as a file. `perCall` frames are numbered from 100 × the number in the call's name. */
const audio = z.union([
  z.strictObject({ frames }),
  z.strictObject({ perCall: z.int().min(1).max(100) }),
  z.strictObject({ tone }),
]);

/** By which way a program reaches the gateway. */
const via = z
  .enum(["gateway", "proxy", "newer", "older", "garbage", "nobody-then-gateway", "nobody", "both"])
  .default("gateway");

const told = {
  program,
  do: z.string(),
  /** Its arguments; `$call:NAME` and `$instance:PROGRAM` are replaced. */
  with: has.default({}),
  /** Played by the command: a file is made. */
  audio: audio.optional(),
  /** The command is to write what it hears to the file of that name. */
  file: name.optional(),
  /** For commands that open a connection of their own. */
  via: via.optional(),
};

/** The arguments of each step. */
export const STEPS = {
  // What is done.
  start: z.strictObject({
    program,
    via,
    options: has.default({}),
    refused: has.optional(),
    later: name.optional(),
  }),
  place: z.strictObject({
    call,
    from: z.string().default("+15550101"),
    caller: z.array(act).default([]),
    callee: callee.default("never"),
    /** So many calls CALL1, CALL2 …, each from a number of its own. */
    times: z.int().min(1).max(100).optional(),
  }),
  hangUp: z.strictObject({ call, who: ear.default("caller") }),
  tell: z.strictObject({
    ...told,
    call: name.optional(),
    /** Its answer is looked at later, by `result`. */
    later: name.optional(),
    has: has.optional(),
    refused: has.optional(),
    withinMs,
  }),
  tellEach: z.strictObject({ ...told, calls: name, withinMs }),
  /** Appends so many made turns, `each` at a time. */
  tellTurns: z.strictObject({ program, call, count: z.int(), each: z.int().min(1).max(100) }),
  result: z.strictObject({ of: name, has: has.optional(), refused: has.optional(), withinMs }),
  fault: z.strictObject({
    call,
    command: z.string(),
    delayMs: ms.optional(),
    errorCode: z.string().optional(),
    swallow: z.boolean().optional(),
  }),
  /** The provider sends so much audio at once, so many times, to the agents of the calls. */
  floodEach: z.strictObject({ calls: name, ms, times: z.int().min(1) }),
  kill: z.strictObject({ program }),
  freeze: z.strictObject({ program }),
  thaw: z.strictObject({ program }),
  terminate: z.strictObject({ program }),
  /** The program has ended by itself with code 0. */
  ends: z.strictObject({ program, withinMs }),
  cut: z.strictObject({}),
  mend: z.strictObject({}),
  storeRefuses: z.strictObject({}),
  /** Writes a token for a program, good for so long, to `$file:NAME`. */
  token: z.strictObject({ program, file: name, seconds: z.int().min(1).max(3600) }),
  gatewayLeaves: z.strictObject({}),
  /** Lets the call last: nothing is to happen, which takes time to see. */
  lasts: z.strictObject({ ms }),
  /** Remembers now, or the time of an event of the provider, on the axis of the call. */
  time: z.strictObject({ name, call, at: z.string().optional() }),

  // What is heard.
  heard: z.strictObject({
    call,
    by: ear.default("caller"),
    frames,
    missingAtMost: z.int().default(0),
    /** Frames that may be heard again: where playback was cut, by the gateway's estimate of what was heard. */
    repeatedAtMost: z.int().default(0),
    withinMs,
  }),
  heardEach: z.strictObject({
    calls: name,
    count: z.int(),
    missingAtMost: z.int().default(0),
    withinMs: ms.default(30_000),
  }),
  echoed: z.strictObject({
    call,
    by: ear.default("caller"),
    least: z.int(),
    holesAtMost: z.int().default(0),
    withinMs,
  }),
  echoedEach: z.strictObject({ calls: name, least: z.int(), withinMs: ms.default(30_000) }),
  notHeard: z.strictObject({ call, by: ear.default("caller"), frames, atMost: z.int().default(0) }),
  tone: z.strictObject({
    call,
    by: ear,
    hz: z.int(),
    since: name.optional(),
    until: name.optional(),
    afterMs: ms.default(0),
    leastMs: ms.optional(),
    mostMs: ms.optional(),
    withinMs,
  }),
  /** What a program wrote of the audio it was sent. */
  file: z.strictObject({
    name,
    least: z.int(),
    holesAtMost: z.int().optional(),
    /** The number of the first frame: what came before was dropped. */
    firstAtLeast: z.int().optional(),
    /** Audio that would be too much. */
    mostMs: ms.optional(),
    sampleRateHertz: z.int().default(16_000),
    withinMs,
  }),

  // What is seen by plain gRPC and at the provider.
  event: z.strictObject({ call, type: z.string(), has: has.default({}), withinMs }),
  events: z.strictObject({ call, type: z.string(), has: has.default({}), count: z.int() }),
  order: z.strictObject({ call, types: z.array(z.string()) }),
  context: z.strictObject({ call, has: has.default({}), turns: z.int().optional(), withinMs }),
  seen: z.strictObject({ call, has, withinMs }),
  agents: z.strictObject({ has: z.array(has), withinMs }),
  /** Connections over the proxy. */
  connections: z.strictObject({ least: z.int(), most: z.int(), withinMs }),
  phone: z.strictObject({ call, has, withinMs }),
  phoneEach: z.strictObject({ calls: name, has, withinMs }),
  provider: z.strictObject({ call, command: z.string(), times: z.int() }),
  /** A request of somebody without our clients. */
  ask: z.strictObject({
    service: z.string(),
    method: z.string(),
    request: has,
    has: has.optional(),
    refused: has.optional(),
    withinMs,
  }),

  // What the program says.
  told: z.strictObject({
    program,
    what: z.string(),
    has: has.default({}),
    times: z.int().min(1).default(1),
    withinMs,
  }),
  notTold: z.strictObject({ program, what: z.string(), has: has.default({}) }),
  /** Memory of a program is remembered, and compared with. */
  memoryFrom: z.strictObject({ program }),
  memory: z.strictObject({ program, growsAtMostMiB: z.int() }),
} as const;

/** The name of a step. */
export type StepName = keyof typeof STEPS;

/** The arguments of a step, with their defaults. */
export type StepArguments<N extends StepName> = z.infer<(typeof STEPS)[N]>;

/** What a party does. */
export type Act = z.infer<typeof act>;
/** What the person called does. */
export type CalleeSpec = z.infer<typeof callee>;
/** Audio for a program. */
export type AudioSpec = z.infer<typeof audio>;
/** A way to the gateway. */
export type Via = z.infer<typeof via>;
