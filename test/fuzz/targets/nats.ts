import { RegisterReply, ServeRequest } from "@callweave/proto";
import fc from "fast-check";
import type { BusMessage } from "../../../gateway/src/bus/bus.js";
import { MemoryBusServer } from "../../../gateway/src/bus/memory-bus.js";
import { agentSubject } from "../../../gateway/src/bus/subjects.js";
import { createNatsWire } from "../../../gateway/src/nats/index.js";
import { Message } from "../../../gateway/src/nats/messages.js";
import { rpcSubject } from "../../../gateway/src/nats/wire-subjects.js";
import { mostly, text, word } from "../inputs.js";
import { serveRequests, unaryRequests } from "../messages.js";
import { ErrorLog, settle, watchedApi } from "../rigs.js";
import { must, target } from "../target.js";

const ERROR = /^[\x20-\x7e]{1,500}$/;
const INTERNAL = "13";

/** Everything that is published on the bus, as a server sees it. */
async function rig() {
  const server = new MemoryBusServer();
  const [gateway, outside] = [server.connect(), server.connect()];
  const published: BusMessage[] = [];
  const log = new ErrorLog();
  const wire = createNatsWire(
    watchedApi(),
    gateway,
    { gatewayId: "g-1", version: "0.1.0", serverIsLocal: true, forwardTimeoutMs: 1 },
    log,
  );
  await wire.start();
  outside.subscribe(">", (message) => void published.push(message));
  await settle();
  return {
    gateway,
    outside,
    published,
    log,
    wire,
    async stop() {
      wire.stop();
      await Promise.all([gateway.close(), outside.close()]);
    },
  };
}

/** Waits, bounded, until the wire has nothing under way. */
async function idle(wire: { stats: { requestsRunning: number } }): Promise<void> {
  await settle();
  await settle();
  for (let i = 0; i < 1_000 && wire.stats.requestsRunning > 0; i++) await settle();
  await settle();
}

const header = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  {
    weight: 2,
    arbitrary: fc.record({
      "Content-Type": fc.oneof(
        mostly("application/json", "application/protobuf", "APPLICATION/JSON; charset=x"),
        text,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      "Callweave-Timeout-Ms": fc.oneof(mostly("1", "100", "0", "-1", "1e9", "3600001"), text),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      "Callweave-Authorization": fc.oneof(mostly("Bearer x", "Basic eA==", "bearer  "), text),
    }),
  },
  { weight: 1, arbitrary: fc.dictionary(word, text, { maxKeys: 3 }) },
);
const reply = fc.oneof(
  { weight: 8, arbitrary: fc.constant("_INBOX.fuzz.1") },
  {
    weight: 2,
    arbitrary: mostly(
      "callweave.default.calls.c-1.events",
      "callweave.default.agents.s.down",
      "_INBOX.*",
      "_INBOX.>",
      "x",
      "$SYS.y",
      "_INBOX",
    ),
  },
);

async function request(input: {
  method: string;
  encoding: "json" | "protobuf";
  body: Uint8Array;
  headers: Record<string, string>;
  reply: string;
}): Promise<void> {
  const { method, encoding, body, headers, reply: to } = input;
  const { outside, published, log, wire, stop } = await rig();
  try {
    const lines: Record<string, string> = { "Content-Type": `application/${encoding}`, ...headers };
    // Header lines that the protocol of NATS cannot carry never come.
    for (const [name, value] of Object.entries(lines))
      if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name) || /[\r\n\0]/.test(value)) delete lines[name];
    outside.publish(rpcSubject("default", method), body, { headers: lines, reply: to } as never);
    await idle(wire);
    const answers = published.filter(({ subject }) => subject === to);
    const others = published.filter(
      ({ subject }) => subject !== to && subject !== rpcSubject("default", method),
    );
    const context = (subject: string) => subject.startsWith("callweave.default.contexts.");
    must(
      others.every(({ subject }) => context(subject)),
      "nothing else is published",
      others.map(({ subject }) => subject),
    );
    if (!/^_(INBOX|R_)/.test(to) || /[*>]/.test(to)) {
      must(answers.length === 0, "nothing is published where the sender likes", to);
      return;
    }
    must(answers.length === 1, "a request has one answer", answers.length);
    const { headers: told } = answers[0] as BusMessage;
    const error = told["Nats-Service-Error"];
    if (error !== undefined) {
      must(ERROR.test(error), "an error is one line of printable ASCII", error);
      must(told["Nats-Service-Error-Code"] !== INTERNAL, "nothing breaks inside", error);
    }
    log.check();
  } finally {
    await stop();
  }
}

