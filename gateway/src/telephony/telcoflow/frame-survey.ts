import { redactRemote } from "./redact.js";

/** Fields of each frame that this version knows; "data." and the like are those of an object in it. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  "control setup.done": ["smWsId"],
  "control response": [
    "reqId",
    "ok",
    "content",
    "content.session",
    "content.sessionId",
    "content.created",
    "errorCode",
    "errorContent",
    "errorContent.boundSmWsId",
  ],
  "control session.notify": [
    "sessionId",
    "channel",
    "remoteAddress",
    "localAddress",
    "activity",
    "createdAt",
  ],
  "control call.in": ["sessionId", "callId", "orgUuid", "from", "to", "url", "token"],
  "control session.closed": ["sessionId", "reason"],
  "control wa.msg.in": [],
  "media buffer_request": ["data", "data.requested_bytes", "data.prefer_audio_frame_bytes", "data.channelId"],
  "media command_response": [
    "data",
    "data.command_id",
    "data.success",
    "data.result",
    "data.error_code",
    "data.error_message",
  ],
  "media call_event": ["data", "data.event", "data.error_code", "data.error_message"],
};

/** Objects of a frame whose fields are looked at too. */
const INNER: ReadonlySet<string> = new Set(["data", "content", "errorContent"]);

/** Names kept at most, so that no provider fills the memory. */
const MAX_NAMES = 200;

/**
 * Counts the frames of a provider by type and keeps the names, never the values, of types and fields that this version
 * does not know. For diagnosis.
 */
export class FrameSurvey {
  /** Frames by connection and type ("media buffer_request"). */
  readonly frames = new Map<string, number>();
  /** "control call.in: data.newField", "control new.type", "media not JSON". */
  readonly unknown = new Set<string>();
  /** Audio that the provider asked for, bytes, and in how many requests. */
  readonly asked = { bytes: 0, requests: 0 };

  /** Fits TelcoflowOptions.observer. */
  readonly observe = (connection: "control" | "media", text: string): void => {
    let frame: unknown;
    try {
      frame = JSON.parse(text);
    } catch {
      this.note(`${connection} not JSON`);
      return;
    }
    if (!isObject(frame)) {
      this.note(`${connection} no object`);
      return;
    }
    const name = `${connection} ${redactRemote(String(frame.type))}`;
    const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
    if (!known) {
      this.note(name);
      return;
    }
    this.frames.set(name, (this.frames.get(name) ?? 0) + 1);
    for (const field of fieldsOf(frame)) {
      // Whole messages of people are none of our business.
      if (!known.includes(field) && name !== "control wa.msg.in")
        this.note(`${name}: ${redactRemote(field)}`);
    }
    if (name === "media buffer_request") this.credit(frame.data);
  };

  private credit(data: unknown): void {
    const bytes = isObject(data) ? data.requested_bytes : undefined;
    if (typeof bytes !== "number" || !(bytes > 0)) return;
    this.asked.bytes += bytes;
    this.asked.requests++;
  }

  private note(text: string): void {
    if (this.unknown.size < MAX_NAMES) this.unknown.add(text);
  }
}

function fieldsOf(frame: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(frame).flatMap(([key, value]) => {
    if (key === "type") return [];
    if (!INNER.has(key) || !isObject(value)) return [key];
    return [key, ...Object.keys(value).map((inner) => `${key}.${inner}`)];
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
