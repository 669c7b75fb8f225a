import { decodeMessage, ServeRequest, type ServeResponse } from "@callweave/proto";
import fc from "fast-check";
import type { CallError } from "../../../gateway/src/call/call-error.js";
import { Authenticator } from "../../../gateway/src/contract/authenticator.js";
import { DEFAULT_STREAM_LIMITS } from "../../../gateway/src/contract/limits.js";
import { type Operation, operations } from "../../../gateway/src/contract/operations.js";
import { ServeSession } from "../../../gateway/src/contract/serve-session.js";
import { snapshot } from "../../../gateway/src/contract/testing.js";
import { contractMessage, unaryMethods } from "../../../gateway/src/nats/requests.js";
import { natsStats } from "../../../gateway/src/nats/wire-context.js";
import { serveRequests, unaryRequests } from "../messages.js";
import { CREDENTIAL, ErrorLog, mustBeId, mustBeReason, mustBeRefusal, settle, watchedApi } from "../rigs.js";
import { must, target } from "../target.js";

const authenticator = new Authenticator({});
const UUID = /^[0-9a-f-]{36}$/;

/** One stream: whatever comes in whatever order, each item is taken or refused by name, and it ends once. */
async function stream(messages: readonly Uint8Array[], halfClose: boolean): Promise<void> {
  const log = new ErrorLog();
  const stats = natsStats();
  const api = watchedApi();
  const written: ServeResponse[] = [];
  const ends: (CallError | undefined)[] = [];
  let commands = 0;
  const { handler } = api.agents;
  handler.command = (_handle, requestId, command) => {
    commands++;
    must(
      requestId.length >= 1 && requestId.length <= 100,
      "a request id in the core keeps its rule",
      requestId,
    );
    must(!/\s/.test(requestId), "a request id has no space", requestId);
    checkCommand(command);
  };
  handler.mark = (_handle, name) =>
    must(name.length >= 1 && [...name].length <= 100 && !/\p{Cc}/u.test(name), "a mark keeps its rule", name);
  handler.heartbeat = (load) => must(load >= 0 && load <= 1, "a load is from 0 to 1", load);
  const register = api.agents.register.bind(api.agents);
  api.agents.register = (actor, registration, agentStream) => {
    must(
      /^[A-Za-z0-9._-]{1,64}$/.test(registration.agentId),
      "an agent has a plain name",
      registration.agentId,
    );
    must(registration.instanceId === "" || UUID.test(registration.instanceId), "an instance is a UUID");
    must(
      registration.capacity >= 1 && registration.capacity <= 10_000,
      "a capacity is in its bounds",
      registration,
    );
    must(Object.keys(registration.labels).length <= 16, "labels are bounded");
    const made = register(actor, registration, agentStream);
    agentStream.send({
      type: "assigned",
      call: snapshot(),
      epoch: 2,
      handle: 1,
      resume: "NEW",
      audioFormat: { encoding: "S16LE", sampleRateHz: 8_000 },
      offerId: "o-1",
      attempt: 1,
    });
    return made;
  };
  api.agents.reattach = ((reattach) => (actor, token, calls, agentStream) => {
    for (const { callId } of calls) mustBeId(callId);
    must(token.length <= 200, "a token is bounded");
    return reattach(actor, token, calls, agentStream);
  })(api.agents.reattach.bind(api.agents));
  const session = new ServeSession(
    { agents: api.agents, authenticator, limits: DEFAULT_STREAM_LIMITS, logger: log, stats },
    {
      name: "fuzz Serve",
      peer: "127.0.0.1:1",
      write: (message, done) => {
        must(ends.length === 0, "nothing is written after the end");
        must(message.items.length <= DEFAULT_STREAM_LIMITS.maxItems, "a message has its most items");
        written.push(message);
        setImmediate(done);
      },
      finish: (error) => void ends.push(error),
    },
  );
  session.admit(CREDENTIAL);
  let asked = 0;
  for (const bytes of messages) {
    const request = requestOf(bytes);
    asked += request?.items.filter(({ item }) => item?.$case === "command").length ?? 0;
    const before = stats.itemsIn;
    // As the wire of gRPC does: audio alone is taken as its bytes, and what is no message never reaches the session.
    if (session.audioMessage(bytes, 0, bytes.length)) {
      const audio = request?.items.every(({ item }) => item?.$case === "audio") === true;
      must(audio, "what is taken as audio is audio alone", request);
      must(stats.itemsIn - before === request?.items.length, "all of it is taken", request);
    } else if (request) session.message(request);
    must(
      stats.itemsIn - before <= DEFAULT_STREAM_LIMITS.maxItems,
      "a message brings its most items",
      stats.itemsIn,
    );
  }
  if (halfClose) session.halfClosed();
  await settle();
  await settle();
  session.gone();
  await settle();
  must(ends.length <= 1, "a stream ends once", ends.length);
  if (ends[0]) mustBeReason(ends[0].reason);
  must(handler.lostCount <= 1, "an agent is lost once", handler.lostCount);
  must(stats.serveStreams === 0, "the stream is not counted any more");
  must(commands <= asked, "a command is executed once", { commands, asked });
  for (const { items } of written)
    for (const { item } of items) {
      if (item?.$case === "itemRefused" || item?.$case === "commandResult") {
        const { error } = item.value;
        must(error !== undefined, "a refusal says why", item);
        must(
          error.reason > 0 && error.code > 0 && error.message !== "",
          "a refusal has code and reason",
          error,
        );
      }
    }
  log.check();
}