const REGISTER = new Message("ServeRequest", ServeRequest);
const REPLY = new Message("RegisterReply", RegisterReply);

interface Up {
  readonly bytes: Uint8Array;
  readonly sequence: number | string;
}

/** An agent that registers well and then sends anything under any number. */
async function agent(frames: readonly Up[]): Promise<void> {
  const { outside, published, log, wire, stop } = await rig();
  try {
    const first = REGISTER.encode(
      "protobuf",
      ServeRequest.fromPartial({ items: [{ item: { $case: "register", value: { agentId: "agent" } } }] }),
    );
    outside.publish("callweave.default.agents.register", first, {
      headers: { "Content-Type": "application/protobuf" },
      reply: "_INBOX.fuzz.r",
    } as never);
    await idle(wire);
    const reply_ = published.find(({ subject }) => subject === "_INBOX.fuzz.r");
    must(reply_ !== undefined, "a registration is answered");
    must(reply_.headers["Nats-Service-Error"] === undefined, "a good registration is taken", reply_.headers);
    const { session } = REPLY.decode("protobuf", reply_.data, 1_048_576);
    const up = agentSubject("default", session, "up");
    const down = agentSubject("default", session, "down");
    let next = 1;
    let broken = false;
    for (const { bytes, sequence } of frames) {
      const shown = (typeof sequence === "string" ? sequence : String(next + sequence)).replace(
        /[\r\n\0]/g,
        "",
      );
      // What is larger than a message may be never leaves the agent.
      if (!outside.publish(up, bytes, { headers: { "Callweave-Sequence": shown } })) continue;
      if (shown === String(next)) next++;
      else broken = true;
      await settle();
    }
    await idle(wire);
    const downs = published.filter(({ subject }) => subject === down);
    for (const [i, { headers }] of downs.entries()) {
      const number = headers["Callweave-Sequence"];
      must(number === String(i + 1), "what goes down is numbered without a hole", headers);
    }
    const ends = downs.filter(({ headers }) => headers["Callweave-Status"] !== undefined);
    must(ends.length <= 1, "a stream ends once", ends.length);
    if (broken) must(ends.length === 1, "a hole or a repeat ends the stream", ends.length);
    for (const { headers } of ends)
      must(headers["Callweave-Status"] !== INTERNAL, "nothing breaks inside", headers);
    log.check();
  } finally {
    await stop();
  }
}

export const natsTargets = [
  target({
    name: "nats-requests",
    what: "service requests, their headers and where they want their answer",
    area: "nats",
    weight: 5,
    boundMs: 1_000,
    inputs: fc.tuple(unaryRequests, header, reply).map(([one, headers, to]) => ({
      ...one,
      headers: headers as Record<string, string>,
      reply: to,
    })),
    run: request,
  }),
  target({
    name: "nats-agents",
    what: "frames of an agent on NATS and their numbers",
    area: "nats",
    weight: 4,
    boundMs: 1_000,
    inputs: fc.array(
      fc.record({
        bytes: serveRequests,
        sequence: fc.oneof(
          { weight: 9, arbitrary: fc.constant<number | string>(0) },
          {
            weight: 1,
            arbitrary: fc.oneof(mostly<number | string>(1, -1, "", "NaN", "01", "1e0", " 1"), word),
          },
        ),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    run: agent,
  }),
];
