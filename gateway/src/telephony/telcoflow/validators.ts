import type { ControlMessage, MediaMessage } from "./messages.js";

/** Why a text frame was not understood. Only `unknownType` is a frame that a newer provider may rightly send. */
export type FrameProblem = "notJson" | "notObject" | "unknownType" | "invalidField";

/** A frame after reading: the message, or the problem with the name of the type or field. */
export type Parsed<M> =
  | { readonly ok: true; readonly message: M }
  | { readonly ok: false; readonly problem: FrameProblem; readonly detail: string };

/** A session as the REST list and `session.open` show it. */
export interface SessionView {
  readonly id: string;
  readonly channel: string;
  /** CONNECTOR (incoming) or SDK (made by a client); empty when not told. */
  readonly initiator: string;
  readonly state: string;
  readonly remoteAddress: string;
  readonly localAddress: string;
}

/** Longest id, address, code or reason taken from the provider, characters. */
const MAX_TEXT = 256;
/** Longest media address, characters. */
const MAX_URL = 4096;
/** Longest media token, characters. */
const MAX_TOKEN = 16_384;
/** Largest number taken for a count of bytes. */
const MAX_BYTES = 0x7fff_ffff;

type Fields = Readonly<Record<string, unknown>>;

class Invalid {
  constructor(readonly field: string) {}
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Visible ASCII; an id, a token, a type. */
const VISIBLE = /^[\x21-\x7e]+$/;

function id(fields: Fields, name: string, maxLength = MAX_TEXT): string {
  const value = own(fields, name);
  if (typeof value !== "string" || value.length > maxLength || !VISIBLE.test(value)) throw new Invalid(name);
  return value;
}

/** A text that may be missing; anything odd counts as empty. */
function text(fields: Fields, name: string): string {
  const value = own(fields, name);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters make it odd
  if (typeof value !== "string" || value.length > MAX_TEXT || /[\u0000-\u001f\u007f]/.test(value)) return "";
  return value;
}

/** A count: a number or a string of digits, cut to whole numbers; 0 when missing. */
function count(fields: Fields, name: string): number {
  const value = own(fields, name);
  if (value === undefined || value === null) return 0;
  const number = typeof value === "string" && /^\s*-?\d{1,12}\s*$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) throw new Invalid(name);
  return Math.max(-1, Math.min(MAX_BYTES, Math.trunc(number)));
}

function inner(fields: Fields, name: string): Fields {
  const value = own(fields, name);
  if (!isObject(value)) throw new Invalid(name);
  return value;
}

const CONTROL: { readonly [T in ControlMessage["type"]]: (fields: Fields) => ControlMessage } = {
  "setup.done": (f) => ({ type: "setup.done", connectionId: text(f, "smWsId") }),
  response: (f) => {
    const content = own(f, "errorContent");
    return {
      type: "response",
      requestId: id(f, "reqId"),
      ok: own(f, "ok") === true,
      content: own(f, "content"),
      errorCode: text(f, "errorCode"),
      boundConnectionId: isObject(content) ? text(content, "boundSmWsId") : "",
    };
  },
  "session.notify": (f) => ({
    type: "session.notify",
    sessionId: id(f, "sessionId"),
    channel: text(f, "channel"),
    remoteAddress: text(f, "remoteAddress"),
    localAddress: text(f, "localAddress"),
    activity: text(f, "activity"),
  }),
  "call.in": (f) => ({
    type: "call.in",
    sessionId: id(f, "sessionId"),
    callId: id(f, "callId"),
    from: text(f, "from"),
    to: text(f, "to"),
    mediaUrl: id(f, "url", MAX_URL),
    mediaToken: id(f, "token", MAX_TOKEN),
  }),
  "session.closed": (f) => ({
    type: "session.closed",
    sessionId: id(f, "sessionId"),
    reason: text(f, "reason"),
  }),
  "wa.msg.in": (f) => ({ type: "wa.msg.in", sessionId: text(f, "sessionId") }),
};

const MEDIA: { readonly [T in MediaMessage["type"]]: (fields: Fields) => MediaMessage } = {
  buffer_request: (f) => {
    const data = inner(f, "data");
    const requestedBytes = count(data, "requested_bytes");
    if (requestedBytes <= 0) throw new Invalid("requested_bytes");
    return {
      type: "buffer_request",
      requestedBytes,
      preferFrameBytes: Math.max(0, count(data, "prefer_audio_frame_bytes")),
      channel: count(data, "channelId"),
    };
  },
  command_response: (f) => {
    const data = inner(f, "data");
    const success = own(data, "success");
    if (typeof success !== "boolean") throw new Invalid("success");
    const message = own(data, "error_message");
    return {
      type: "command_response",
      commandId: id(data, "command_id"),
      success,
      errorCode: text(data, "error_code"),
      errorMessage: typeof message === "string" ? message.slice(0, 1000) : "",
    };
  },
  call_event: (f) => {
    const data = inner(f, "data");
    const event = own(data, "event");
    if (typeof event !== "string") throw new Invalid("event");
    if (event === "call.terminated") return { type: "call_event", event };
    if (event === "call.error") return { type: "call_event", event, errorCode: text(data, "error_code") };
    return { type: "call_event", event: "other" };
  },
};

function parse<M>(frame: string, readers: { readonly [type: string]: (fields: Fields) => M }): Parsed<M> {
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    return { ok: false, problem: "notJson", detail: "" };
  }
  if (!isObject(value)) return { ok: false, problem: "notObject", detail: "" };
  const type = own(value, "type");
  if (typeof type !== "string") return { ok: false, problem: "invalidField", detail: "type" };
  if (!Object.hasOwn(readers, type)) return { ok: false, problem: "unknownType", detail: type };
  try {
    return { ok: true, message: readers[type]!(value) };
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    return { ok: false, problem: "invalidField", detail: `${type}: ${error.field}` };
  }
}

/** Reads a text frame of the control connection. Never throws. Unknown fields are ignored. */
export function parseControlFrame(frame: string): Parsed<ControlMessage> {
  return parse<ControlMessage>(frame, CONTROL);
}

/** Reads a text frame of a media connection. Never throws. Unknown fields are ignored. */
export function parseMediaFrame(frame: string): Parsed<MediaMessage> {
  return parse<MediaMessage>(frame, MEDIA);
}

/** A session as the provider shows it; undefined when it has no usable id. Never throws. */
export function parseSession(value: unknown): SessionView | undefined {
  if (!isObject(value)) return undefined;
  try {
    return {
      id: id(value, "id"),
      channel: text(value, "channel"),
      initiator: text(value, "initiator"),
      state: text(value, "state"),
      remoteAddress: text(value, "remoteAddress"),
      localAddress: text(value, "localAddress"),
    };
  } catch {
    return undefined;
  }
}

/** The sessions of a REST list (`{items: […]}`); undefined when it is no list. Items that cannot be read are left out. */
export function parseSessionList(value: unknown): SessionView[] | undefined {
  if (!isObject(value)) return undefined;
  const items = own(value, "items");
  if (!Array.isArray(items)) return undefined;
  return items.map(parseSession).filter((session) => session !== undefined);
}
