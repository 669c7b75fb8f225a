import fc from "fast-check";
import { bothWays, cuts, mixed } from "../../../gateway/src/telephony/telcoflow/frame-rig.js";
import { AudioFrameReader } from "../../../gateway/src/telephony/telcoflow/frames.js";
import { redactRemote, redactUrl } from "../../../gateway/src/telephony/telcoflow/redact.js";
import {
  type Parsed,
  parseControlFrame,
  parseMediaFrame,
  parseSessionList,
} from "../../../gateway/src/telephony/telcoflow/validators.js";
import { corpus } from "../corpus.js";
import { broken, bytes, damagedText, json, long, text, word } from "../inputs.js";
import { must, target } from "../target.js";

const PROBLEMS = ["notJson", "notObject", "unknownType", "invalidField"];
const CONTROL_TYPES = ["setup.done", "response", "session.notify", "call.in", "session.closed", "wa.msg.in"];
const MEDIA_TYPES = ["buffer_request", "command_response", "call_event"];
/** What every object has without anybody having put it there. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype);
/** Longest text of each field of a message, characters. */
const LONGEST: Readonly<Record<string, number>> = {
  mediaUrl: 4_096,
  mediaToken: 16_384,
  errorMessage: 1_000,
};

/** A frame of the corpus with fields of all kinds of values, on the level of the frame and of its data. */
function frames(real: readonly string[]) {
  const objects = fc.constantFrom(...real).map((one) => JSON.parse(one) as Record<string, unknown>);
  const inner = fc.tuple(objects, broken(fc.constant({}))).map(([frame, changes]) => {
    const { data } = frame;
    return typeof data === "object" && data !== null ? { ...frame, data: { ...data, ...changes } } : frame;
  });
  const sized = fc
    .tuple(objects, fc.nat({ max: 40 }), fc.oneof(long, json))
    .map(([frame, at, value]) => replaced(frame, at, value));
  return fc.oneof(
    { weight: 4, arbitrary: broken(objects).map((one) => JSON.stringify(one)) },
    { weight: 3, arbitrary: sized.map((one) => JSON.stringify(one)) },
    { weight: 2, arbitrary: inner.map((one) => JSON.stringify(one)) },
    { weight: 2, arbitrary: damagedText(fc.constantFrom(...real)) },
    { weight: 1, arbitrary: word.map((type) => JSON.stringify({ type, data: {} })) },
    {
      weight: 1,
      arbitrary: fc.tuple(objects, fc.constantFrom(...INHERITED)).map(([frame, type]) => {
        return JSON.stringify({ ...frame, type });
      }),
    },
    { weight: 1, arbitrary: text },
  );
}

/** The n-th field, those of `data` counted too, has another value. */
function replaced(frame: Record<string, unknown>, at: number, value: unknown): Record<string, unknown> {
  const data = frame.data as Record<string, unknown> | undefined;
  const outer = Object.keys(frame);
  const inner = typeof data === "object" && data !== null ? Object.keys(data) : [];
  const i = at % (outer.length + inner.length);
  if (i < outer.length) return { ...frame, [outer[i] as string]: value };
  return { ...frame, data: { ...data, [inner[i - outer.length] as string]: value } };
}

function checkParsed(parsed: Parsed<{ readonly type: string }>, types: readonly string[]): void {
  if (!parsed.ok) {
    must(PROBLEMS.includes(parsed.problem), "a refusal names one of the problems", parsed);
    must(typeof parsed.detail === "string", "a refusal has a detail", parsed);
    return;
  }
  const { message } = parsed;
  must(typeof message === "object" && message !== null, "a message is an object", message);
  must(types.includes(message.type), "a message has a type of the protocol", message);
  for (const [name, value] of Object.entries(message)) {
    // What a request gets as its answer is looked at by whoever asked.
    if (name === "content") continue;
    if (typeof value === "string") {
      must(value.length <= (LONGEST[name] ?? 256), `${name} is no longer than its bound`, value.length);
      if (name !== "errorMessage")
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        must(!/[\u0000-\u001f\u007f]/.test(value), `${name} has no control character`);
      if (/Id$|^mediaUrl$|^mediaToken$/.test(name) && !/^connectionId$|^boundConnectionId$/.test(name))
        if (!(message.type === "wa.msg.in"))
          must(/^[\x21-\x7e]+$/.test(value), `${name} is visible ASCII`, value);
    }
    if (typeof value === "number")
      must(Number.isInteger(value) && value >= -1 && value <= 0x7fff_ffff, `${name} is a count`, value);
  }
  if (message.type === "buffer_request") {
    const { requestedBytes, preferFrameBytes } = message as unknown as Record<string, number>;
    must((requestedBytes ?? 0) > 0, "a request asks for bytes", message);
    must((preferFrameBytes ?? -1) >= 0, "a preferred frame is not negative", message);
  }
}