/** The generated code's word; undefined when the bytes are no message. */
function requestOf(bytes: Uint8Array): ServeRequest | undefined {
  try {
    return decodeMessage(ServeRequest, bytes);
  } catch {
    return undefined;
  }
}

/** What reaches the core is within the bounds of the contract. */
function checkCommand(command: object): void {
  for (const [name, value] of Object.entries(command)) {
    if (/Ms$/.test(name))
      must(Number.isFinite(value) && value >= 0 && value <= 600_000, `${name} is in its bounds`, value);
    if (name === "ringTimeSeconds")
      must(Number.isInteger(value) && value >= 1 && value <= 120, "a ring time is 1 to 120 s", value);
    if (name === "text" || name === "summary")
      must(typeof value === "string" && [...value].length <= 2_000, `${name} is bounded`, value.length);
    if (name === "data") must(JSON.stringify(value).length <= 64 * 1_024, "data are bounded");
    if (typeof value === "object" && value !== null) checkCommand(value);
  }
}

const methods = new Map(
  unaryMethods(operations(watchedApi())).map(({ name, request, response }) => [name, { request, response }]),
);

/** One unary request at the edge: an answer that can be written, or a refusal with its reason. */
async function unary({
  method,
  encoding,
  body,
}: {
  method: string;
  encoding: "json" | "protobuf";
  body: Uint8Array;
}) {
  const known = methods.get(method);
  must(known !== undefined, "a method of the contract", method);
  const api = watchedApi();
  api.calls.execute = async (_actor, callId, requestId, command, waitMs) => {
    mustBeId(callId);
    must(requestId.length <= 100 && !/\s/.test(requestId), "a request id keeps its rule", requestId);
    must(waitMs >= 0 && waitMs <= 150_000, "a wait is in its bounds", waitMs);
    checkCommand(command);
    return { call: snapshot() };
  };
  const run = Object.values(operations(api))
    .flatMap((service) => Object.entries(service as Record<string, Operation<unknown, unknown>>))
    .find(([key]) => key.toLowerCase() === method.toLowerCase())?.[1];
  must(run !== undefined, "an operation of the method", method);
  let asked: unknown;
  try {
    asked = known.request.decode(encoding, body, 1_048_576);
  } catch (error) {
    mustBeRefusal(error);
    return;
  }
  let answer: unknown;
  try {
    answer = await run(asked, CREDENTIAL);
  } catch (error) {
    mustBeRefusal(error);
    return;
  }
  known.response.encode("protobuf", answer);
  for (const call of api.contextCalls) checkContextCall(call);
  const back = contractMessage<unknown>(`${method}Response`);
  must(back.encode(encoding, answer).length >= 0, "an answer can be written");
}

function checkContextCall([name, , ...rest]: readonly unknown[]): void {
  for (const one of rest) {
    if (typeof one !== "object" || one === null || Array.isArray(one)) continue;
    const { callId, locale } = one as { callId?: string; locale?: string };
    if (callId) mustBeId(callId);
    if (locale) must(/^[A-Za-z0-9-]{1,35}$/.test(locale), "a locale keeps its rule", locale);
  }
  if (["get", "appendTurns"].includes(name as string) && typeof rest[0] === "string" && rest[0] !== "")
    mustBeId(rest[0]);
}

const decodable = contractMessage<ServeRequest>("ServeRequest");

export const serveTargets = [
  target({
    name: "serve-items",
    what: "ServeRequests in any order: raw bytes, wrong items, damaged ones",
    area: "serve",
    weight: 6,
    boundMs: 500,
    inputs: fc.tuple(fc.array(serveRequests, { minLength: 1, maxLength: 5 }), fc.boolean()),
    run: ([messages, halfClose]) => stream(messages, halfClose),
  }),
  target({
    name: "unary-requests",
    what: "requests of unary methods, protobuf and JSON",
    area: "serve",
    weight: 8,
    boundMs: 500,
    inputs: unaryRequests,
    run: unary,
  }),
  target({
    name: "protobuf-json",
    what: "the same message through both encodings",
    area: "serve",
    weight: 4,
    // Four times over up to a thousand items, which is 300 KiB.
    boundMs: 400,
    inputs: serveRequests,
    run: (bytes) => {
      let message: ServeRequest;
      try {
        message = decodable.decode("protobuf", bytes, 1_048_576);
      } catch (error) {
        mustBeRefusal(error);
        return;
      }
      let text: Buffer;
      try {
        text = decodable.encode("json", message);
      } catch {
        // A value outside the range of its field has no JSON, as the format says.
        return;
      }
      const again = decodable.decode("json", text, Number.POSITIVE_INFINITY);
      const two = decodable.encode("json", again);
      must(two.equals(text), "JSON read and written again is the same", text.toString());
    },
  }),
];