interface BinaryStep {
  readonly channel: number;
  readonly pcm: Uint8Array;
  /** Without even the byte of the channel. */
  readonly empty: boolean;
}

/** Against a model that keeps whole streams: what is handed on is what came, sample by sample. */
function binary(steps: readonly BinaryStep[]): void {
  const reader = new AudioFrameReader();
  const sent = new Map<number, number[]>();
  const heard = new Map<number, number[]>();
  for (const { channel, pcm, empty } of steps) {
    const frame = empty ? new Uint8Array() : Uint8Array.of(channel, ...pcm);
    let calls = 0;
    const kind = reader.read(frame, (told, samples) => {
      calls++;
      must(told === channel, "audio comes out on its channel", { told, channel });
      must(samples.length > 0 && samples.length % 2 === 0, "whole samples come out", samples.length);
      heard.set(told, [...(heard.get(told) ?? []), ...samples]);
    });
    must(calls <= 1, "a frame is handed on once");
    if (frame.length < 2) {
      must(kind === "short" && calls === 0, "a frame without audio is short", { kind, calls });
      continue;
    }
    const all = [...(sent.get(channel) ?? []), ...pcm];
    sent.set(channel, all);
    must((kind === "odd") === (pcm.length % 2 === 1), "an odd length is told", kind);
    const whole = all.slice(0, all.length - (all.length % 2));
    const out = heard.get(channel) ?? [];
    must(
      out.length === whole.length && out.every((byte, i) => byte === whole[i]),
      "no byte is lost or shifted",
    );
  }
}

const SECRET = "simulator-key-0123456789";

export const telephonyTargets = [
  target({
    name: "control-frames",
    what: "text frames of the control connection",
    area: "telephony",
    weight: 8,
    inputs: frames(corpus.control),
    run: (frame) => checkParsed(parseControlFrame(frame), CONTROL_TYPES),
  }),
  target({
    name: "media-text",
    what: "text frames of a media connection",
    area: "telephony",
    weight: 8,
    inputs: frames(corpus.mediaText),
    run: (frame) => checkParsed(parseMediaFrame(frame), MEDIA_TYPES),
  }),
  target({
    name: "media-binary",
    what: "binary frames of a media connection, in sequences",
    area: "telephony",
    weight: 6,
    inputs: fc.array(
      fc.record({
        channel: fc.constantFrom(0, 0, 0, 1, 2, 255),
        pcm: fc.oneof(
          bytes,
          fc.constantFrom(...corpus.mediaBinary).map((one) => one.subarray(1)),
        ),
        empty: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
      }),
      { maxLength: 12 },
    ),
    run: binary,
  }),
  target({
    name: "media-stream",
    what: "frames of a provider's WebSocket, right and wrong, cut anywhere",
    area: "telephony",
    weight: 4,
    inputs: fc.record({ frames: fc.array(mixed, { maxLength: 12 }), at: cuts }),
    run: async ({ frames, at }) => {
      const { reader, expected } = await bothWays(frames.flat(), at);
      must(reader.failed === expected.failed, "what breaks the protocol is found, and nothing else");
      must(reader.log.join() === expected.log.join(), "the same is heard, in the same order", reader.log);
    },
  }),
  target({
    name: "rest-answers",
    what: "the provider's list of sessions",
    area: "telephony",
    weight: 3,
    inputs: fc.oneof(
      json,
      fc.record({
        items: fc.oneof(
          fc.array(
            fc.oneof(
              json,
              broken(fc.constant({ id: "s-1", channel: "TELCO", initiator: "CONNECTOR", state: "OPEN" })),
            ),
            { maxLength: 5 },
          ),
          json,
        ),
      }),
    ),
    run: (value) => {
      for (const session of parseSessionList(value) ?? [])
        must(/^[\x21-\x7e]{1,256}$/.test(session.id), "a session has a usable id", session);
    },
  }),
  target({
    name: "remote-text",
    what: "texts of the provider on their way into logs",
    area: "telephony",
    weight: 3,
    inputs: fc.record({
      before: text,
      kind: fc.constantFrom("bearer", "jwt", "secret", "number", "none"),
      after: text,
    }),
    run: ({ before, kind, after }) => {
      const planted = {
        bearer: "Bearer abcDEF-123_xyz.tok",
        jwt: "eyJhbGciOiJub25l.eyJzdWIiOiJ4In0.c2ln",
        secret: SECRET,
        number: "+15550123456",
        none: "",
      }[kind];
      const out = redactRemote(`${before} ${planted} ${after}`, [SECRET]);
      must(out.length <= 201, "a text for the log is bounded", out.length);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      must(!/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(out), "no control character reaches a log", out);
      if (planted !== "") must(!out.includes(planted), `no ${kind} reaches a log`, out);
      const url = redactUrl(`${before}${after}`);
      must(url.length <= 200, "an address for the log is bounded", url.length);
    },
  }),
];
